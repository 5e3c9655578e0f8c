//! Manifests as text: YAML or JSON, many documents in one, lists of objects (features `yaml` and `fs`).
//!
//! One broken document never hides the others: documents are split before they are parsed, and what is wrong
//! becomes a [`Diagnostic`] with object, field path, file, line and column.
//!
//! ```
//! let loaded = gatewright::load::load_text("demo.yaml", "
//! apiVersion: gateway.networking.k8s.io/v1
//! kind: HTTPRoute
//! metadata: {name: web}
//! spec:
//!   parentRefs: [{name: gateway}]
//!   hostname: [example.com]
//! ");
//! assert_eq!(loaded.resources.http_routes.len(), 1);
//! assert_eq!(
//!     loaded.diagnostics[0].to_string(),
//!     "demo.yaml:7:3: warning[GW003]: HTTPRoute/default/web: spec.hostname: the API has no such field: it is ignored"
//! );
//! ```

mod de;
#[cfg(feature = "fs")]
mod files;
mod kept;
mod node;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[cfg(feature = "fs")]
pub use files::{IoError, files, paths};
pub use kept::Kept;
pub use sources::Sources;

use self::node::{Broken, Kind, Mark, Node};
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Position, Severity};
use crate::resource::{GATEWAY_GROUP, GATEWAY_X_GROUP, Object, Resources};

/// Bounds against hostile input.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of all texts together.
    pub bytes: usize,
    /// Bytes of one value.
    pub scalar: usize,
    /// Values of one document, aliases expanded.
    pub nodes: usize,
    /// Nesting of collections.
    pub depth: usize,
    /// Documents of all texts together.
    pub documents: usize,
}

impl Default for Limits {
    /// 512 MiB in a million documents, each of at most a million values of 3 MiB (etcd takes 1.5 MiB), 64 deep.
    fn default() -> Self {
        Self { bytes: 512 << 20, scalar: 3 << 20, nodes: 1_000_000, depth: 64, documents: 1_000_000 }
    }
}

/// What loading gives.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Loaded {
    /// The objects.
    pub resources: Resources,
    /// What was found wrong, in the order of the texts.
    pub diagnostics: Vec<Diagnostic>,
    /// Where everything stands.
    pub sources: Sources,
    /// Objects of kinds that this library does not read.
    pub skipped: Vec<ObjectRef>,
    /// Objects of the kinds that [`Loader::keep`] names, for their owner to read.
    pub kept: Vec<Kept>,
}

impl Loaded {
    /// Whether some text could not be read as an object: a syntax error, a missing field, a wrong type.
    pub fn is_broken(&self) -> bool {
        let breaks =
            |d: &Diagnostic| d.severity == Severity::Error && matches!(d.code, Code::Syntax | Code::Schema | Code::Limit | Code::Version);
        self.diagnostics.iter().any(breaks)
    }
}

/// Whether an entry of a folder is looked at: manifests by their ending, and no name that begins with a dot, since
/// Kubernetes keeps the versions of a mounted ConfigMap under such names (the visible ones are links to the current one).
/// For programs that read files themselves; `paths` does it all.
///
/// ```
/// use gatewright::load::takes;
///
/// assert!(takes("web.yaml", false) && takes("web.json", false) && takes("teams", true));
/// assert!(!takes("README.md", false) && !takes("..data", true) && !takes(".web.yaml", false));
/// ```
pub fn takes(name: &str, is_folder: bool) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    !name.starts_with('.') && (is_folder || ["yaml", "yml", "json"].contains(&ending))
}

/// Loads one text. `name` is what diagnostics call it.
pub fn load_text(name: &str, text: &str) -> Loaded {
    let mut loader = Loader::new();
    loader.add_text(name, text);
    loader.finish()
}

/// Collects objects from several texts.
#[derive(Debug, Default)]
pub struct Loader {
    limits: Limits,
    loaded: Loaded,
    bytes: usize,
    documents: usize,
    objects: BTreeMap<ObjectRef, (Position, Object)>,
    /// Kinds of others, by group and kind.
    keeps: BTreeSet<(Box<str>, Box<str>)>,
    kept: BTreeMap<ObjectRef, Kept>,
}

