//! Where manifests come from: files and folders, read as a whole and watched.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatewright::load::{self, Loaded, Loader};
use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// The manifests of one moment, as they stand in files.
#[derive(Debug)]
pub struct Files {
    contents: Vec<(PathBuf, Vec<u8>)>,
    errors: Vec<load::IoError>,
    /// Hash of names and contents: equal hashes need no new table.
    pub hash: u64,
}

/// The manifests of one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// What was loaded.
    pub loaded: Loaded,
    /// Files and folders that could not be read.
    pub errors: Vec<load::IoError>,
    /// Hash of names and contents: equal hashes need no new table.
    pub hash: u64,
}

impl Files {
    /// Makes sense of them. Costs far more than reading them.
    pub fn load(self) -> Snapshot {
        let mut loader = loader();
        for (path, bytes) in &self.contents {
            loader.add_bytes(&path.to_string_lossy(), bytes);
        }
        Snapshot { loaded: loader.finish(), errors: self.errors, hash: self.hash }
    }
}

/// A loader that keeps the policies of this gateway.
pub fn loader() -> Loader {
    Loader::new().keep(&crate::extensions::KINDS)
}

/// Reads all manifests.
pub fn read(paths: &[PathBuf]) -> Files {
    let (files, mut errors) = load::files(paths);
    let (mut contents, mut hasher) = (Vec::new(), DefaultHasher::new());
    for path in files {
        match read_file(&path) {
            Ok(bytes) => {
                (&path, &bytes).hash(&mut hasher);
                contents.push((path, bytes));
            }
            Err(error) => errors.push(load::IoError { path, error }),
        }
    }
    for error in &errors {
        error.to_string().hash(&mut hasher);
    }
    Files { contents, errors, hash: hasher.finish() }
}

/// Reads all manifests until two readings agree: a file that is just being written is read again.
pub async fn read_settled(paths: &[PathBuf]) -> Files {
    let mut files = read(paths);
    loop {
        tokio::time::sleep(SETTLE).await;
        let again = read(paths);
        if again.hash == files.hash {
            return again;
        }
        files = again;
    }
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    if path == Path::new("-") {
        return std::io::Read::bytes(std::io::stdin().lock()).collect();
    }
    std::fs::read(path)
}

/// Several events of one change are one change.
const SETTLE: Duration = Duration::from_millis(50);
/// Some file systems send no events at all.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Sends a word whenever the manifests may have changed; the receiver compares hashes.
///
/// Folders are watched, never files: editors and Kubernetes replace files instead of writing them, and the
/// files of a mounted ConfigMap are links whose target is exchanged as a whole.
pub fn watch(paths: &[PathBuf]) -> (mpsc::Receiver<()>, Option<notify::RecommendedWatcher>) {
    let (sender, mut events) = mpsc::channel::<()>(1);
    let of_watcher = sender.clone();
    let watcher = notify::recommended_watcher(move |_event| {
        // A full channel says already that something has changed.
        let _ = of_watcher.try_send(());
    });
    let watcher = watcher.and_then(|mut watcher| {
        for path in paths.iter().filter(|path| *path != Path::new("-")) {
            if path.is_dir() {
                watcher.watch(path, RecursiveMode::Recursive)?;
            } else {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                watcher.watch(parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)?;
            }
        }
        Ok(watcher)
    });
    let watcher = watcher.map_err(|error| tracing::warn!(%error, "no file events: looking every {LOOK_AGAIN:?}")).ok();
    let (settled, changes) = mpsc::channel(1);
    tokio::spawn(async move {
        let _keep = sender;
        loop {
            if tokio::time::timeout(LOOK_AGAIN, events.recv()).await.is_ok() {
                while events.try_recv().is_ok() {}
            }
            if settled.send(()).await.is_err() {
                return;
            }
        }
    });
    (changes, watcher)
}
