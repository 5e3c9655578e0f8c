//! Session persistence through the table: the rules of [SP-1] to [SP-9] on small manifests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects, reason = "helpers of tests")]

use gatewright::decision::Forward;
use gatewright::session::{SessionKey, SessionKeys, Sessions};
use gatewright::table::{Endpoint, Endpoints};
use gatewright::{Arrival, Authority, Code, Compiled, Decision, MissingServices, Options, Pick, Request, compile};

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: any
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}
---
apiVersion: v1
kind: Secret
metadata: {name: cert}
type: kubernetes.io/tls
data: {tls.crt: LS0t, tls.key: LS0t}
";

fn service(name: &str, addresses: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{port: 8080}}]
endpoints: [{{addresses: [{}]}}]
",
        addresses.replace(' ', "]}, {addresses: [")
    )
}

fn route(name: &str, rules: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\nspec:\n  parentRefs: [{{name: gw}}]\n  rules:\n{rules}\n"
    )
}

fn compiled(text: &str) -> Compiled {
    let loaded = gatewright::load::load_text("t", &format!("{GATEWAY}{text}"));
    assert!(!loaded.is_broken(), "{:#?}", loaded.diagnostics);
    let mut options = Options::default();
    options.missing_services = MissingServices::NotFound;
    compile(&loaded.resources, &options)
}

fn keys() -> SessionKeys {
    SessionKeys::new(SessionKey::new(1, &[7; 32]), [])
}

/// One client: it keeps what the gateway tells it to send.
struct Client {
    headers: Vec<(String, String)>,
    now: u64,
}

impl Client {
    fn new() -> Self {
        Self { headers: Vec::new(), now: 1000 }
    }

    /// Sends a request; gives the backend and endpoint that answer it and the field it was told, if it was.
    fn send(&mut self, compiled: &Compiled, port: u16, pick: u64) -> (String, Option<(String, String)>) {
        let table = &compiled.table;
        let port = table.find_port(table.gateways()[0].id, port).unwrap();
        let arrival = Arrival::with_sni(port.id, "h");
        let headers = self.headers.clone();
        let request = Request { arrival, method: "GET", scheme: None, authority: Authority::Given(b"h"), target: b"/", headers: &headers };
        let keys = keys();
        let sessions = Sessions { keys: &keys, now: self.now };
        match table.decide_with_sessions(&request, Pick(pick), &sessions) {
            Decision::Forward(forward) => self.follow(compiled, &forward, pick, &sessions),
            Decision::Respond(respond) => (respond.reason.as_str().to_owned(), None),
            other => panic!("{other:?}"),
        }
    }

    fn follow(
        &mut self,
        compiled: &Compiled,
        forward: &Forward<'_>,
        pick: u64,
        sessions: &Sessions<'_>,
    ) -> (String, Option<(String, String)>) {
        let backend = compiled.table.backend(forward.backend).unwrap();
        let endpoint = match &backend.endpoints {
            Endpoints::Known(list) => Some(
                forward.session.and_then(|s| s.endpoint()).unwrap_or_else(|| &list[usize::try_from(pick % list.len() as u64).unwrap()]),
            ),
            _ => None,
        };
        let told = compiled.table.session_field(forward, endpoint, sessions);
        if let Some((name, value)) = &told {
            let value = value.to_str().unwrap();
            let field = match name.as_str() {
                "set-cookie" => ("cookie".to_owned(), format!("other=1; {}", value.split(';').next().unwrap())),
                name => (name.to_owned(), value.to_owned()),
            };
            self.headers.retain(|(name, _)| *name != field.0);
            self.headers.push(field);
        }
        let at = endpoint.map(|e: &Endpoint| e.to_string()).unwrap_or_default();
        (format!("{} {at}", backend.object.name), told.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())))
    }
}

const TOP: u64 = u64::MAX;

