//! Uses the whole of the library in WebAssembly, so that whatever it would import shows in the import section.

use gatewright::{Arrival, Authority, Options, Pick, Request, compile};

/// Loads, compiles, decides and explains; the text's length is what comes of it.
#[unsafe(no_mangle)]
pub extern "C" fn run(pick: u64) -> usize {
    let loaded = gatewright::load::load_text("demo", include_str!("../../../server/demo/quickstart.yaml"));
    let compiled = compile(&loaded.resources, &Options::default());
    let headers: [(&str, &str); 1] = [("x-version", "v2")];
    let Some(port) = compiled.table.ports().first() else { return 0 };
    let request = Request {
        arrival: Arrival::on(port.id),
        method: "GET",
        scheme: None,
        authority: Authority::Given(b"example.com"),
        target: b"/api/x?y",
        headers: &headers,
    };
    let decision = compiled.table.decide(&request, Pick(pick));
    let report = compiled.table.report(&decision).to_string();
    report.len() + compiled.table.explain(&request, Pick(pick)).to_string().len() + compiled.diagnostics.len()
}
