//! Header fields that clients and backends make up.

use gatewright_server::proxy::Settings;

use super::Scenario;
use super::common::recorded::Recorded;
use super::common::scripted::{Scripted, Then};
use super::common::{self, fetch};
use super::upgrades::TWO;

pub(super) const SCENARIOS: &[Scenario] =
    &[("CORS-034", one_origin), ("HOP-017", claims_of_clients), ("HOP-019", loops_end), ("OBS-004", no_way_to_the_admin_port)];

fn one_origin() {
    common::run(async {
        let answer = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n";
        let backend = Scripted::start(answer, Then::Stays).await;
        let cors = "    filters: [{type: CORS, cors: {allowOrigins: ['https://www.foo.com'], allowCredentials: true}}]\n    backendRefs: [{name: admin";
        let manifests = TWO.replace("    backendRefs: [{name: admin", cors);
        let gateway = Recorded::start_with(&manifests, &[("default/admin:80", backend.address)], Settings::default()).await;
        let answer = fetch(gateway.address(), "GET", "a.example", "/admin", &[("origin", "https://www.foo.com")], b"").await.unwrap();
        let origins: Vec<_> = answer.headers.get_all("access-control-allow-origin").iter().collect();
        assert_eq!(origins, ["https://www.foo.com"]);
    });
}

fn claims_of_clients() {
    common::run(async {
        let mut gateway = Recorded::start(TWO).await;
        let claims = [
            ("x-forwarded-for", "evil"),
            ("x-forwarded-proto", "evil"),
            ("x-forwarded-port", "evil"),
            ("x-forwarded-prefix", "/evil"),
            ("x-forwarded-client-cert", "evil"),
            ("x-real-ip", "evil"),
            ("forwarded", "for=evil"),
            ("via", "1.1 evil"),
            ("x-envoy-original-path", "/evil"),
            ("x-envoy-internal", "evil"),
        ];
        fetch(gateway.address(), "GET", "a.example", "/", &claims, b"").await.unwrap();
        let reached = gateway.reached().await;
        let evil: Vec<_> = reached[0].headers.iter().filter(|(_, value)| value.contains("evil")).collect();
        assert!(evil.is_empty(), "{evil:?}");
        assert!(reached[0].headers.contains(&("x-forwarded-for".into(), "127.0.0.1".into())), "{reached:?}");
        assert!(reached[0].headers.contains(&("via".into(), "1.1 gatewright".into())), "{reached:?}");
    });
}

fn loops_end() {
    common::run(async {
        let mut gateway = Recorded::start(TWO).await;
        for (times, status) in [(9, 200), (10, 508)] {
            let via = vec!["1.1 gatewright"; times].join(", ");
            let answer = fetch(gateway.address(), "GET", "a.example", "/", &[("via", &via)], b"").await.unwrap();
            assert_eq!(answer.status, status);
        }
        let reached = gateway.reached().await;
        let via = reached[0].headers.iter().find(|(name, _)| name == "via").map(|(_, value)| value.matches("gatewright").count());
        assert_eq!((reached.len(), via), (1, Some(10)));
    });
}

fn no_way_to_the_admin_port() {
    common::run(async {
        let only_admin = TWO.replace("  - backendRefs: [{name: public, port: 80}]\n", "");
        let gateway = Recorded::start(&only_admin).await;
        for target in ["/metrics", "/healthz", "/readyz", "/config", "/debug", "/debug/config", "/debug/routes"] {
            for host in ["localhost", "127.0.0.1:9901", "admin"] {
                assert_eq!(fetch(gateway.address(), "GET", host, target, &[], b"").await.unwrap().status, 404, "{host} {target}");
            }
        }
    });
}
