//! `gatewright echo`: a backend for trying things out.

use std::net::SocketAddr;

use super::serve::{Signals, start_log};
use super::{CLEAN, print};
use crate::echo::{self, Name};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen; port 0 is any free one.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// What the backend calls itself.
    #[arg(long, default_value = "echo")]
    name: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, String> {
    start_log("warn");
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let name = Name { namespace: "default".to_owned(), service: arguments.name.clone() };
        let local = echo::start_at(arguments.listen, name, None).await.map_err(|error| format!("{}: {error}", arguments.listen))?;
        print(&format!("An echo of HTTP and WebSocket on {local}; Ctrl-C ends."))?;
        signals.next().await;
        Ok(CLEAN)
    })
}