impl Loader {
    /// A loader with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// A loader with other limits.
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Keeps the objects of these kinds, each a group and a kind that this library does not read: those of extensions
    /// ([F-60]), which the program that runs them reads out of [`Loaded::kept`].
    #[must_use]
    pub fn keep(mut self, kinds: &[(&str, &str)]) -> Self {
        self.keeps.extend(kinds.iter().map(|(group, kind)| (Box::from(*group), Box::from(*kind))));
        self
    }

    /// Adds the objects of a text.
    pub fn add_text(&mut self, name: &str, text: &str) {
        let file: Arc<str> = name.into();
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > self.limits.bytes {
            let message = format!("the input is larger than {} bytes: this text is not read", self.limits.bytes);
            return self.report(Severity::Error, Code::Limit, None, "", Position { file, line: 1, column: 1 }, message);
        }
        for (first_line, document) in documents(text.strip_prefix('\u{feff}').unwrap_or(text)) {
            self.documents = self.documents.saturating_add(1);
            if self.documents > self.limits.documents {
                let message = format!("the input has more than {} documents: the rest is not read", self.limits.documents);
                return self.report(Severity::Error, Code::Limit, None, "", Position { file, line: first_line, column: 1 }, message);
            }
            match node::read(document, first_line, &self.limits) {
                Ok(Some(root)) => self.add_object(&file, &root, 0),
                Ok(None) => {}
                Err(Broken { mark, message, limit }) => {
                    let code = if limit { Code::Limit } else { Code::Syntax };
                    let message = format!("{message}; this document is left out");
                    self.report(Severity::Error, code, None, "", position(&file, mark), message);
                }
            }
        }
    }

