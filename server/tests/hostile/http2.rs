//! HTTP/2 against its rules: lengths that do not fit, trailers that would be header fields, and floods ([R-S7]).

use std::net::SocketAddr;
use std::time::Duration;

use gatewright_server::proxy::{Limits, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinHandle;

use super::Scenario;
use super::bounds::{Bystander, Memory, PATIENCE};
use super::common;
use super::common::recorded::Recorded;
use super::endless::Endless;
use super::upgrades::TWO;
use super::wire::{self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, WINDOW, block, frame};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("H2-056", lengths_that_do_not_fit),
    ("H2-057", trailers_are_no_fields),
    ("H2-059", made_to_reset),
    ("H2-060", heads_without_end),
    ("H2-061", empty_data),
    ("H2-062", a_table_entry_again_and_again),
    ("H2-064", answers_that_nobody_takes),
    ("H2-065", a_table_without_bound),
    ("H2-066", duplicates_that_are_discarded),
];

/// Frames of a flood. A vector may have more: a test runs beside others, unoptimised.
const FLOOD: usize = 20_000;

/// Fields of a request.
fn request(method: &str, target: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", method), (":scheme", "http"), (":path", target), (":authority", "a.example")];
    let owned = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    block(&own.iter().chain(more).map(owned).collect::<Vec<_>>())
}

/// A literal that goes into the table (RFC 7541 section 6.2.1), where it is entry 62.
fn indexed(name: &str, value: &str) -> Vec<u8> {
    let mut literal = block(&[(name.into(), value.into())]);
    literal[0] = 0x40;
    literal
}

/// Entry 62 (RFC 7541 section 6.1).
const NEWEST: u8 = 0x80 | 62;

/// A connection that is written to without a look at what comes back.
struct Attack {
    writing: OwnedWriteHalf,
    reading: JoinHandle<()>,
}

impl Attack {
    async fn begin(address: SocketAddr, settings: &[u8]) -> Self {
        let (mut read, writing) = TcpStream::connect(address).await.unwrap().into_split();
        let reading = tokio::spawn(async move {
            // A reset is an end like any other.
            let _ = tokio::io::copy(&mut read, &mut tokio::io::sink()).await;
        });
        let mut this = Self { writing, reading };
        this.send(&[wire::PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await;
        this
    }

    /// False when the server has heard enough.
    async fn send(&mut self, octets: &[u8]) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.writing.write_all(octets)).await;
        sent.expect("the server neither reads nor closes").is_ok() && !self.reading.is_finished()
    }

    /// The server has closed the connection.
    async fn must_be_closed(self) {
        tokio::time::timeout(PATIENCE, self.reading).await.expect("the connection is still open").unwrap();
    }
}

fn lengths_that_do_not_fit() {
    common::run(async {
        let mut gateway = Recorded::start(TWO).await;
        for (length, sent) in [("10", 5), ("1", 5), ("0", 5), ("5", 0)] {
            let head = frame(HEADERS, END_HEADERS, 1, &request("POST", "/public", &[("content-length", length)]));
            let data = frame(DATA, END_STREAM, 1, &vec![b'x'; sent]);
            let outcome = wire::frames(gateway.address(), &[head, data].concat()).await;
            assert!(outcome.statuses() == [400] || outcome.is_reset(), "{length}: {outcome:?}");
        }
        assert!(gateway.reached().await.is_empty());
        // And one that fits, on connections to the backend that carry nothing of the others.
        let head = frame(HEADERS, END_HEADERS, 1, &request("POST", "/public", &[("content-length", "5")]));
        let outcome = wire::frames(gateway.address(), &[head, frame(DATA, END_STREAM, 1, b"xxxxx")].concat()).await;
        let reached = gateway.reached().await;
        assert!(outcome.statuses() == [200] && reached.len() == 1 && reached[0].body == 5, "{outcome:?}; {reached:?}");
    });
}

fn trailers_are_no_fields() {
    // Over HTTP/2 a backend would get every trailer, over HTTP/1 those that were announced.
    let services = ["admin", "public"].map(|name| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80, appProtocol: kubernetes.io/h2c}}]}}\n"
        )
    });
    for (services, version) in [(String::new(), "HTTP/1.1"), (services.concat(), "HTTP/2.0")] {
        common::run(trailers_come_to_nothing(&(TWO.to_owned() + &services), version));
    }
}

