//! Any text loads and compiles without a panic, in bounded memory.
#![no_main]

use gatewright::load::{Limits, Loader};
use gatewright::{Options, compile};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut limits = Limits::default();
    limits.nodes = 10_000;
    let mut loader = Loader::with_limits(limits);
    loader.add_bytes("fuzz", bytes);
    let loaded = loader.finish();
    let mut compiled = compile(&loaded.resources, &Options::default());
    compiled.diagnostics.iter_mut().for_each(|d| loaded.sources.locate(d));
});
