//! Targets in every form, under every combination of choices.

use super::*;
use crate::options::{Options, Profile};

const STRICT: PathRules = PathRules {
    normalise: true,
    refuse_ambiguous: true,
    merge_slashes: true,
    escaped_slashes: EscapedSlashes::Reject,
    path_parameters: PathParameters::Opaque,
};
const COMPATIBLE: PathRules =
    PathRules { refuse_ambiguous: false, merge_slashes: false, escaped_slashes: EscapedSlashes::KeepUnchanged, ..STRICT };
const RAW: PathRules = PathRules { normalise: false, ..COMPATIBLE };

fn canonical(path: &str, rules: PathRules) -> Result<String, Refusal> {
    canonical_target(path.as_bytes(), rules).map(|t| t.path.into_owned())
}

fn strict(path: &str) -> Result<String, Refusal> {
    canonical(path, STRICT)
}

/// Every combination of the knobs.
fn every_rule() -> Vec<PathRules> {
    let mut all = Vec::new();
    for profile in Profile::ALL {
        for merge in [None, Some(true), Some(false)] {
            for escaped in EscapedSlashes::ALL {
                for parameters in PathParameters::ALL {
                    let mut options = Options::default();
                    (options.profile, options.merge_slashes) = (*profile, merge);
                    (options.escaped_slashes, options.path_parameters) = (Some(*escaped), *parameters);
                    all.push(options.path_rules());
                }
            }
        }
    }
    all
}

#[test]
fn one_form_in_the_strict_profile() {
    for (raw, expected) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("//a///b//", "/a/b/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/%61/%2e%2E/b", "/b"),
        ("/%7euser", "/~user"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%252e", "/a%252e"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/a;x=1/b", "/a;x=1/b"),
        ("/a|b\"[]^{}", "/a|b\"[]^{}"),
    ] {
        assert_eq!(strict(raw).as_deref(), Ok(expected), "{raw}");
        assert_eq!(strict(expected).as_deref(), Ok(expected), "{expected} again");
    }
}

#[test]
fn refused_in_the_strict_profile() {
    for (raw, expected) in [
        ("/a b", Refusal::TargetOctet),
        ("/a#b", Refusal::TargetOctet),
        ("/a?b#c", Refusal::TargetOctet),
        ("/caf\u{e9}", Refusal::TargetOctet),
        ("/a\\b", Refusal::PathOctet),
        ("/a`b", Refusal::PathOctet),
        ("/a%", Refusal::BrokenTriplet),
        ("/a%2", Refusal::BrokenTriplet),
        ("/a%zz", Refusal::BrokenTriplet),
        ("/a%00", Refusal::EncodedControl),
        ("/a%0d%0a", Refusal::EncodedControl),
        ("/%c0%af", Refusal::OverlongUtf8),
        ("/%e0%80%af", Refusal::OverlongUtf8),
        ("/%f0%80%80%af", Refusal::OverlongUtf8),
        ("/a%2fb", Refusal::EncodedSlash),
        ("/a%5Cb", Refusal::EncodedBackslash),
        ("/..", Refusal::AboveRoot),
        ("/a/../../b", Refusal::AboveRoot),
        ("/a//../b", Refusal::EmptySegmentWithDotDot),
        ("/a/..;/b", Refusal::DotSegmentParameter),
        ("/a/.%3bx/b", Refusal::DotSegmentParameter),
        ("/a/%2e%2e;/b", Refusal::DotSegmentParameter),
    ] {
        assert_eq!(strict(raw), Err(expected), "{raw}");
    }
}

/// Every pair of octets, in words.
#[test]
fn octets_of_a_canonical_path() {
    let refused = |b: u8| !b.is_ascii_graphic() || b == b'#';
    let special = |b: u8| b"%;\\<>`".contains(&b);
    for (a, b) in (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).map(move |b| (a, b))) {
        let (path, query) = ([b'/', b'x', a, b, b'y'], [a, b]);
        let pair = a == b'/' && matches!(b, b'/' | b'.');
        assert_eq!(is_canonical(&path), ![a, b].into_iter().any(|b| refused(b) || special(b)) && !pair, "{a} {b}");
        assert_eq!(has_allowed_octets(&query), !refused(a) && !refused(b), "{a} {b}");
    }
}

