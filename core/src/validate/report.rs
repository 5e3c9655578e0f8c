//! What every check needs: the path of the field it looks at, and where it reports.

use std::collections::BTreeSet;
use std::fmt;

use super::format::Text;
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity};
use crate::resource::meta::ObjectMeta;

/// The path of a field, written out only when something is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'p> {
    before: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Field(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) const SPEC: Path<'static> = Path::root("spec");

    pub(super) const fn root(name: &'p str) -> Self {
        Path { before: None, step: Step::Field(name) }
    }

    pub(super) fn field(&'p self, name: &'p str) -> Path<'p> {
        Path { before: Some(self), step: Step::Field(name) }
    }

    pub(super) fn index(&'p self, n: usize) -> Path<'p> {
        Path { before: Some(self), step: Step::Index(n) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before {
            before.fmt(f)?;
        }
        match self.step {
            Step::Field(name) if self.before.is_some() => write!(f, ".{name}"),
            Step::Field(name) => f.write_str(name),
            Step::Index(n) => write!(f, "[{n}]"),
        }
    }
}

/// Collects the findings about one object.
#[derive(Debug)]
pub(super) struct Report<'o> {
    group: &'static str,
    kind: &'static str,
    metadata: &'o ObjectMeta,
    list: &'o mut Vec<Diagnostic>,
}

impl<'o> Report<'o> {
    pub(super) fn new(group: &'static str, kind: &'static str, metadata: &'o ObjectMeta, list: &'o mut Vec<Diagnostic>) -> Self {
        Self { group, kind, metadata, list }
    }

    /// The object's namespace, for references that name none.
    pub(super) fn namespace(&self) -> &'o str {
        crate::model::namespace_of(self.metadata)
    }

    fn add(&mut self, severity: Severity, path: &Path<'_>, message: impl Into<String>, found: Option<String>, expected: Option<String>) {
        let object = ObjectRef::of_meta(self.group, self.kind, self.metadata);
        let mut diagnostic = Diagnostic::new(severity, Code::Rejected, Some(object), path.to_string(), message);
        (diagnostic.found, diagnostic.expected) = (found, expected);
        self.list.push(diagnostic);
    }

    /// A rule of the API does not hold.
    pub(super) fn rejected(&mut self, path: &Path<'_>, message: impl Into<String>) {
        self.add(Severity::Error, path, message, None, None);
    }

    /// A rule does not hold for this value.
    pub(super) fn rejected_value(&mut self, path: &Path<'_>, message: impl Into<String>, found: impl fmt::Display) {
        self.add(Severity::Error, path, message, Some(quoted(found)), None);
    }

    /// A rule does not hold that the experimental channel has and the standard channel has not ([R-4]): one
    /// API server rejects the object, another takes it.
    pub(super) fn rejected_by_experimental(&mut self, path: &Path<'_>, message: impl Into<String>, found: impl fmt::Display) {
        self.add(Severity::Warning, path, message, Some(quoted(found)), None);
        if let Some(diagnostic) = self.list.last_mut() {
            diagnostic.help = Some("the CRDs of the standard channel accept it".to_owned());
        }
    }

    /// The API takes it, but it cannot mean anything.
    pub(super) fn doubtful(&mut self, path: &Path<'_>, message: impl Into<String>) {
        self.add(Severity::Warning, path, message, None, None);
        if let Some(diagnostic) = self.list.last_mut() {
            diagnostic.code = Code::InvalidCombination;
        }
    }

    /// A required field is absent.
    pub(super) fn required(&mut self, path: &Path<'_>) {
        self.rejected(path, "Required value");
    }

    /// Length and pattern of a text.
    pub(super) fn text(&mut self, path: &Path<'_>, value: &str, rule: &Text) {
        let length = || value.chars().count();
        if value.is_empty() && rule.min > 0 {
            let message = format!("should be at least {} chars long", rule.min);
            return self.add(Severity::Error, path, message, Some(quoted(value)), rule.meaning.map(str::to_owned));
        }
        // Octets are an upper bound of characters, and cheap.
        if value.len() > rule.max && length() > rule.max {
            let message = format!("should be at most {} chars long", rule.max);
            return self.add(Severity::Error, path, message, Some(format!("{} chars", length())), None);
        }
        if let Some(pattern) = rule.pattern.filter(|pattern| !(pattern.holds)(value)) {
            let message = format!("should match '{}'", pattern.text);
            self.add(Severity::Error, path, message, Some(quoted(value)), rule.meaning.map(str::to_owned));
        }
    }

    /// Length and pattern of a text that may be absent.
    pub(super) fn optional(&mut self, path: &Path<'_>, value: Option<&str>, rule: &Text) {
        if let Some(value) = value {
            self.text(path, value, rule);
        }
    }

    /// Bounds of a number.
    pub(super) fn number(&mut self, path: &Path<'_>, value: impl Into<i64>, min: i64, max: i64) {
        let value = value.into();
        if value < min {
            self.rejected_value(path, format!("should be greater than or equal to {min}"), value);
        } else if value > max {
            self.rejected_value(path, format!("should be less than or equal to {max}"), value);
        }
    }

    /// Port from 1 to 65535.
    pub(super) fn port(&mut self, path: &Path<'_>, value: Option<i32>) {
        if let Some(value) = value {
            self.number(path, value, 1, 65_535);
        }
    }

    /// Bounds of the number of items ([R-15]).
    pub(super) fn items<T>(&mut self, path: &Path<'_>, list: &[T], min: usize, max: usize) {
        self.count(path, list.len(), min, max);
    }

    /// Bounds of the number of items of a list or map.
    pub(super) fn count(&mut self, path: &Path<'_>, count: usize, min: usize, max: usize) {
        let found = || Some(format!("{count} items"));
        if count < min {
            self.add(Severity::Error, path, format!("should have at least {min} items"), found(), None);
        } else if count > max {
            self.add(Severity::Error, path, format!("must have at most {max} items"), found(), None);
        }
    }

    /// One of the values of an enumeration.
    pub(super) fn known(&mut self, path: &Path<'_>, value: &str, known: &[&str]) {
        self.known_or(path, value, known, || {
            let quoted: Vec<_> = known.iter().map(|value| format!("\"{value}\"")).collect();
            format!("supported values: {}", quoted.join(", "))
        });
    }

    /// One of the values of an enumeration for which the API has a sentence of its own.
    pub(super) fn known_or(&mut self, path: &Path<'_>, value: &str, known: &[&str], message: impl FnOnce() -> String) {
        if !known.contains(&value) {
            self.add(Severity::Error, path, message(), Some(quoted(value)), None);
        }
    }

    /// Tells what to write instead of what the last finding is about.
    pub(super) fn help(&mut self, since: usize, help: Option<&str>) {
        if let (Some(help), Some(diagnostic)) = (help, self.list.get_mut(since..).and_then(<[_]>::last_mut)) {
            diagnostic.help = Some(help.to_owned());
        }
    }

    /// Number of findings so far, for [`help`](Self::help).
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Entries of a list that is a set or a map: none may be there twice.
    pub(super) fn distinct<K: Ord + fmt::Display>(&mut self, path: &Path<'_>, keys: impl ExactSizeIterator<Item = K>) {
        if keys.len() < 2 {
            return;
        }
        let mut seen = BTreeSet::new();
        for (n, key) in keys.enumerate() {
            if seen.contains(&key) {
                self.rejected_value(&path.index(n), "Duplicate value", &key);
            } else {
                seen.insert(key);
            }
        }
    }
}

/// A value as it stands in a message: in backticks, and not longer than a line.
fn quoted(value: impl fmt::Display) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}
