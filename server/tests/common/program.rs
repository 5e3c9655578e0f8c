//! The real program, as a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::fetch;

/// `gatewright serve`, killed when it is dropped.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
}

impl Program {
    /// Serves port 80 of the Gateway on a free port, and waits until it answers.
    pub async fn serve(manifests: &[&Path], arguments: &[String]) -> Self {
        Self::serve_at(free_port().await, manifests, arguments).await
    }

    /// The same on this port.
    pub async fn serve_at(address: SocketAddr, manifests: &[&Path], arguments: &[String]) -> Self {
        let program = Self::start(Command::new(env!("CARGO_BIN_EXE_gatewright")), address, manifests, arguments);
        program.wait(async || fetch(address, "GET", "h", "/", &[], b"").await.is_ok()).await
    }

    /// The same with a port that speaks TLS.
    pub async fn serve_tls(manifests: &[&Path], arguments: &[String]) -> Self {
        let address = free_port().await;
        let program = Self::start(Command::new(env!("CARGO_BIN_EXE_gatewright")), address, manifests, arguments);
        program.wait(async || TcpStream::connect(address).await.is_ok()).await
    }

    /// The same with so many file descriptors at most.
    pub async fn serve_with_files(files: usize, manifests: &[&Path], arguments: &[String]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_gatewright")]);
        let address = free_port().await;
        let program = Self::start(shell, address, manifests, arguments);
        program.wait(async || fetch(address, "GET", "h", "/", &[], b"").await.is_ok()).await
    }

    fn start(mut command: Command, address: SocketAddr, manifests: &[&Path], arguments: &[String]) -> Self {
        command.arg("serve").args(manifests).args(arguments);
        command.args(["--bind", "127.0.0.1", "--drain-timeout", "10", "--admin", "off", "--port-map", &format!("80={}", address.port())]);
        let child = command.env("RUST_LOG", "error").stdout(Stdio::null()).spawn().unwrap();
        Self { child, address }
    }

    async fn wait(mut self, answers: impl AsyncFn() -> bool) -> Self {
        for _ in 0..400 {
            assert!(self.child.try_wait().unwrap().is_none(), "the program has ended");
            if answers().await {
                return self;
            }
            sleep(Duration::from_millis(25)).await;
        }
        panic!("the program does not answer");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a backend answers.
    pub async fn until(&self, pod: &str) {
        for _ in 0..800 {
            if fetch(self.address, "GET", "h", "/", &[], b"").await.is_ok_and(|answer| answer.pod() == pod) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{pod} does not answer");
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end: the exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        for _ in 0..800 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            sleep(Duration::from_millis(25)).await;
        }
        panic!("the program does not end");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
async fn free_port() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Open file descriptors of a process.
pub fn fds(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
}

/// Octets of a process that are in memory.
pub fn resident(id: u32) -> usize {
    let pages = std::fs::read_to_string(format!("/proc/{id}/statm")).unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
