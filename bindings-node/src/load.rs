//! Manifests in, a table out.

use std::cell::RefCell;

use gatewright::load::Loader;
use gatewright::{Severity, compile};
use serde_json::{Value, json};

use crate::options::Written;
use crate::tables::{self, Held};

thread_local! {
    /// The texts of a compilation that is being prepared: JavaScript hands them in one after the other.
    static LOADER: RefCell<Option<Loader>> = const { RefCell::new(None) };
}

/// Begins anew.
pub(crate) fn begin() {
    LOADER.with_borrow_mut(|loader| *loader = Some(Loader::new()));
}

/// Adds a text: its name, a NUL, and its octets.
pub(crate) fn add(input: &[u8]) {
    let end = input.iter().position(|octet| *octet == 0).unwrap_or(input.len());
    let (name, text) = input.split_at_checked(end).unwrap_or_default();
    LOADER.with_borrow_mut(|loader| {
        loader.get_or_insert_with(Loader::new).add_bytes(&String::from_utf8_lossy(name), text.get(1..).unwrap_or_default());
    });
}

/// Compiles what was added, under options in JSON.
pub(crate) fn finish(input: &[u8]) -> Result<Value, String> {
    let loader = LOADER.with_borrow_mut(Option::take).unwrap_or_default();
    let written: Written = serde_json::from_slice(input).map_err(|error| format!("options: {error}"))?;
    let options = written.read()?;
    let loaded = loader.finish();
    let broken = loaded.is_broken();
    let compiled = compile(&loaded.resources, &options);
    let mut diagnostics = loaded.diagnostics;
    diagnostics.extend(compiled.diagnostics.into_iter().map(|mut diagnostic| {
        loaded.sources.locate(&mut diagnostic);
        diagnostic
    }));
    let errors = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let names = compiled.table.header_names().map(|names| names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>());
    let gateways = compiled.table.gateways().len();
    let table = tables::add(Held { table: compiled.table, status: compiled.status, diagnostics });
    Ok(json!({ "table": table, "broken": broken, "errors": errors, "names": names, "gateways": gateways }))
}
