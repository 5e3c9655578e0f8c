//! What of the upstream suite and of the hostile vectors goes through the live server: counted by the server's tests, which keep
//! it in files, and shown in `CONFORMANCE.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Cases that were sent, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// How many of what were sent and passed, by group.
    pub sent: BTreeMap<String, usize>,
    /// How many were not, by reason.
    pub left_out: BTreeMap<String, usize>,
}

/// The files: rows of the upstream suite by what they speak, and hostile vectors by layer.
pub const UPSTREAM: &str = "live-upstream.yaml";
/// See [`UPSTREAM`].
pub const HOSTILE: &str = "live-hostile.yaml";

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

impl Live {
    /// What was kept.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn kept(file: &str) -> Result<Self, String> {
        let path = path(file);
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Compares with what was kept, or keeps it if `GATEWRIGHT_KEEP` is set.
    ///
    /// # Errors
    ///
    /// The difference; a file that cannot be read or written.
    pub fn keep(&self, file: &str) -> Result<(), String> {
        if std::env::var_os("GATEWRIGHT_KEEP").is_none() {
            return match Self::kept(file)? {
                kept if kept == *self => Ok(()),
                kept => Err(format!("{file} is stale (GATEWRIGHT_KEEP=1 writes it): {kept:?}, found {self:?}")),
            };
        }
        let lines = |all: &BTreeMap<String, usize>| all.iter().map(|(name, count)| format!("  {name:?}: {count}\n")).collect::<String>();
        let braces = |all: &BTreeMap<String, usize>| if all.is_empty() { " {}\n".to_owned() } else { format!("\n{}", lines(all)) };
        let text = format!(
            "# Written by the server's tests with GATEWRIGHT_KEEP=1.\nsent:{}left_out:{}",
            braces(&self.sent),
            braces(&self.left_out)
        );
        std::fs::write(path(file), text).map_err(|error| format!("{file}: {error}"))
    }

    /// All that were sent.
    pub fn total(&self) -> usize {
        self.sent.values().sum()
    }
}
