//! The access log: one JSON object a line, written beside the request path.
//!
//! Whatever a client sends, a line stays one line of bounded length: JSON escapes it, and long texts are cut ([R-O1]).

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::Duration;

use serde::Serialize;

use super::count;
use super::metrics::Count;

/// Lines that wait to be written at most; each has a few kilobytes at most.
const WAITING: usize = 4096;
/// How long the writer lets lines gather: it is woken, and writes, a hundred times a second at most.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end of the program waits for the last lines.
const LAST: Duration = Duration::from_secs(1);

/// Which requests get a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    /// All.
    All,
    /// Those that no route matched.
    Unmatched,
    /// None.
    #[default]
    None,
}

/// Where lines go; the default is nowhere.
#[derive(Clone, Default)]
pub struct AccessLog {
    lines: Lines,
    queue: Option<SyncSender<Entry>>,
    dropped: Count,
}

enum Entry {
    Line(Vec<u8>),
    /// Tells when all before it is written.
    Flush(SyncSender<()>),
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.fmt(f)
    }
}

impl AccessLog {
    /// Writes to `out`, from a thread of its own: one that is slow costs lines, never time of requests.
    pub fn to(out: impl Write + Send + 'static, lines: Lines) -> Self {
        let (queue, entries) = mpsc::sync_channel(WAITING);
        let dropped = Count::default();
        let of_writer = Arc::clone(&dropped);
        let queue = (lines != Lines::None).then_some(queue).filter(|_| {
            let writer = std::thread::Builder::new().name("access-log".to_owned());
            let started = writer.spawn(move || write(out, &entries, &of_writer));
            started.inspect_err(|error| tracing::error!(%error, "there is no access log")).is_ok()
        });
        Self { lines, queue, dropped }
    }

    /// Whether a request gets a line.
    pub(crate) fn wants(&self, matched: bool) -> bool {
        self.queue.is_some() && (self.lines == Lines::All || !matched)
    }

    /// Writes a line, unless too many are waiting.
    pub(crate) fn line(&self, line: &impl Serialize) {
        let Some(queue) = &self.queue else { return };
        let mut text = Vec::with_capacity(512);
        if serde_json::to_writer(&mut text, line).is_err() {
            return;
        }
        text.push(b'\n');
        if queue.try_send(Entry::Line(text)).is_err() {
            count(&self.dropped);
        }
    }

    /// Lines that were not written.
    pub(super) fn dropped(&self) -> &AtomicU64 {
        &self.dropped
    }

    /// Waits until all lines are written, for a second at most.
    pub fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, is_done) = mpsc::sync_channel(1);
        let mut entry = Entry::Flush(done);
        for _ in 0..100 {
            match queue.try_send(entry) {
                Ok(()) => {
                    let _ = is_done.recv_timeout(LAST);
                    return;
                }
                Err(TrySendError::Full(again)) => entry = again,
                Err(TrySendError::Disconnected(_)) => return,
            }
            std::thread::sleep(GATHER);
        }
    }
}

fn write(mut out: impl Write, entries: &Receiver<Entry>, dropped: &AtomicU64) {
    let mut text = Vec::new();
    while let Ok(first) = entries.recv() {
        let (mut told, mut lines) = (Vec::new(), 0_u64);
        // While it sleeps nobody has to wake it.
        if matches!(first, Entry::Line(_)) {
            std::thread::sleep(GATHER);
        }
        for entry in std::iter::once(first).chain(entries.try_iter().take(WAITING)) {
            match entry {
                Entry::Line(line) => {
                    text.extend_from_slice(&line);
                    lines += 1;
                }
                Entry::Flush(done) => told.push(done),
            }
        }
        if out.write_all(&text).and_then(|()| out.flush()).is_err() {
            dropped.fetch_add(lines, std::sync::atomic::Ordering::Relaxed);
        }
        text.clear();
        text.shrink_to(1 << 20);
        for done in told {
            let _ = done.try_send(());
        }
    }
}

/// The beginning of a text, as long as it may be.
pub(crate) fn cut(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// The same of octets, of which some may be no text.
pub(crate) fn cut_octets(octets: &[u8], longest: usize) -> String {
    String::from_utf8_lossy(octets.get(..longest).unwrap_or(octets)).into_owned()
}

/// Now, in UTC with milliseconds (RFC 3339).
pub(crate) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Another time in the same form.
pub(crate) fn timestamp(time: std::time::SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(|time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    /// Takes what is written once it is allowed to.
    struct Slow(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A reader that stands still costs lines, and each is counted.
    #[test]
    fn a_slow_reader_blocks_nobody() {
        let (go, gone) = channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let log = AccessLog::to(Slow(gone, Arc::clone(&written)), Lines::All);
        let lines = 3 * WAITING;
        (0..lines).for_each(|n| log.line(&n));
        let dropped = usize::try_from(log.dropped().load(std::sync::atomic::Ordering::Relaxed)).unwrap();
        assert!(dropped > 0);
        drop(go);
        log.flush();
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count() + dropped, lines);
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!((cut("aä", 2), cut("aä", 3), cut("a", 9)), ("a", "aä", "a"));
        assert_eq!(cut_octets(b"a\xffb", 2), "a\u{fffd}");
        let now = now();
        assert!(now.len() == 24 && now.ends_with('Z') && now.as_bytes()[19] == b'.', "{now}");
    }

    #[test]
    fn who_gets_a_line() {
        for (lines, all, unmatched) in [(Lines::All, true, true), (Lines::Unmatched, false, true), (Lines::None, false, false)] {
            let log = AccessLog::to(std::io::sink(), lines);
            assert_eq!((log.wants(true), log.wants(false)), (all, unmatched), "{lines:?}");
        }
        assert!(!AccessLog::default().wants(false));
    }
}
