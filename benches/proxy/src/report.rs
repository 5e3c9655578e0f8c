//! The table.

use std::fmt::Write as _;
use std::path::Path;

use crate::contender::{Client, Contender, Program, version};
use crate::measure::{Figures, Results};

/// Prints the table, or writes it.
pub(crate) fn tell(results: &Results, write: bool) -> Result<(), String> {
    let text = markdown(results);
    if !write {
        println!("{text}");
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../PROXY.md");
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn markdown(results: &Results) -> String {
    let mut text = "# What the proxy costs\n\nWritten by `cargo build --profile dist -p gatewright-server && cargo run --profile dist -p gatewright-benches-proxy -- --write`.\n\n".to_owned();
    let rounds = results.iter().map(|(_, figures)| figures.len()).max().unwrap_or(0);
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("an unknown processor").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let _ = writeln!(
        text,
        "One worker on one core; the client (wrk: 64 connections; h2load: 16 with 4 streams) and a backend that answers with 1 KiB share\nanother one. Connections are kept on both sides. {rounds} rounds, in each of which every contender was\nstarted and measured; the figures are medians, and the differences medians of differences within a round. {processor}, {cores}\ncores; {}; {}; {}.\n",
        version("nginx", "-v").replace("nginx version: ", ""),
        version("haproxy", "-v").split(" - ").next().unwrap_or_default(),
        version("rustc", "--version")
    );
    for (client, title) in [(Client::Plain, "HTTP/1.1"), (Client::Tls, "HTTP/1.1 over TLS"), (Client::Http2, "HTTP/2 over TLS")] {
        let _ = writeln!(
            text,
            "## {title}\n\n| | routes | requests/s | CPU us/request (program + kernel), lowest to highest | p50 / p99 ms | MiB | failed |\n|---|---:|---:|---|---:|---:|---:|"
        );
        for (contender, figures) in results.iter().filter(|(contender, figures)| contender.client == client && !figures.is_empty()) {
            let of = |figure: fn(&Figures) -> f64| median(figures.iter().map(figure).collect());
            let cpu: Vec<f64> = figures.iter().map(Figures::cpu).collect();
            let (low, high) = (cpu.iter().copied().fold(f64::MAX, f64::min), cpu.iter().copied().fold(0.0, f64::max));
            let p99 = of(|figures| figures.p99);
            let p99 = if p99.is_nan() { "-".to_owned() } else { format!("{p99:.2}") };
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} | {:.2} + {:.2} = **{:.2}**, {low:.2} to {high:.2} | {:.2} / {p99} | {:.0} | {} |",
                contender.name(),
                contender.routes,
                of(|figures| figures.rate),
                of(|figures| figures.user),
                of(|figures| figures.system),
                median(cpu),
                of(|figures| figures.p50),
                of(|figures| figures.resident),
                figures.iter().map(|figures| figures.failed).sum::<u64>()
            );
        }
        text.push('\n');
    }
    text.push_str("## Differences within a round\n\n| | CPU us/request, median (each round) | of the first, % |\n|---|---|---:|\n");
    let pairs = [
        (Program::Bare, 1, Program::Gatewright, 1, Client::Plain),
        (Program::Bare, 1, Program::Gatewright, 1_000, Client::Plain),
        (Program::Gatewright, 1, Program::Gatewright, 1_000, Client::Plain),
        (Program::Gatewright, 1, Program::Gatewright, 10_000, Client::Plain),
        (Program::Nginx, 1, Program::Nginx, 1_000, Client::Plain),
        (Program::Nginx, 1, Program::Nginx, 10_000, Client::Plain),
        (Program::Nginx, 1, Program::Gatewright, 1, Client::Plain),
        (Program::Nginx, 1_000, Program::Gatewright, 1_000, Client::Plain),
        (Program::Haproxy, 1_000, Program::Gatewright, 1_000, Client::Plain),
        (Program::Gatewright, 1_000, Program::Logging, 1_000, Client::Plain),
        (Program::Bare, 1, Program::Gatewright, 1_000, Client::Tls),
        (Program::Nginx, 1_000, Program::Gatewright, 1_000, Client::Tls),
        (Program::Bare, 1, Program::Gatewright, 1_000, Client::Http2),
        (Program::Nginx, 1_000, Program::Gatewright, 1_000, Client::Http2),
    ];
    for (from, of, to, then, client) in pairs {
        let find = |program, routes| results.iter().find(|(contender, _)| *contender == Contender { program, routes, client });
        let (Some((from, before)), Some((to, after))) = (find(from, of), find(to, then)) else { continue };
        let differences: Vec<f64> = before.iter().zip(after).map(|(before, after)| after.cpu() - before.cpu()).collect();
        let each: Vec<String> = differences.iter().map(|difference| format!("{difference:+.1}")).collect();
        let base = median(before.iter().map(Figures::cpu).collect());
        let difference = median(differences);
        let _ = writeln!(
            text,
            "| {} {} to {} {}, {client:?} | **{difference:+.2}** ({}) | {:+.0} |",
            from.name(),
            from.routes,
            to.name(),
            to.routes,
            each.join(" "),
            difference / base * 100.0
        );
    }
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
