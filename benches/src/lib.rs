//! Benchmarks only: `cargo bench -p gatewright-benches`.
