//! The table gives what the oracle gives, for any small world.

/// `cargo run --release -p gatewright-conformance --bin compare -- --requests 1000000` runs it longer.
#[test]
fn table_and_oracle_agree() {
    let counts = gatewright_conformance::compare::run(7, 40_000).unwrap_or_else(|difference| panic!("{difference}"));
    // A comparison of nothing but refusals would prove nothing.
    assert!(counts.outcomes.get("forwarded").is_some_and(|n| *n > 2_000), "{counts}");
    for kind in [
        "forwarded, mirrored",
        "answered: CorsPreflight",
        "answered: InvalidBackend",
        "answered: InvalidRule",
        "answered: Misdirected",
        "answered: NoBackends",
        "answered: NoEndpoints",
        "answered: NoListener",
        "answered: NoRoute",
        "answered: Redirect",
        "answered: UnresolvedFilter",
        "answered: ZeroWeights",
        "forwarded, over TLS",
        "forwarded, by a ListenerSet",
        "forwarded, in a mesh",
        "passed through a mesh",
        "connection HTTP",
        "connection forwarded, TLS none",
        "connection forwarded, TLS passed through",
        "connection forwarded, TLS terminated",
        "connection rejected: InvalidBackend",
        "connection rejected: NoBackends",
        "connection rejected: NoEndpoints",
        "connection rejected: NoListener",
        "connection rejected: NoRoute",
        "connection rejected: NotProgrammed",
    ] {
        assert!(counts.outcomes.get(kind).is_some_and(|n| *n > 10), "{kind} must occur: {counts}");
    }
    for kind in [
        "route Accepted: Conflicted",
        "route Accepted: IncompatibleFilters",
        "route Accepted: NoMatchingListenerHostname",
        "route Accepted: NoMatchingParent",
        "route Accepted: NotAllowedByListeners",
        "route Accepted: UnsupportedValue",
        "route ResolvedRefs: BackendNotFound",
        "route ResolvedRefs: InvalidKind",
        "route ResolvedRefs: RefNotPermitted",
        "route ResolvedRefs: UnsupportedProtocol",
        "Gateway or listener Accepted: ListenersNotValid",
        "Gateway or listener Accepted: NotAllowed",
        "Gateway or listener Accepted: ParentNotAccepted",
        "Gateway or listener Accepted: UnsupportedProtocol",
        "Gateway or listener Conflicted: HostnameConflict",
        "Gateway or listener Conflicted: ProtocolConflict",
        "Gateway or listener ResolvedRefs: InvalidCertificateRef",
        "Gateway or listener ResolvedRefs: InvalidRouteKinds",
        "Gateway or listener ResolvedRefs: RefNotPermitted",
    ] {
        assert!(counts.reasons.contains_key(kind), "{kind} must occur: {counts}");
    }
}
