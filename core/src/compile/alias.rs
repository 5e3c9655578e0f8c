//! Header names that are aliases of each other ([R-F4]).

use std::collections::BTreeMap;

use http::HeaderName;

use super::findings::Findings;
use super::rule::CheckedRule;
use crate::canonical::KnownFields;
use crate::diagnostic::Code;
use crate::table::rule::RuleData;

/// The header names that the rules of a table refer to, counted by the routes.
#[derive(Debug, Default)]
pub(crate) struct Names {
    counts: BTreeMap<Box<str>, (HeaderName, usize)>,
    /// Names that were counted in or out since the last look, with their former count.
    touched: BTreeMap<Box<str>, usize>,
}

/// The header names of rules, each once.
pub(crate) fn of_rules<'r>(rules: impl Iterator<Item = &'r CheckedRule>) -> Box<[HeaderName]> {
    let mut names: Vec<HeaderName> = Vec::new();
    for rule in rules {
        let of_matches = rule.matchers.iter().flat_map(|matcher| matcher.headers()).map(|header| &header.name);
        names.extend(of_matches.chain(RuleData::request_header_names(&rule.data)).cloned());
    }
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    names.into()
}

impl Names {
    pub(crate) fn add(&mut self, names: &[HeaderName]) {
        for name in names {
            if !self.counts.contains_key(name.as_str()) {
                self.counts.insert(name.as_str().into(), (name.clone(), 0));
            }
            let Some((_, count)) = self.counts.get_mut(name.as_str()) else { continue };
            if !self.touched.contains_key(name.as_str()) {
                self.touched.insert(name.as_str().into(), *count);
            }
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn remove(&mut self, names: &[HeaderName]) {
        for name in names {
            let Some((_, count)) = self.counts.get_mut(name.as_str()) else { continue };
            self.touched.entry(name.as_str().into()).or_insert(*count);
            *count = count.saturating_sub(1);
        }
    }

    /// What the table knows now, if that is something else than before.
    pub(crate) fn change(&mut self) -> Option<KnownFields> {
        let count = |name: &str| self.counts.get(name).map_or(0, |(_, count)| *count);
        let changed = self.touched.iter().any(|(name, before)| (*before == 0) != (count(name) == 0));
        changed.then(|| KnownFields::new(self.counts.values().filter(|(_, count)| *count > 0).map(|(name, _)| name)))
    }

    /// Whether a name that was there before has become an alias, or is none any more, or of another name.
    pub(crate) fn turned(&self, before: &KnownFields, now: &KnownFields) -> bool {
        let old = self.counts.iter().filter(|(name, (_, count))| *count > 0 && self.touched.get(*name).is_none_or(|before| *before > 0));
        old.map(|(name, _)| name.as_bytes()).any(|name| before.original(name) != now.original(name))
    }

    /// Ends the look.
    pub(crate) fn settle(&mut self) {
        for name in std::mem::take(&mut self.touched).into_keys() {
            if self.counts.get(&name).is_some_and(|(_, count)| *count == 0) {
                self.counts.remove(&name);
            }
        }
    }
}

/// Takes matches on aliases of other names out of the game: such fields are dropped before matching.
pub(crate) fn hide(rules: &mut [CheckedRule], known: &KnownFields, findings: &mut Findings) {
    for rule in rules {
        for (n, matcher) in rule.matchers.iter_mut().enumerate() {
            for header in matcher.headers_mut() {
                let Some(original) = known.original(header.name.as_str().as_bytes()) else { continue };
                header.dropped = true;
                let message = format!(
                    "header `{}` is an alias of `{original}` and dropped from requests, so this match never holds (option `alias_headers`)",
                    header.name
                );
                findings.warning(Code::InvalidValue, format!("spec.rules[{}].matches[{n}].headers", rule.index), message);
            }
        }
    }
}
