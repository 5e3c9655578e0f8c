//! What an attack may cost: memory of the process, open connections, and the patience of others.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::common::fetch;

/// Nothing here takes as long; only what hangs does.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Octets that the process may grow by: all tests of this program run in it at once.
const GROWTH: usize = 256 << 20;

/// The memory of this process at some time.
pub(super) struct Memory(usize);

impl Memory {
    pub(super) fn now() -> Self {
        Self(resident())
    }

    pub(super) fn has_not_grown(&self) {
        let now = resident();
        assert!(now < self.0 + GROWTH, "from {} to {now} octets", self.0);
    }
}

/// Octets of the process that are in memory; 0 where the system does not say.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

/// Another client that asks all the time, and is answered each time.
pub(super) struct Bystander(JoinHandle<()>);

impl Bystander {
    pub(super) fn of(address: SocketAddr, host: &'static str) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let asked = tokio::time::timeout(PATIENCE, fetch(address, "GET", host, "/", &[], b"")).await;
                let status = asked.expect("another client waits").expect("another client is cut off").status;
                assert_eq!(status, 200);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }))
    }

    /// Asks once more, now.
    pub(super) async fn must_be_served(self, address: SocketAddr, host: &'static str) {
        assert!(!self.0.is_finished(), "{:?}", self.0.await);
        self.0.abort();
        assert_eq!(fetch(address, "GET", host, "/", &[], b"").await.expect("another client is cut off").status, 200);
    }
}

/// Waits until the server has closed a connection; what it said before.
pub(super) async fn ends(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    // A reset is an end like any other.
    let _ = read.expect("the connection is still open");
    said
}

/// Connections that the server has at a port, by what Linux says of them; `None` elsewhere.
pub(super) fn connections_at(port: u16) -> Option<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let local = format!(":{port:04X}");
    // Established, and those that the client has ended and the server not (include/net/tcp_states.h).
    let is_open = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        columns.len() > 3 && columns[1].ends_with(&local) && matches!(columns[3], "01" | "08")
    };
    Some(table.lines().filter(|line| is_open(line)).count())
}

/// Waits until the server has no connection at a port any longer.
pub(super) async fn none_is_left_at(port: u16) {
    let left = async {
        while connections_at(port).is_some_and(|open| open > 0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.unwrap_or_else(|_| panic!("{:?} connections are left", connections_at(port)));
}
