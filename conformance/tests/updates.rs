//! A table that follows changes is the one that is compiled from the changed objects.

/// `cargo run --release -p gatewright-conformance --bin compare -- --updates 100000` runs it longer.
#[test]
fn updates_and_compiling_agree() {
    let counts = gatewright_conformance::compare::updates::run(3, 1_500).unwrap_or_else(|difference| panic!("{difference}"));
    // If everything were compiled again each time, nothing would be proven.
    assert!(counts.whole * 2 < counts.updates, "{counts}");
    assert!(counts.telling * 4 > counts.updates, "{counts}");
}
