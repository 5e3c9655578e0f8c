//! `gatewright demo`: backends, a gateway, and what to try with curl.

use std::time::Duration;

use gatewright::{Options, Table};
use tokio::sync::watch;

use super::serve::{Signals, start_log};
use super::{CLEAN, print};
use crate::echo;
use crate::proxy::{self, Bound, Settings};
use crate::publish::Publisher;
use crate::source::Snapshot;

/// The manifests of the demo.
pub const MANIFESTS: &str = include_str!("../../demo/quickstart.yaml");

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Local port of the gateway.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Print the manifests and end.
    #[arg(long)]
    print_manifests: bool,
}

/// What to try: arguments of curl, and what comes of it.
pub const TRY: &[(&str, &str)] = &[
    ("http://localhost:PORT/", "web-v1 in 9 of 10 requests, web-v2 in 1 (weights)"),
    ("-H 'x-version: v2' http://localhost:PORT/", "web-v2 (header match)"),
    ("'http://localhost:PORT/api/users?id=7'", "api, which gets /users?id=7 (prefix replaced)"),
    ("-i http://localhost:PORT/old/page", "301 to http://localhost:PORT/new/page (redirect)"),
    ("-H 'Host: shop.example.com' http://localhost:PORT/cart", "shop, which gets the header x-shop (wildcard hostname, header modifier)"),
    (
        "-i -X OPTIONS -H 'Origin: https://app.example.com' -H 'Access-Control-Request-Method: PUT' http://localhost:PORT/api/users",
        "204 from the gateway (CORS preflight)",
    ),
    ("-i http://localhost:PORT/broken", "500: the backend does not exist"),
    ("-i --path-as-is http://localhost:PORT/api/..%2fadmin", "400: two readers may read this path differently"),
];

/// Backends of the demo, each a Service of the manifests.
const BACKENDS: [&str; 4] = ["web-v1", "web-v2", "api", "shop"];

pub(super) fn run(arguments: &Arguments) -> Result<u8, String> {
    if arguments.print_manifests {
        return print(MANIFESTS.trim_end()).map(|()| CLEAN);
    }
    start_log("warn");
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(demo(arguments.port))?;
    Ok(CLEAN)
}

async fn demo(port: u16) -> Result<(), String> {
    let mut settings = Settings { drain: Duration::from_secs(2), ..Settings::default() };
    for service in BACKENDS {
        let name = echo::Name { namespace: "demo".to_owned(), service: service.to_owned() };
        let address = echo::start(name, None).await.map_err(|error| error.to_string())?;
        settings.resolve.insert(format!("demo/{service}:80"), vec![address]);
    }
    let mut publisher = Publisher::new(Options::default(), None);
    let loaded = gatewright::load::load_text("quickstart.yaml", &MANIFESTS.replace("port: 8080", &format!("port: {port}")));
    publisher.publish(Snapshot { loaded, errors: Vec::new(), hash: 0 }).map_err(|rejected| rejected.reason)?;
    let (stop, stopped) = watch::channel(false);
    let (bound, mut is_bound) = watch::channel(Bound::new());
    let mut signals = Signals::new()?;
    let server = tokio::spawn(proxy::serve(publisher.current(), publisher.changes(), settings, stopped, bound));
    let waiting = is_bound.wait_for(|bound| !bound.is_empty());
    let local = match tokio::time::timeout(Duration::from_secs(2), waiting).await {
        Ok(Ok(bound)) => bound.values().next().map(|address| address.port()).unwrap_or(port),
        _ => return Err(format!("cannot listen on port {port}; choose another one with --port")),
    };
    print(&format!("{}\nTry:\n", routes(&publisher.current().load().table)))?;
    for (arguments, outcome) in TRY {
        let (arguments, outcome) = (arguments.replace("PORT", &local.to_string()), outcome.replace("PORT", &local.to_string()));
        print(&format!("  curl -s {arguments}\n      -> {outcome}"))?;
    }
    print(&format!("\nThe manifests: gatewright demo --print-manifests. Serving on 127.0.0.1:{local}; Ctrl-C ends."))?;
    signals.next().await;
    stop.send_replace(true);
    let _ = server.await;
    Ok(())
}

/// The routes as a table.
fn routes(table: &Table) -> String {
    let rows = table.routing_rows();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let line = |row: &[String; 4]| {
        format!("  {:<a$}  {:<b$}  {:<c$}  {}", row[0], row[1], row[2], row[3], a = widths[0], b = widths[1], c = widths[2])
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