    /// Adds the objects of a text in UTF-8.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.add_text(name, text),
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = before.iter().filter(|b| **b == b'\n').count().saturating_add(1);
                let at = Position { file: name.into(), line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
                self.report(Severity::Error, Code::Syntax, None, "", at, "the text is not UTF-8; it is left out".to_owned());
            }
        }
    }

    /// The objects of all texts.
    pub fn finish(mut self) -> Loaded {
        for (_, object) in std::mem::take(&mut self.objects).into_values() {
            self.loaded.resources.push(object);
        }
        self.loaded.kept = std::mem::take(&mut self.kept).into_values().collect();
        self.loaded
    }

    fn report(&mut self, severity: Severity, code: Code, object: Option<ObjectRef>, path: &str, at: Position, message: String) {
        let mut diagnostic = Diagnostic::new(severity, code, object, path, message);
        diagnostic.position = Some(at);
        self.loaded.diagnostics.push(diagnostic);
    }

    /// Adds an object or the items of a list.
    fn add_object(&mut self, file: &Arc<str>, root: &Arc<Node>, depth: u8) {
        let at = |mark| position(file, mark);
        if root.is_null() {
            return;
        }
        let member = |name: &str| root.get(name).and_then(|entry| entry.value.text());
        let (Some(api_version), Some(kind)) = (member("apiVersion"), member("kind")) else {
            let message = "not a Kubernetes object: `apiVersion` and `kind` are required; it is left out".to_owned();
            return self.report(Severity::Error, Code::Schema, None, "", at(root.mark), message);
        };
        if kind.ends_with("List")
            && Object::accepted_versions(group_of(api_version), kind).is_none()
            && let Some(Kind::List(items)) = root.get("items").map(|entry| &entry.value.kind)
        {
            // A list in a list is no Kubernetes object, but harmless.
            for item in items.iter().filter(|_| depth < 4) {
                self.add_object(file, item, depth.saturating_add(1));
            }
            return;
        }
        let metadata = root.get("metadata").map(|entry| &entry.value);
        let named = |name: &str| metadata.and_then(|m| m.get(name)).and_then(|entry| entry.value.text());
        let (group, version) = (group_of(api_version), api_version.rsplit('/').next().unwrap_or(api_version));
        let meta = crate::resource::meta::ObjectMeta {
            name: named("name").unwrap_or_default().to_owned(),
            namespace: named("namespace").map(str::to_owned),
            ..Default::default()
        };
        let written = kind;
        let (group, kind) = renamed(group, kind);
        let object = ObjectRef::of_meta(group, kind, &meta);
        let Some(versions) = Object::accepted_versions(group, kind) else {
            if self.keeps.contains(&(group.into(), kind.into())) {
                return self.keep_object(file, root, object, version);
            }
            // A misspelled kind of the Gateway API is worth a warning, a Deployment beside it is not.
            let severity = if [GATEWAY_GROUP, GATEWAY_X_GROUP].contains(&group) { Severity::Warning } else { Severity::Info };
            // Nothing is known of this kind, not even whether it has namespaces.
            let object = ObjectRef::new(group, kind, meta.namespace.as_deref().unwrap_or_default(), &meta.name);
            let message = format!("kind `{kind}` of `{api_version}` is not read: it does not take part in routing");
            self.report(severity, Code::UnknownKind, Some(object.clone()), "kind", at(root.mark), message);
            return self.loaded.skipped.push(object);
        };
        if !versions.contains(&version) {
            let message =
                format!("version `{version}` of {kind} is not accepted, expected {}; the object is left out", versions.join(", "));
            self.report(Severity::Error, Code::Version, Some(object), "apiVersion", at(root.mark), message);
            if (kind, version) == ("BackendTLSPolicy", "v1alpha2")
                && let Some(diagnostic) = self.loaded.diagnostics.last_mut()
            {
                let help = "its fields are not those of v1, and TLS is not guessed: write `spec.targetRefs` and `spec.validation`";
                diagnostic.help = Some(help.to_owned());
            }
            return;
        }
        if written != kind {
            let message = format!("{written} is an old name: the object is read as {kind} of `{group}`");
            self.report(Severity::Warning, Code::Version, Some(object.clone()), "kind", at(root.mark), message);
        } else if versions.first() != Some(&version) && (kind, version) != ("ReferenceGrant", "v1beta1") {
            // ReferenceGrants are stored as v1beta1 still ([R-2]).
            let message = format!("`{version}` is an old version of {kind}, read as `{}`", versions.first().unwrap_or(&""));
            self.report(Severity::Warning, Code::Version, Some(object.clone()), "apiVersion", at(root.mark), message);
        }
        if meta.name.is_empty() {
            let message = "metadata.name is required; the object is left out".to_owned();
            return self.report(Severity::Error, Code::Schema, Some(object), "metadata", at(root.mark), message);
        }
        let version = versions.first().is_some_and(|newest| *newest != version).then_some(version);
        self.read_object(file, root, object, version);
    }

    /// Keeps an object for its owner.
    fn keep_object(&mut self, file: &Arc<str>, root: &Arc<Node>, object: ObjectRef, version: &str) {
        let place = position(file, root.mark);
        if object.name.is_empty() {
            let message = "metadata.name is required; the object is left out".to_owned();
            return self.report(Severity::Error, Code::Schema, Some(object), "metadata", place, message);
        }
        let kept = Kept { object: object.clone(), version: version.into(), file: Arc::clone(file), root: Arc::clone(root) };
        if let Some(first) = self.kept.insert(object.clone(), kept) {
            let message = format!("the object is given before at {}: this one replaces it", first.position());
            self.report(Severity::Warning, Code::DuplicateObject, Some(object.clone()), "", place, message);
        }
        self.loaded.sources.add(object, Arc::clone(file), root);
    }

    /// Reads an object of an accepted version, which is given unless it is the newest.
    fn read_object(&mut self, file: &Arc<str>, root: &Arc<Node>, object: ObjectRef, version: Option<&str>) {
        let at = |mark| position(file, mark);
        let notes = de::Notes::default();
        let result = Object::deserialize(&object.group, &object.kind, de::deserializer(root, &notes));
        let kubernetes = !object.group.contains("gateway.networking");
        for (path, mark) in notes.unknown.into_inner() {
            // Of Kubernetes' own kinds only the fields that routing reads are modelled.
            if kubernetes || is_object_frame(&path) {
                continue;
            }
            let mark = sources::find(root, &path).unwrap_or(mark);
            let message = "the API has no such field: it is ignored".to_owned();
            self.report(Severity::Warning, Code::UnknownField, Some(object.clone()), &path, at(mark), message);
        }
        for (path, mark, text, type_) in notes.unquoted.into_inner() {
            if kubernetes || path.starts_with("metadata.") {
                continue;
            }
            let message = format!("`{text}` without quotes is {type_} and the API server refuses the object; here it is read as a text");
            self.report(Severity::Error, Code::InvalidValue, Some(object.clone()), &path, at(mark), message);
        }
        for (path, mark) in notes.core.into_inner() {
            let message = "group `core` means the core group, which is written as an empty text".to_owned();
            self.report(Severity::Warning, Code::InvalidValue, Some(object.clone()), &path, at(mark), message);
        }
        match result {
            Ok(value) => {
                let place = at(root.mark);
                let versions = &mut self.loaded.resources.versions;
                match version {
                    Some(version) => drop(versions.insert(object.clone(), version.into())),
                    None => drop(versions.remove(&object)),
                }
                if let Some((first, _)) = self.objects.get(&object) {
                    let message = format!("the object is given before at {first}: this one replaces it");
                    self.report(Severity::Warning, Code::DuplicateObject, Some(object.clone()), "", place.clone(), message);
                }
                self.loaded.sources.add(object.clone(), Arc::clone(file), root);
                self.objects.insert(object, (place, value));
            }
            Err(error) => {
                let (path, mark) = error.place.unwrap_or_else(|| (String::new(), root.mark));
                let mut diagnostic = Diagnostic::new(
                    Severity::Error,
                    Code::Schema,
                    Some(object),
                    path,
                    format!("{}; the object is left out", error.message),
                );
                (diagnostic.found, diagnostic.expected) = (error.found, error.expected);
                diagnostic.position = Some(at(mark));
                self.loaded.diagnostics.push(diagnostic);
            }
        }
    }
}

