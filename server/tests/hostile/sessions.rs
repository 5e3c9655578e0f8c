//! Sessions: a token is believed only if it was sealed here for an endpoint that is there now ([R-B4], [SP-1] to [SP-5]).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use gatewright_server::echo::{self, Name};
use gatewright_server::proxy::Settings;
use http::StatusCode;

use super::Scenario;
use super::bounds::Memory;
use super::common::pki;
use super::common::tls::Client;
use super::common::{self, Answer, Live, fetch, fetch_tls};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("SES-001", addresses_are_no_tokens),
    ("SES-002", tokens_that_are_none),
    ("SES-004", endpoints_that_are_gone),
    ("SES-005", two_tokens),
    ("SES-006", one_name_exactly),
    ("SES-007", attributes),
    ("SES-009", forged_tokens_cost_nothing),
];

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
";

/// The last octets of the addresses of Service `many`.
const ENDPOINTS: [u8; 3] = [1, 2, 3];

/// A Service with three endpoints, each of which says which one it is, and another with one.
struct Backends {
    port: u16,
    other: u16,
}

impl Backends {
    async fn start() -> Self {
        let name = |service: String| Name { namespace: "default".into(), service };
        let other = echo::start(name("other".into()), None).await.unwrap().port();
        // A port that is free at one of the addresses may be taken at another.
        for _ in 0..50 {
            let port = echo::start(name("1".into()), None).await.unwrap().port();
            let address = |last: u8| SocketAddr::from(([127, 0, 0, last], port));
            let two = echo::start_at(address(2), name("2".into()), None).await;
            if two.is_ok() && echo::start_at(address(3), name("3".into()), None).await.is_ok() {
                return Self { port, other };
            }
        }
        panic!("no port is free at all addresses");
    }

    /// Manifests with these endpoints of `many`, each with its conditions, and the weights of both Services.
    fn manifests(&self, endpoints: &[(u8, &str)], weights: [u8; 2]) -> String {
        let endpoints: Vec<_> =
            endpoints.iter().map(|(last, conditions)| format!("{{addresses: [127.0.0.{last}], conditions: {{{conditions}}}}}")).collect();
        let slice = |service: &str, port: u16, endpoints: &str| {
            format!(
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {service}}}\nspec: {{ports: [{{port: 80}}]}}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {service}-1, labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: IPv4\nports: [{{port: {port}}}]\nendpoints: [{endpoints}]\n"
            )
        };
        let [many, other] = weights;
        let route = format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec:\n  parentRefs: [{{name: gw}}]\n  rules:\n  - sessionPersistence: {{sessionName: sess}}\n    backendRefs: [{{name: many, port: 80, weight: {many}}}, {{name: other, port: 80, weight: {other}}}]\n"
        );
        [GATEWAY, &route, &slice("many", self.port, &endpoints.join(", ")), &slice("other", self.other, "{addresses: [127.0.0.1]}")]
            .concat()
    }

    fn all(&self) -> String {
        self.manifests(&ENDPOINTS.map(|last| (last, "ready: true")), [1, 0])
    }
}

/// A gateway before three endpoints.
async fn three() -> (Live, Backends) {
    let backends = Backends::start().await;
    (Live::with_endpoints(&backends.all(), Settings::default()).await, backends)
}

async fn ask(live: &Live, cookies: &[&str]) -> Answer {
    let cookies: Vec<_> = cookies.iter().map(|cookie| ("cookie", *cookie)).collect();
    fetch(live.address(), "GET", "h", "/", &cookies, b"").await.unwrap()
}

/// The token of a new session, if the answer begins one.
fn token(answer: &Answer) -> Option<String> {
    let value = answer.headers.get("set-cookie")?.to_str().unwrap();
    Some(value.strip_prefix("sess=").unwrap().split(';').next().unwrap().to_owned())
}

/// A new session: its endpoint and its token.
async fn begin(live: &Live) -> (String, String) {
    let answer = ask(live, &[]).await;
    (answer.pod(), token(&answer).expect("a new session"))
}

/// Begins sessions until one is with another endpoint than this.
async fn begin_elsewhere(live: &Live, pod: &str) -> (String, String) {
    for _ in 0..200 {
        let begun = begin(live).await;
        if begun.0 != pod {
            return begun;
        }
    }
    panic!("every session is with endpoint {pod}");
}

/// Every request with this cookie stays with the endpoint.
async fn stays(live: &Live, cookie: &str, pod: &str) {
    for _ in 0..10 {
        assert_eq!(ask(live, &[cookie]).await.pod(), pod, "{cookie}");
    }
}

/// Requests with these cookies are balanced like any others, and each gets a token of its own.
async fn is_new(live: &Live, cookies: &[String]) {
    let mut pods = BTreeSet::new();
    for cookie in cookies.iter().cycle().take(40.max(cookies.len())) {
        let answer = ask(live, &[cookie]).await;
        assert_eq!(answer.status, StatusCode::OK, "{cookie:?}");
        assert!(token(&answer).is_some(), "{cookie:?} was believed");
        pods.insert(answer.pod());
    }
    assert!(pods.len() > 1, "{pods:?}");
}

fn addresses_are_no_tokens() {
    common::run(async {
        let (live, backends) = three().await;
        let cookie = |text: &str| format!("sess={}", gatewright_conformance::suite::base64(text.as_bytes()));
        let own = format!("127.0.0.1:{}", backends.port);
        is_new(&live, &[cookie("169.254.169.254:80"), cookie(&own), format!("sess={own}")]).await;
    });
}