/// [SP-1], [SP-3], [SP-5], [U-43]
#[test]
fn a_session_stays_with_its_endpoint() {
    let services = service("a", "10.0.0.1 10.0.0.2 10.0.0.3") + &service("b", "10.0.1.1");
    let web = |weights: (u32, u32)| {
        route(
            "web",
            &format!(
                "  - sessionPersistence: {{sessionName: sid, absoluteTimeout: 1h}}\n    backendRefs: [{{name: a, port: 80, weight: {}}}, {{name: b, port: 80, weight: {}}}]",
                weights.0, weights.1
            ),
        )
    };
    let first = compiled(&format!("{services}{}", web((1, 1))));
    let mut client = Client::new();
    let (to, told) = client.send(&first, 80, 1);
    assert_eq!(to, "a 10.0.0.2:8080");
    let (name, value) = told.unwrap();
    assert_eq!(name, "set-cookie");
    assert!(value.starts_with("sid=") && value.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{value}");
    assert!(!value.contains("10.0"));
    // Whatever is picked now, and even when the weight is zero: it stays, and is told nothing new.
    for pick in [0, 2, 5, TOP] {
        assert_eq!(client.send(&first, 80, pick), ("a 10.0.0.2:8080".to_owned(), None), "{pick}");
    }
    let zero = compiled(&format!("{services}{}", web((0, 1))));
    assert_eq!(client.send(&zero, 80, 0).0, "a 10.0.0.2:8080");
    assert_eq!(Client::new().send(&zero, 80, 0).0, "b 10.0.1.1:8080");
    // Another client's weights are not touched, nor is a made-up cookie believed.
    let mut liar = Client::new();
    liar.headers.push(("cookie".to_owned(), "sid=AAAA".to_owned()));
    assert_eq!(liar.send(&first, 80, TOP).0, "b 10.0.1.1:8080");
    // The endpoint is gone: the client is balanced anew and told.
    let gone = compiled(&format!("{}{}{}", service("a", "10.0.0.1"), service("b", "10.0.1.1"), web((1, 1))));
    let (to, told) = client.send(&gone, 80, TOP);
    assert!(to == "b 10.0.1.1:8080" && told.is_some(), "{to}");
    assert_eq!(client.send(&gone, 80, 0), (to, None));
    // The session is over.
    client.now += 3600;
    let (to, told) = client.send(&gone, 80, 0);
    assert!(to == "a 10.0.0.1:8080" && told.is_some(), "{to}");
    // The backend itself is gone.
    let missing = compiled(&format!("{}{}", service("b", "10.0.1.1"), web((1, 1))));
    assert_eq!(client.send(&missing, 80, 0).0, "InvalidBackend");
    assert_eq!(client.send(&missing, 80, TOP).0, "b 10.0.1.1:8080");
}

/// [SP-2], [SP-6]: a field of its own, and no sharing between rules, routes and listeners' schemes.
#[test]
fn headers_scopes_and_secure_cookies() {
    let services = service("a", "10.0.0.1 10.0.0.2 10.0.0.3");
    let rule = |session: &str| format!("  - sessionPersistence: {session}\n    backendRefs: [{{name: a, port: 80}}]");
    let header = compiled(&format!("{services}{}", route("web", &rule("{type: Header, sessionName: X-Sid}"))));
    let mut client = Client::new();
    let (to, told) = client.send(&header, 80, 1);
    assert_eq!((to.as_str(), told.unwrap().0.as_str()), ("a 10.0.0.2:8080", "x-sid"));
    assert_eq!(client.send(&header, 80, 0), (to, None));
    // The same name in another route is another session.
    let other = compiled(&format!("{services}{}", route("web2", &rule("{type: Header, sessionName: X-Sid}"))));
    assert_eq!(client.send(&other, 80, 0).0, "a 10.0.0.1:8080");
    // Without a name one is made, the same every time; a cookie of a TLS listener is `Secure`.
    let unnamed = compiled(&format!("{services}{}", route("web", &rule("{}"))));
    let (_, told) = Client::new().send(&unnamed, 443, 0);
    let (_, again) = Client::new().send(&unnamed, 443, 0);
    assert_eq!(told, again);
    let value = told.unwrap().1;
    assert!(value.starts_with("gw-session-") && value.ends_with("; Secure"), "{value}");
    let permanent = rule("{sessionName: s, absoluteTimeout: 90s, cookieConfig: {lifetimeType: Permanent}}");
    let (_, told) = Client::new().send(&compiled(&format!("{services}{}", route("web", &permanent))), 80, 0);
    assert!(told.unwrap().1.contains("; Max-Age=90;"));
    let next_release = rule("{cookie: {name: s, path: /app, lifetimeType: Session}}");
    let (_, told) = Client::new().send(&compiled(&format!("{services}{}", route("web", &next_release))), 80, 0);
    assert!(told.unwrap().1.contains("; Path=/app;"));
}

/// [U-45]: a backend listed twice is two places, and a session keeps the one it had.
#[test]
fn a_backend_listed_twice() {
    let entry = |n: u32| {
        format!(
            "{{name: a, port: 80, filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-place, value: \"{n}\"}}]}}}}]}}"
        )
    };
    let rules = format!("  - sessionPersistence: {{sessionName: sid}}\n    backendRefs: [{}, {}]", entry(0), entry(1));
    let compiled = compiled(&format!("{}{}", service("a", "10.0.0.1 10.0.0.2"), route("web", &rules)));
    let place = |client: &mut Client, pick: u64| {
        let table = &compiled.table;
        let headers = client.headers.clone();
        let request = Request {
            arrival: Arrival::on(table.ports()[0].id),
            method: "GET",
            scheme: None,
            authority: Authority::Given(b"h"),
            target: b"/",
            headers: &headers,
        };
        let keys = keys();
        let sessions = Sessions { keys: &keys, now: 1000 };
        let Decision::Forward(forward) = table.decide_with_sessions(&request, Pick(pick), &sessions) else { panic!("not forwarded") };
        client.follow(&compiled, &forward, pick, &sessions);
        let first = forward.response.headers().modifiers().next().unwrap();
        first.set()[0].1.to_str().unwrap().to_owned()
    };
    for (pick, expected) in [(0, "0"), (TOP, "1")] {
        let mut client = Client::new();
        assert_eq!(place(&mut client, pick), expected);
        assert_eq!((place(&mut client, 0), place(&mut client, TOP)), (expected.to_owned(), expected.to_owned()));
    }
}

/// A backend that is found by its name is pinned as a whole.
#[test]
fn unknown_endpoints() {
    let services =
        ["a", "b"].map(|name| format!("---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n"));
    let rules = "  - sessionPersistence: {sessionName: sid}\n    backendRefs: [{name: a, port: 80}, {name: b, port: 80}]";
    let compiled = compiled(&format!("{}{}", services.concat(), route("web", rules)));
    let mut client = Client::new();
    assert_eq!(client.send(&compiled, 80, TOP).0, "b ");
    assert_eq!(client.send(&compiled, 80, 0), ("b ".to_owned(), None));
}

/// [SP-4]: two rules that would write over each other's session are told.
#[test]
fn names_that_meet_on_a_host() {
    let session = |name: &str| format!("sessionPersistence: {name}");
    let rules = |first: &str, second: &str| {
        format!(
            "  - {{matches: [{{path: {{value: /a}}}}], {}, backendRefs: [{{name: a, port: 80}}]}}\n  - {{{}, backendRefs: [{{name: a, port: 80}}]}}",
            session(first),
            session(second)
        )
    };
    for (first, second, expected) in [
        ("{sessionName: sid}", "{sessionName: sid}", 1),
        ("{sessionName: sid}", "{sessionName: SID}", 0),
        ("{type: Header, sessionName: x-sid}", "{type: Header, sessionName: X-Sid}", 1),
        ("{type: Header, sessionName: sid}", "{sessionName: sid}", 0),
        ("{}", "{}", 0),
    ] {
        let compiled = compiled(&format!("{}{}", service("a", "10.0.0.1"), route("web", &rules(first, second))));
        let told: Vec<_> = compiled.diagnostics.iter().filter(|d| d.code == Code::SessionName).collect();
        assert_eq!(told.len(), expected, "{first} {second}: {told:?}");
        assert!(
            told.iter()
                .all(|d| d.path == "spec.rules[1].sessionPersistence" && d.message.contains("spec.rules[0] of HTTPRoute/default/web"))
        );
    }
}

fn policy(name: &str, session: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\nmetadata: {{name: {name}}}\nspec: {{targetRefs: [{{group: \"\", kind: Service, name: {name}}}], sessionPersistence: {session}}}\n"
    )
}

/// [SP-6], [SP-7]: sessions that backends ask for.
#[test]
fn sessions_of_backends() {
    let services = service("a", "10.0.0.1 10.0.0.2 10.0.0.3") + &service("b", "10.0.1.1 10.0.1.2");
    let rules = "  - backendRefs: [{name: a, port: 80}, {name: b, port: 80}]";
    // Every backend asks: a client stays where it is, whatever the weights say.
    let all = compiled(&(services.clone() + &route("web", rules) + &policy("a", "{}") + &policy("b", "{}")));
    let mut client = Client::new();
    assert_eq!(client.send(&all, 80, 1).0, "a 10.0.0.2:8080");
    for pick in [0, 2, TOP] {
        assert_eq!(client.send(&all, 80, pick), ("a 10.0.0.2:8080".to_owned(), None), "{pick}");
    }
    // Only one asks: weights come first, and the session holds inside of that backend.
    let some = compiled(&(services.clone() + &route("web", rules) + &policy("a", "{}")));
    let mut client = Client::new();
    assert_eq!(client.send(&some, 80, 2).0, "a 10.0.0.3:8080");
    assert_eq!(client.send(&some, 80, TOP).0, "b 10.0.1.2:8080");
    assert_eq!(client.send(&some, 80, 0), ("a 10.0.0.3:8080".to_owned(), None));
    // A session of the policy is the Service's: another rule keeps it. A rule's own comes before it.
    let rules = "  - {matches: [{path: {type: Exact, value: /}}], backendRefs: [{name: a, port: 80}]}";
    let another = compiled(&(services.clone() + &route("other", rules) + &policy("a", "{}")));
    assert_eq!(client.send(&another, 80, 0), ("a 10.0.0.3:8080".to_owned(), None));
    let own = "  - {sessionPersistence: {sessionName: own}, backendRefs: [{name: a, port: 80}]}";
    let own = compiled(&(services + &route("web", own) + &policy("a", "{}")));
    let (_, told) = client.send(&own, 80, 0);
    assert!(told.unwrap().1.starts_with("own="));
}
