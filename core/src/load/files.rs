//! Manifests from files, folders and standard input (feature `fs`): the one place of this crate that reads
//! anything but its arguments.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Loaded, Loader, takes};

/// A path that could not be read.
#[derive(Debug)]
pub struct IoError {
    /// The path.
    pub path: PathBuf,
    /// Why.
    pub error: std::io::Error,
}

impl std::fmt::Display for IoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for IoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Loads files, folders with all that is below them, and `-` for standard input. What cannot be read does not
/// keep the rest from being loaded.
pub fn paths<P: AsRef<Path>>(paths: &[P]) -> (Loaded, Vec<IoError>) {
    let mut loader = Loader::new();
    let (files, mut errors) = files(paths);
    for path in files {
        match read(&path) {
            Ok(bytes) => loader.add_bytes(&path.to_string_lossy(), &bytes),
            Err(error) => errors.push(IoError { path, error }),
        }
    }
    (loader.finish(), errors)
}

#[expect(clippy::disallowed_methods, reason = "loading files is this module's purpose")]
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(path)
}

/// The files that [`paths`] would read, sorted. Of a folder these are what [`takes`] names, and so on below.
pub fn files<P: AsRef<Path>>(paths: &[P]) -> (Vec<PathBuf>, Vec<IoError>) {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    // Folders on the way down: a link to one of them is not followed again.
    let mut above = BTreeSet::new();
    for path in paths {
        let path = path.as_ref();
        if path.is_dir() {
            folder(path, &mut above, &mut found, &mut errors);
        } else {
            found.push(path.to_owned());
        }
    }
    (found, errors)
}

#[expect(clippy::disallowed_methods, reason = "loading files is this module's purpose")]
fn folder(path: &Path, above: &mut BTreeSet<PathBuf>, found: &mut Vec<PathBuf>, errors: &mut Vec<IoError>) {
    let listed = path.canonicalize().and_then(|real| Ok((real, std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?)));
    let (real, mut entries) = match listed {
        Ok(listed) => listed,
        Err(error) => return errors.push(IoError { path: path.to_owned(), error }),
    };
    if !above.insert(real.clone()) {
        return;
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_folder = path.is_dir();
        if !takes(&entry.file_name().to_string_lossy(), is_folder) {
            continue;
        }
        if is_folder {
            folder(&path, above, found, errors);
        } else {
            found.push(path);
        }
    }
    above.remove(&real);
}