fn tokens_that_are_none() {
    common::run(async {
        let (live, _) = three().await;
        let (pod, good) = begin(&live).await;
        stays(&live, &format!("sess={good}"), &pod).await;
        let mut bad = vec![String::new(), "A".repeat(8192), "\u{fc}\u{80}".to_owned(), "\"".to_owned(), "=".repeat(10)];
        for at in 0..good.len() {
            let other = if good.as_bytes()[at] == b'A' { "B" } else { "A" };
            bad.push([&good[..at], other, &good[at + 1..]].concat());
        }
        bad.extend((0..good.len()).step_by(7).map(|length| good[..length].to_owned()));
        bad.push(format!("{good}A"));
        let bad: Vec<_> = bad.iter().map(|token| format!("sess={token}")).collect();
        is_new(&live, &bad).await;
        // NUL is in no field value, and ends nobody else's request.
        let outcome = super::wire::http1(live.address(), b"GET / HTTP/1.1\r\nHost: h\r\nCookie: sess=a\0b\r\n\r\n").await;
        assert_eq!(outcome.statuses(), [400], "{outcome:?}");
    });
}

fn endpoints_that_are_gone() {
    common::run(async {
        let (mut live, backends) = three().await;
        let (pod, good) = begin(&live).await;
        let cookie = format!("sess={good}");
        let with = |conditions: &'static str| {
            let kept = ENDPOINTS.iter().filter(|last| !conditions.is_empty() || last.to_string() != pod);
            let endpoints: Vec<_> = kept.map(|last| (*last, if last.to_string() == pod { conditions } else { "ready: true" })).collect();
            backends.manifests(&endpoints, [1, 0])
        };
        for conditions in ["", "ready: false", "ready: false, serving: true, terminating: true"] {
            live.publish(&with(conditions));
            let answer = ask(&live, &[&cookie]).await;
            assert!(answer.status == StatusCode::OK && answer.pod() != pod && token(&answer).is_some(), "{conditions}: {answer:?}");
            is_new(&live, std::slice::from_ref(&cookie)).await;
        }
        // [SP-1]: an established session stays also where the weight is zero by now; the specification says so, and a weight
        // of zero is how a backend is emptied of sessions without breaking any.
        live.publish(&backends.manifests(&ENDPOINTS.map(|last| (last, "ready: true")), [0, 1]));
        stays(&live, &cookie, &pod).await;
        assert_eq!(begin(&live).await.0, "other");
    });
}

fn two_tokens() {
    common::run(async {
        let (live, _) = three().await;
        let (first, one) = begin(&live).await;
        let (second, two) = begin_elsewhere(&live, &first).await;
        stays(&live, &format!("sess={one}; sess={two}"), &first).await;
        stays(&live, &format!("sess={two}; sess={one}"), &second).await;
        // The first one that is valid: one that is not is passed over.
        stays(&live, &format!("sess=forged; sess={two}"), &second).await;
        assert_eq!(ask(&live, &["sess=forged", &format!("a=b; sess={two}")]).await.pod(), second);
    });
}

fn one_name_exactly() {
    common::run(async {
        let (live, _) = three().await;
        let (pod, good) = begin(&live).await;
        stays(&live, &format!("x=1; sess={good}"), &pod).await;
        let others = ["\"sess\"", "SESS", "__Host-sess", "xsess", "sess2", "Sess"].map(|name| format!("x=1; {name}={good}"));
        is_new(&live, &others).await;
    });
}

fn attributes() {
    common::run(async {
        let own = pki::server(&["h.example.com"]);
        let backends = Backends::start().await;
        let secure = "{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: own}]}}";
        let manifests = backends.all().replace("protocol: HTTP}]", &format!("protocol: HTTP}}, {secure}]")) + &own.secret("own");
        let live = Live::with_endpoints(&manifests, Settings::default()).await;
        let client = Client { sni: "h.example.com", ..Client::default() };
        let inside = fetch_tls(live.port(443), client, "GET", "h.example.com", "/", &[]).await.0.unwrap();
        let outside = fetch(live.port(80), "GET", "h.example.com", "/", &[], b"").await.unwrap();
        for (answer, is_secure) in [(inside, true), (outside, false)] {
            let cookie = answer.headers["set-cookie"].to_str().unwrap();
            let attributes: Vec<_> = cookie.split("; ").skip(1).collect();
            for wanted in ["HttpOnly", "SameSite=Strict", "Path=/"] {
                assert!(attributes.contains(&wanted), "{cookie}");
            }
            assert_eq!(attributes.contains(&"Secure"), is_secure, "{cookie}");
        }
    });
}

/// Fewer than the vector has: each is a request on one connection.
fn forged_tokens_cost_nothing() {
    common::run(async {
        let (live, _) = three().await;
        let (pod, good) = begin(&live).await;
        let memory = Memory::now();
        let mut sent = 0;
        while sent < 3000 {
            let forged = (sent..sent + 500).map(|n| format!("GET / HTTP/1.1\r\nHost: h\r\nCookie: sess={n:0>600}\r\n\r\n"));
            let outcome = super::wire::http1(live.address(), forged.collect::<String>().as_bytes()).await;
            assert_eq!(outcome.statuses(), [200; 500]);
            sent += 500;
        }
        memory.has_not_grown();
        stays(&live, &format!("sess={good}"), &pod).await;
    });
}
