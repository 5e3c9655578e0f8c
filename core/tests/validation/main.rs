//! What the API server would reject is reported, with the API's own sentence and the path of the field: a table of
//! objects that break one CEL rule each, and every bound of the CRDs' schemas.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that reads files"
)]

mod bounds;
mod crd;
mod defaults;
mod rules;

use gatewright::load::load_text;
use gatewright::{Code, Diagnostic, MissingServices, Options, compile};
use serde_json::Value;

/// Every finding about an object: of the loader, and of compiling.
fn findings(object: &Value) -> Vec<Diagnostic> {
    let loaded = load_text("object", &object.to_string());
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    let compiled = compile(&loaded.resources, &options);
    loaded.diagnostics.into_iter().chain(compiled.diagnostics).collect()
}

/// The findings that the API server would reject the object.
fn rejections(object: &Value) -> Vec<Diagnostic> {
    findings(object).into_iter().filter(|finding| finding.code == Code::Rejected).collect()
}
