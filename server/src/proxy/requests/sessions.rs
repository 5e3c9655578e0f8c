//! Keys for the tokens of sessions ([R-B4]).

use std::path::Path;

use gatewright::session::{SessionKey, SessionKeys};

use crate::certificates::PROVIDER;

/// Octets of a secret.
const SECRET: usize = 32;

/// Keys that no other process has: sessions end with it.
pub(in crate::proxy) fn of_this_process() -> SessionKeys {
    let mut secret = [0; SECRET];
    // Without random octets sessions would be open to whoever knows this line: then there is no server.
    assert!(PROVIDER.secure_random.fill(&mut secret).is_ok(), "the provider of cryptography has no random octets");
    SessionKeys::new(SessionKey::new(0, &secret), [])
}

/// Keys from files of 32 random octets each. The first seals, all open: so that keys can change while sessions live. A key
/// is known by a sum of its octets, so that every instance names it alike.
///
/// # Errors
///
/// Which file is no key.
pub fn from_files<P: AsRef<Path>>(files: &[P]) -> Result<Option<SessionKeys>, String> {
    let mut keys = Vec::new();
    for file in files {
        let path = file.as_ref();
        let octets = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let secret: [u8; SECRET] = octets
            .try_into()
            .map_err(|octets: Vec<u8>| format!("{}: expected {SECRET} random octets, found {}", path.display(), octets.len()))?;
        let id = secret.iter().fold(0, |sum: u8, octet| sum.rotate_left(3) ^ octet);
        keys.push(SessionKey::new(id, &secret));
    }
    let mut keys = keys.into_iter();
    Ok(keys.next().map(|current| SessionKeys::new(current, keys)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_octets() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, octets: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, octets).unwrap();
            path
        };
        let (good, short) = (file("good", &[7; 32]), file("short", &[7; 31]));
        assert!(from_files::<&Path>(&[]).unwrap().is_none());
        assert!(from_files(&[&good, &good]).unwrap().is_some());
        assert!(from_files(&[&good, &short]).unwrap_err().ends_with("short: expected 32 random octets, found 31"));
        assert!(from_files(&[folder.path().join("none")]).unwrap_err().contains("none: "));
    }
}