/// [U-11]
#[test]
fn compatible_keeps_slashes() {
    for (raw, expected) in
        [("//a//b/", "//a//b/"), ("/a%2fb", "/a%2Fb"), ("/a//../b", "/a/b"), ("/a/./", "/a/"), ("/a//", "/a//"), ("/a/./b//", "/a/b//")]
    {
        assert_eq!(canonical(raw, COMPATIBLE).as_deref(), Ok(expected), "{raw}");
    }
}

/// [U-11]: what is received is matched and forwarded, but for octets that no path may hold.
#[test]
fn raw_changes_nothing() {
    for raw in ["/a/../b", "/%61//%2e%2e/./", "/a%2fb%5c", "/..", "/..;/a", "//a/", "/a;x"] {
        assert_eq!(canonical(raw, RAW).as_deref(), Ok(raw));
    }
    for (raw, expected) in [("/a b", Refusal::TargetOctet), ("/a`", Refusal::PathOctet), ("/a%0d", Refusal::EncodedControl)] {
        assert_eq!(canonical(raw, RAW), Err(expected), "{raw}");
    }
    assert_eq!(canonical("/a//../%61", PathRules { merge_slashes: true, ..RAW }).as_deref(), Ok("/a/../%61"));
}

/// [R-P8]
#[test]
fn merging_is_a_choice_of_its_own() {
    assert_eq!(canonical("//a//./b//", PathRules { merge_slashes: false, ..STRICT }).as_deref(), Ok("//a//b//"));
    assert_eq!(canonical("//a//./b//", PathRules { merge_slashes: true, ..COMPATIBLE }).as_deref(), Ok("/a/b/"));
    // An empty segment beside `..` stays refused in the profile Strict, and is nothing where it is merged.
    assert_eq!(canonical("/a//../b", PathRules { merge_slashes: false, ..STRICT }), Err(Refusal::EmptySegmentWithDotDot));
    assert_eq!(canonical("/a//../b", PathRules { merge_slashes: true, ..COMPATIBLE }).as_deref(), Ok("/b"));
}

/// [R-P6]
#[test]
fn escaped_slashes() {
    for (choice, raw, expected, redirect) in [
        (EscapedSlashes::KeepUnchanged, "/a%2fb%5c", Ok("/a%2Fb%5C"), false),
        (EscapedSlashes::KeepUnchanged, "/a%2f../b", Ok("/a%2F../b"), false),
        (EscapedSlashes::UnescapeAndForward, "/a%2Fb", Ok("/a/b"), false),
        (EscapedSlashes::UnescapeAndForward, "/a%2f..%2fb", Ok("/b"), false),
        (EscapedSlashes::UnescapeAndForward, "/a%2F%2fb", Ok("/a/b"), false),
        (EscapedSlashes::UnescapeAndForward, "/a%252Fb", Ok("/a%252Fb"), false),
        (EscapedSlashes::UnescapeAndForward, "/a%5Cb", Err(Refusal::EncodedBackslash), false),
        (EscapedSlashes::UnescapeAndForward, "/..%2f..%2f", Err(Refusal::AboveRoot), false),
        (EscapedSlashes::UnescapeAndRedirect, "/a%2Fb", Ok("/a/b"), true),
        (EscapedSlashes::UnescapeAndRedirect, "/a/b", Ok("/a/b"), false),
        (EscapedSlashes::UnescapeAndRedirect, "/a%5Cb", Err(Refusal::EncodedBackslash), false),
    ] {
        let rules = PathRules { escaped_slashes: choice, ..STRICT };
        let found = canonical_target(raw.as_bytes(), rules);
        let found = found.as_ref().map(|target| (&*target.path, target.redirect)).map_err(|refusal| *refusal);
        assert_eq!(found, expected.map(|path| (path, redirect)), "{choice} {raw}");
    }
    assert_eq!(canonical("/%61%2Fb", PathRules { escaped_slashes: EscapedSlashes::UnescapeAndForward, ..RAW }).as_deref(), Ok("/%61/b"));
}

