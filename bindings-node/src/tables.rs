//! Tables by number. A table belongs to the process, so that worker threads can share it; it goes when the last of them lets
//! go of it. In WebAssembly each thread has a module of its own, and nothing to share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gatewright::{Diagnostic, Status, Table};

/// A compiled table with what was found on the way.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) table: Table,
    pub(crate) status: Status,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Default)]
struct Tables {
    held: BTreeMap<u32, (Arc<Held>, u32)>,
    last: u32,
}

static TABLES: Mutex<Tables> = Mutex::new(Tables { held: BTreeMap::new(), last: 0 });

fn with<T>(change: impl FnOnce(&mut Tables) -> T) -> T {
    // A panic while the map changes cannot leave it half changed: nothing in here panics.
    change(&mut TABLES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Keeps a table, held once.
pub(crate) fn add(held: Held) -> u32 {
    with(|tables| {
        while {
            tables.last = tables.last.wrapping_add(1);
            tables.held.contains_key(&tables.last)
        } {}
        tables.held.insert(tables.last, (Arc::new(held), 1));
        tables.last
    })
}

/// The table of a number.
pub(crate) fn get(id: u32) -> Option<Arc<Held>> {
    with(|tables| tables.held.get(&id).map(|(held, _)| Arc::clone(held)))
}

/// Holds a table once more; says whether it is still there.
pub(crate) fn retain(id: u32) -> bool {
    with(|tables| tables.held.get_mut(&id).map(|(_, count)| *count = count.saturating_add(1)).is_some())
}

/// Lets go of a table.
pub(crate) fn release(id: u32) {
    let gone = with(|tables| {
        let (_, count) = tables.held.get_mut(&id)?;
        *count = count.saturating_sub(1);
        if *count == 0 { tables.held.remove(&id) } else { None }
    });
    // A large table takes a moment to go, and nobody has to wait for it.
    drop(gone);
}

/// Tables that are held.
pub(crate) fn count() -> usize {
    with(|tables| tables.held.len())
}