async fn trailers_come_to_nothing(manifests: &str, version: &str) {
    let mut gateway = Recorded::start(manifests).await;
    let with = async |trailers: &[(&str, &str)]| {
        let trailers: Vec<_> = trailers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        let head = frame(HEADERS, END_HEADERS, 1, &request("POST", "/public", &[("trailer", "host, x-other")]));
        let last = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&trailers));
        wire::frames(gateway.address(), &[head, frame(DATA, 0, 1, b"x"), last].concat()).await
    };
    let forwarded = with(&[("host", "evil"), ("x_forwarded_for", "evil"), ("x-forwarded-for", "evil"), ("x-other", "evil")]).await;
    let pseudo = with(&[(":path", "/admin")]).await;
    assert_eq!(forwarded.statuses(), [200], "{forwarded:?}");
    // Malformed by RFC 9113 section 8.1; the HTTP/2 library drops pseudo-fields in trailers before anyone sees them.
    assert!([&[200][..], &[400]].contains(&&*pseudo.statuses()) || pseudo.is_reset(), "{pseudo:?}");
    for echo in gateway.reached().await {
        assert_eq!(echo.proto, version);
        assert!(echo.trailers.is_empty() && (&*echo.pod, &*echo.path) == ("public", "/public"), "{echo:?}");
        assert!(echo.headers.iter().all(|(_, value)| !value.contains("evil")), "{echo:?}");
    }
}

/// A flood: `frames` says what is sent in each step. Others are served meanwhile, and memory stays where it is.
async fn flood(gateway: &Recorded, steps: usize, frames: impl Fn(u32) -> Vec<u8>) -> Attack {
    let (memory, bystander) = (Memory::now(), Bystander::of(gateway.address(), "a.example"));
    let mut attack = Attack::begin(gateway.address(), b"").await;
    for step in 0..u32::try_from(steps).unwrap() {
        if !attack.send(&frames(step)).await {
            break;
        }
    }
    memory.has_not_grown();
    bystander.must_be_served(gateway.address(), "a.example").await;
    attack
}

/// A gateway that ends no connection just because it takes its time.
async fn patient(resolve: &[(&str, SocketAddr)]) -> Recorded {
    let long = Duration::from_secs(600);
    let limits = Limits { head: long, idle: long, ..Limits::default() };
    Recorded::start_with(TWO, resolve, Settings { limits, ..Settings::default() }).await
}

/// CVE-2025-8671: the server is made to reset what it has just begun.
fn made_to_reset() {
    common::run(async {
        let gateway = patient(&[]).await;
        let begun = |stream| frame(HEADERS, END_HEADERS, stream, &request("POST", "/public?delay=1s", &[("content-length", "1")]));
        // More data than was said, or an update by nothing.
        let too_much = flood(&gateway, FLOOD, |step| [begun(2 * step + 1), frame(DATA, 0, 2 * step + 1, b"xxxxx")].concat());
        too_much.await.must_be_closed().await;
        let nothing = flood(&gateway, FLOOD, |step| [begun(2 * step + 1), frame(WINDOW, 0, 2 * step + 1, &[0; 4])].concat());
        nothing.await.must_be_closed().await;
    });
}

/// CVE-2024-27316.
fn heads_without_end() {
    common::run(async {
        let mut gateway = patient(&[]).await;
        let attack = flood(&gateway, FLOOD, |step| match step {
            0 => frame(HEADERS, END_STREAM, 1, &request("GET", "/admin", &[])),
            // `accept-encoding: gzip, deflate`.
            _ => frame(CONTINUATION, 0, 1, &[0x80 | 16]),
        });
        attack.await.must_be_closed().await;
        assert!(gateway.reached().await.iter().all(|echo| echo.pod != "admin"));
    });
}

fn empty_data() {
    common::run(async {
        // A backend that is not connected to as long as the flood lasts, so that nobody reads the body.
        let full = Full::start().await;
        let gateway = patient(&[("default/admin:80", full.address)]).await;
        let attack = flood(&gateway, FLOOD, |step| match step {
            0 => frame(HEADERS, END_HEADERS, 1, &request("POST", "/admin", &[])),
            _ => frame(DATA, 0, 1, b""),
        });
        attack.await.must_be_closed().await;
    });
}

/// A port whose queue is full: connecting to it takes until the time for it is over.
struct Full {
    address: SocketAddr,
    _socket: tokio::net::TcpListener,
    _queued: Vec<TcpStream>,
}