/// [R-P9]
#[test]
fn path_parameters() {
    let rules = PathRules { path_parameters: PathParameters::MatchStripped, ..STRICT };
    for (raw, expected) in [
        ("/a;x=1/b;y", Ok(Some("/a/b"))),
        ("/a/b", Ok(None)),
        ("/a;/", Ok(Some("/a/"))),
        ("/a;x=1%3B2/b", Ok(Some("/a/b"))),
        ("/a%3Bx/b", Err(Refusal::PathParameter)),
        ("/;x/b", Err(Refusal::PathParameter)),
        ("/..;/b", Err(Refusal::DotSegmentParameter)),
    ] {
        let found = canonical_target(raw.as_bytes(), rules);
        let found = found.as_ref().map(|target| target.stripped.as_deref()).map_err(|refusal| *refusal);
        assert_eq!(found, expected, "{raw}");
    }
    let target = canonical_target(b"/a;x=1/b;y/c", rules).unwrap();
    assert_eq!((&*target.path, target.matched_path()), ("/a;x=1/b;y/c", "/a/b/c"));
    for (matched, forwarded) in [("", ""), ("/a", "/a;x=1"), ("/a/b", "/a;x=1/b;y"), ("/a/b/c", "/a;x=1/b;y/c")] {
        assert_eq!(target.forwarded_len(matched.len()), forwarded.len());
    }
    assert_eq!(canonical("/%2e%2e;x/b", PathRules { normalise: false, ..rules }), Err(Refusal::DotSegmentParameter));
    for raw in ["/a;x", "/a%3bx"] {
        assert_eq!(canonical(raw, PathRules { path_parameters: PathParameters::Reject, ..STRICT }), Err(Refusal::PathParameter));
    }
}

#[test]
fn canonical_targets_are_borrowed() {
    for raw in ["/", "/a/b/c?x=1&y=%20", "/.well-known/a", "/caf%C3%A9/", "/a;b"] {
        assert!(matches!(canonical_target(raw.as_bytes(), STRICT).unwrap().path, Cow::Borrowed(_)), "{raw}");
    }
}

/// [R-P12] over every short path of a nasty alphabet, for every combination of the knobs.
#[test]
fn idempotent() {
    let pieces = ["/", ".", "..", "a", "%2e", "%2F", "%41", ";", "%3b", "//"];
    let rules = every_rule();
    let mut paths = vec![String::new()];
    for _ in 0..4 {
        paths = paths.iter().flat_map(|path| pieces.iter().map(move |piece| format!("{path}{piece}"))).collect();
        for path in &paths {
            let path = format!("/{path}");
            for rules in &rules {
                let Ok(once) = canonical_target(path.as_bytes(), *rules) else { continue };
                let twice = canonical_target(once.path.as_bytes(), *rules).unwrap();
                assert_eq!((&once.path, &once.stripped), (&twice.path, &twice.stripped), "{path} {rules:?}");
                assert!(matches!(twice.path, Cow::Borrowed(_)) && !twice.redirect, "{path} {rules:?}");
                let segments = |path: &str| path.split('/').count();
                assert_eq!(segments(&once.path), segments(once.matched_path()), "{path} {rules:?}");
            }
        }
    }
}

#[test]
fn forms() {
    let absolute = |scheme, authority: &'static str, target: &'static str| {
        Ok(TargetForm::Absolute { scheme, authority: authority.as_bytes(), target: target.as_bytes() })
    };
    for (method, target, expected) in [
        ("GET", "/a?b", Ok(TargetForm::Origin(b"/a?b"))),
        ("GET", "//host/a", Ok(TargetForm::Origin(b"//host/a"))),
        ("GET", "HTTP://h/a?b", absolute("HTTP", "h", "/a?b")),
        ("GET", "https://h", absolute("https", "h", "")),
        ("GET", "http://h?x", absolute("http", "h", "?x")),
        ("OPTIONS", "*", Ok(TargetForm::Asterisk)),
        ("GET", "*", Err(Refusal::TargetForm)),
        ("GET", "", Err(Refusal::TargetForm)),
        ("GET", "admin", Err(Refusal::TargetForm)),
        ("GET", "ftp://h/", Err(Refusal::TargetForm)),
        ("GET", "http:/h", Err(Refusal::TargetForm)),
        ("GET", "http://h\\@x/", Err(Refusal::TargetForm)),
    ] {
        assert_eq!(split_form(method, target.as_bytes()), expected, "{method} {target}");
    }
    assert_eq!(split_form("GET", &[b'/'; 8193]), Err(Refusal::TargetTooLong));
    assert_eq!(check_method("CONNECT"), Err(Refusal::Connect));
    assert_eq!(check_method("GE T"), Err(Refusal::MethodSyntax));
    assert_eq!(check_method(&"A".repeat(33)), Err(Refusal::MethodTooLong));
    assert_eq!(check_method("M-SEARCH"), Ok(()));
}