fn position(file: &Arc<str>, mark: Mark) -> Position {
    Position { file: Arc::clone(file), line: mark.line, column: mark.column }
}

fn group_of(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

/// Kinds that have got another name or group since ([R-2]).
fn renamed<'k>(group: &'k str, kind: &'k str) -> (&'k str, &'k str) {
    match (group, kind) {
        (GATEWAY_GROUP, "ReferencePolicy") => (GATEWAY_GROUP, "ReferenceGrant"),
        (GATEWAY_X_GROUP, "XListenerSet") => (GATEWAY_GROUP, "ListenerSet"),
        (GATEWAY_GROUP, "BackendLBPolicy") => (GATEWAY_X_GROUP, "XBackendTrafficPolicy"),
        other => other,
    }
}

/// Fields that every object has and that the structures do not repeat.
fn is_object_frame(path: &str) -> bool {
    matches!(path, "apiVersion" | "kind") || path.starts_with("metadata.")
}

/// Splits a text at the lines that begin with `---` or `...`, before anything is parsed: a broken document ends
/// where the next begins. Gives the number of the first line of each.
fn documents(text: &str) -> Vec<(u32, &str)> {
    let mut found = Vec::new();
    let (mut start, mut start_line, mut at, mut line) = (0_usize, 1_u32, 0_usize, 1_u32);
    for content in text.split_inclusive('\n') {
        let next = at.saturating_add(content.len());
        let marker = content.trim_end_matches(['\n', '\r']);
        let ends = |mark: &str| marker.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if ends("---") {
            found.extend(text.get(start..at).map(|document| (start_line, document)));
            (start, start_line) = (at, line);
        } else if ends("...") {
            found.extend(text.get(start..at).map(|document| (start_line, document)));
            (start, start_line) = (next, line.saturating_add(1));
        }
        at = next;
        line = line.saturating_add(1);
    }
    found.extend(text.get(start..).map(|document| (start_line, document)));
    let content = |line: &str| !line.trim().is_empty() && !line.starts_with(['#', '%']);
    found.retain(|(_, document)| document.lines().any(content));
    found
}
