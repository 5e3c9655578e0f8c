//! Any request is decided without a panic; what is forwarded is canonical, and deciding it again gives the same.
#![no_main]

use std::sync::LazyLock;

use gatewright::{Arrival, Authority, Decision, MissingServices, Options, Pick, Request, Table, compile};

#[derive(Debug, arbitrary::Arbitrary)]
struct Input<'a> {
    method: &'a str,
    authority: Option<&'a [u8]>,
    target: &'a [u8],
    headers: Vec<(&'a str, &'a [u8])>,
    pick: u64,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    let loaded = gatewright::load::load_text("demo", include_str!("../../server/demo/quickstart.yaml"));
    compile(&loaded.resources, &options).table
});

libfuzzer_sys::fuzz_target!(|input: Input<'_>| {
    let request = |target| Request {
        arrival: Arrival::on(TABLE.ports()[0].id),
        method: input.method,
        scheme: None,
        authority: input.authority.map_or(Authority::Absent, Authority::Given),
        target,
        headers: &input.headers,
    };
    let decision = TABLE.decide(&request(input.target), Pick(input.pick));
    let _ = TABLE.explain(&request(input.target), Pick(input.pick)).to_string();
    if let Decision::Forward(first) = &decision {
        let canonical = match first.target.query() {
            Some(query) => format!("{}?{query}", first.target.request_path()),
            None => first.target.request_path().to_owned(),
        };
        let again = TABLE.decide(&request(canonical.as_bytes()), Pick(input.pick));
        assert_eq!(TABLE.report(&decision), TABLE.report(&again), "{canonical}");
    }
});
