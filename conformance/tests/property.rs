//! The table gives what the oracle gives, for any small world.

/// `cargo run --release -p gatewright-conformance --bin compare -- --requests 1000000` runs it longer.
#[test]
fn table_and_oracle_agree() {
    let counts = gatewright_conformance::compare::run(7, 20_000).unwrap_or_else(|difference| panic!("{difference}"));
    // A comparison of nothing but refusals would prove nothing.
    assert!(counts.get("forwarded").is_some_and(|n| *n > 2_000), "{counts:?}");
    assert_eq!(counts.len(), 6, "every outcome occurs: {counts:?}");
}