impl Full {
    async fn start() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let socket = socket.listen(1).unwrap();
        let (address, mut queued) = (socket.local_addr().unwrap(), Vec::new());
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queued.push(stream);
        }
        Self { address, _socket: socket, _queued: queued }
    }
}

/// Requests of one octet for each of many fields; none of them gets anywhere.
fn references(name: &'static str, value: &str) {
    common::run(async {
        let mut gateway = patient(&[]).await;
        let first = frame(HEADERS, END_HEADERS | END_STREAM, 1, &[request("GET", "/public", &[]), indexed(name, value)].concat());
        let outcome = wire::frames(gateway.address(), &first).await;
        assert_eq!(outcome.statuses(), [200], "{outcome:?}");
        let reached = gateway.reached().await;
        assert!(reached[0].headers.contains(&(name.into(), value.into())), "{reached:?}");
        let attack = flood(&gateway, 100, |step| {
            let stream = 2 * step + 3;
            let head = frame(HEADERS, END_STREAM, stream, &request("GET", "/admin", &[]));
            let again = [head, frame(CONTINUATION, END_HEADERS, stream, &[NEWEST; 16_384])].concat();
            if step == 0 { [first.clone(), again].concat() } else { again }
        });
        attack.await.must_be_closed().await;
        assert!(gateway.reached().await.iter().all(|echo| echo.pod != "admin"), "the references were forwarded");
    });
}

/// CVE-2026-47774.
fn a_table_entry_again_and_again() {
    references("a", &"v".repeat(4000));
}

/// CVE-2026-73550.
fn duplicates_that_are_discarded() {
    references("host", "a.example");
}

/// CVE-2019-9511, CVE-2019-9517.
fn answers_that_nobody_takes() {
    common::run(async {
        let backend = Endless::start("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", vec![b'x'; 64 * 1024]).await;
        let limits = Limits { idle: Duration::from_secs(1), ..Limits::default() };
        let settings = Settings { limits, ..Settings::default() };
        let gateway = Recorded::start_with(TWO, &[("default/admin:80", backend.address)], settings).await;
        let (memory, bystander) = (Memory::now(), Bystander::of(gateway.address(), "a.example"));
        // SETTINGS_INITIAL_WINDOW_SIZE is 4.
        let mut attack = Attack::begin(gateway.address(), &[0, 4, 0, 0, 0, 0]).await;
        for n in 0..100 {
            assert!(attack.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &request("GET", "/admin", &[]))).await);
        }
        // The client never updates; nor does it say that it is gone.
        attack.must_be_closed().await;
        assert_eq!(backend.accepted(), 100);
        backend.is_left().await;
        memory.has_not_grown();
        bystander.must_be_served(gateway.address(), "a.example").await;

        // Whoever speaks HTTP/1 need only not read.
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(b"GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        backend.is_left().await;
        drop(stream);
    });
}

fn a_table_without_bound() {
    common::run(async {
        let gateway = patient(&[]).await;
        let memory = Memory::now();
        // SETTINGS_HEADER_TABLE_SIZE is 1.
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(&[wire::PREFACE, &frame(SETTINGS, 0, 0, &[0, 1, 0xff, 0xff, 0xff, 0xff])].concat()).await.unwrap();
        let mut octets = Vec::new();
        // Each answer has a field that the other side would like to see in the table.
        for n in 0..2000 {
            let field = format!("x-n:{n:0>2000}");
            // Updates of the size of the table that the gateway reads by: within what it offers.
            let updates = [0x20, 0x3f, 0xe1, 0x1f];
            let fields = [&updates[..], &request("HEAD", "/public", &[("x-echo-set-header", &field)])].concat();
            stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &fields)).await.unwrap();
            while wire::heads(&octets) <= usize::try_from(n).unwrap() {
                let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut octets)).await.expect("no answer").unwrap();
                assert!(read > 0, "the connection was closed after {n}");
            }
        }
        memory.has_not_grown();
        // Beyond what is offered: the connection ends (RFC 7541 section 4.2).
        let mut attack = Attack::begin(gateway.address(), b"").await;
        let fields = [&[0x3f, 0xff, 0xff, 0xff, 0x7f][..], &request("GET", "/public", &[])].concat();
        attack.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)).await;
        attack.must_be_closed().await;
    });
}
