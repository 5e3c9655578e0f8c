//! One fault is told once.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity};

/// Adds what the API server would reject to what compiling found. A fault that both have met is told by the API's
/// sentence; what follows from it is still told, as a warning.
pub(crate) fn tell_once(compiled: Vec<Diagnostic>, rejected: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut paths = BTreeMap::<&ObjectRef, BTreeSet<&str>>::new();
    let mut sentences = BTreeMap::<(&ObjectRef, &str), BTreeSet<&str>>::new();
    for diagnostic in &rejected {
        if let Some(object) = &diagnostic.object {
            paths.entry(object).or_default().insert(&diagnostic.path);
            sentences.entry((object, &diagnostic.message)).or_default().insert(&diagnostic.path);
        }
    }
    let is_told = |diagnostic: &Diagnostic| {
        let Some((object, paths)) = diagnostic.object.as_ref().and_then(|object| paths.get_key_value(object)) else { return false };
        let path = diagnostic.path.as_str();
        // The same sentence about a field around or within, perhaps after a path.
        let sentence = [Some(diagnostic.message.as_str()), diagnostic.message.split_once(": ").map(|(_, sentence)| sentence)];
        if sentence.into_iter().flatten().filter_map(|sentence| sentences.get(&(*object, sentence))).any(|paths| is_near(paths, path)) {
            return true;
        }
        match diagnostic.code {
            // The API's sentence may speak of the value, and compiling of the field that holds it.
            Code::InvalidValue | Code::UnsupportedValue => is_within(paths, path),
            Code::InvalidCombination => paths.contains(path),
            // Or the reference is absent as a whole.
            Code::RefNotFound => paths.contains(path) || path.rsplit_once('.').is_some_and(|(reference, _)| paths.contains(reference)),
            Code::Listener => paths.contains(path) && diagnostic.outcome.is_some(),
            // Group and kind make one name.
            Code::RefKind => {
                paths.contains(path) || path.strip_suffix(".kind").is_some_and(|of| paths.contains(format!("{of}.group").as_str()))
            }
            _ => false,
        }
    };
    let mut all = Vec::with_capacity(compiled.len().saturating_add(rejected.len()));
    for mut diagnostic in compiled {
        if diagnostic.severity == Severity::Error && is_told(&diagnostic) {
            let Some(outcome) = diagnostic.outcome.take() else { continue };
            (diagnostic.severity, diagnostic.message) = (Severity::Warning, outcome);
        }
        all.push(diagnostic);
    }
    all.extend(rejected);
    all
}

/// Whether a path of the set is this one or goes on from it.
fn is_within(paths: &BTreeSet<&str>, path: &str) -> bool {
    let goes_on = |next: &str| {
        let start = [path, next].concat();
        paths.range(start.as_str()..).next().is_some_and(|path| path.starts_with(&start))
    };
    paths.contains(path) || goes_on(".") || goes_on("[")
}

/// Whether a path of the set is this one, goes on from it, or leads to it.
fn is_near(paths: &BTreeSet<&str>, path: &str) -> bool {
    is_within(paths, path) || path.match_indices(['.', '[']).any(|(end, _)| path.get(..end).is_some_and(|around| paths.contains(around)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code, path and outcome of what compiling found; the paths that the API rejects; what is left of the former.
    #[test]
    fn a_fault_is_told_once() {
        let object = || Some(ObjectRef::new("", "HTTPRoute", "a", "b"));
        for (code, path, outcome, rejected, wanted) in [
            (Code::InvalidValue, "spec.a", None, "spec.a", None),
            (Code::InvalidValue, "spec.a", None, "spec.a.b", None),
            (Code::UnsupportedValue, "spec.a", None, "spec.a[0].b", None),
            (Code::InvalidValue, "spec.a", Some("it is ignored"), "spec.a", Some((Severity::Warning, "it is ignored"))),
            // Another field, or a field around.
            (Code::InvalidValue, "spec.a", None, "spec.ab", Some((Severity::Error, "found"))),
            (Code::InvalidValue, "spec.a.b", None, "spec.a", Some((Severity::Error, "found"))),
            (Code::InvalidCombination, "spec.a", None, "spec.a.b", Some((Severity::Error, "found"))),
            (Code::InvalidCombination, "spec.a", None, "spec.a", None),
            (Code::RefNotFound, "spec.a.port", Some("500"), "spec.a.port", Some((Severity::Warning, "500"))),
            (Code::RefNotFound, "spec.a.port", Some("500"), "spec.a", Some((Severity::Warning, "500"))),
            (Code::RefNotFound, "spec.a.port", Some("500"), "spec.a.name", Some((Severity::Error, "found"))),
            (Code::RefKind, "spec.a.kind", Some("500"), "spec.a.group", Some((Severity::Warning, "500"))),
            (Code::RefKind, "spec.a.kind", Some("500"), "spec.b.group", Some((Severity::Error, "found"))),
            // What only compiling knows.
            (Code::RefNotPermitted, "spec.a", None, "spec.a", Some((Severity::Error, "found"))),
            (Code::Listener, "spec.a", None, "spec.a", Some((Severity::Error, "found"))),
        ] {
            let mut found = Diagnostic::new(Severity::Error, code, object(), path, "found");
            found.outcome = outcome.map(str::to_owned);
            let api = Diagnostic::new(Severity::Error, Code::Rejected, object(), rejected, "rejected");
            let told = tell_once(vec![found], vec![api.clone()]);
            let (last, rest) = told.split_last().unwrap();
            assert_eq!(*last, api);
            let rest: Vec<_> = rest.iter().map(|d| (d.severity, d.message.as_str())).collect();
            assert_eq!(rest, wanted.into_iter().collect::<Vec<_>>(), "{code} {path}, {rejected}");
        }
        // The same sentence, wherever in the same field.
        for (path, message, rejected, wanted) in [
            ("spec.a", "rejected", "spec.a.b", 1),
            ("spec.a.b[0].c", "rejected", "spec.a", 1),
            ("spec.a", "spec.a.b: rejected", "spec.a.b", 1),
            ("spec.a", "rejected", "spec.b", 2),
            ("spec.a", "not rejected", "spec.a", 2),
        ] {
            let found = Diagnostic::new(Severity::Error, Code::BackendProtocol, object(), path, message);
            let api = Diagnostic::new(Severity::Error, Code::Rejected, object(), rejected, "rejected");
            assert_eq!(tell_once(vec![found], vec![api]).len(), wanted, "{path}: {message}, {rejected}");
        }
        // Of another object nothing is known.
        let found = Diagnostic::new(Severity::Error, Code::InvalidValue, object(), "spec.a", "found");
        let other = Diagnostic::new(Severity::Error, Code::Rejected, Some(ObjectRef::new("", "HTTPRoute", "a", "c")), "spec.a", "rejected");
        assert_eq!(tell_once(vec![found.clone()], vec![other])[0], found);
    }
}
