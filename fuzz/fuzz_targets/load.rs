//! Any text loads and compiles without a panic, in bounded memory, and its table answers connections.
#![no_main]

use gatewright::load::{Limits, Loader};
use gatewright::{Arrival, Options, Pick, compile};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut limits = Limits::default();
    limits.nodes = 10_000;
    let mut loader = Loader::with_limits(limits);
    loader.add_bytes("fuzz", bytes);
    let loaded = loader.finish();
    let mut compiled = compile(&loaded.resources, &Options::default());
    compiled.diagnostics.iter_mut().for_each(|d| loaded.sources.locate(d));
    let table = &compiled.table;
    let at_ports = table.ports().iter().map(|port| Arrival::with_sni(port.id, "a.example.com"));
    for arrival in at_ports.chain(table.frontends().iter().map(|frontend| Arrival::at(frontend.id))) {
        let decision = table.decide_connection(&arrival, Pick(0));
        assert_eq!(table.connection_report(&decision), table.explain_connection(&arrival, Pick(0)).decision);
    }
});
