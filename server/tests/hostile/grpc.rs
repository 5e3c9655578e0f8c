//! gRPC: service and method are two whole elements of the canonical path, and what is no call is answered as none.

use http::StatusCode;

use super::Scenario;
use super::common::recorded::Recorded;
use super::common::{self, Answer, fetch, fetch_h2};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("GRPC-001", a_call),
    ("GRPC-002", dots_are_resolved_first),
    ("GRPC-004", two_elements_with_case),
    ("GRPC-005", a_service_is_no_prefix),
    ("GRPC-006", what_is_no_call),
    ("GRPC-007", no_valid_backend),
];

const CALLS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: g}
spec:
  parentRefs: [{name: gw}]
  hostnames: [grpc.example.com]
  rules:
  - matches: [{method: {service: pkg.Admin, method: Delete}}]
    backendRefs: [{name: admin, port: 80}]
  - matches: [{method: {service: pkg.Public}}]
    backendRefs: [{name: public, port: 80}]
";

const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc"), ("te", "trailers")];

async fn call(gateway: &Recorded, path: &str) -> Answer {
    fetch_h2(gateway.address(), "POST", "grpc.example.com", path, GRPC, b"\0\0\0\0\0").await.unwrap()
}

/// The status of a call, from the trailers or from a head that is all there is.
fn status(answer: &Answer) -> Option<&[u8]> {
    let trailer = answer.trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    trailer.or_else(|| answer.headers.get("grpc-status")).map(http::HeaderValue::as_bytes)
}

/// The calls reach this backend under this path.
fn reaches(paths: &[&str], pod: &str, path: &str) {
    common::run(async {
        let mut gateway = Recorded::start(CALLS).await;
        for sent in paths {
            let answer = call(&gateway, sent).await;
            assert_eq!((answer.status, status(&answer)), (StatusCode::OK, Some(&b"0"[..])), "{sent}: {answer:?}");
            let reached = gateway.reached().await;
            assert_eq!((&*reached[0].pod, &*reached[0].path), (pod, path), "{sent}");
        }
    });
}

/// Nobody gets the calls: UNIMPLEMENTED.
fn reaches_nobody(paths: &[&str]) {
    common::run(async {
        let mut gateway = Recorded::start(CALLS).await;
        for sent in paths {
            let answer = call(&gateway, sent).await;
            assert_eq!((answer.status, status(&answer)), (StatusCode::OK, Some(&b"12"[..])), "{sent}: {answer:?}");
        }
        assert!(gateway.reached().await.is_empty());
    });
}

fn a_call() {
    reaches(&["/pkg.Admin/Delete"], "admin", "/pkg.Admin/Delete");
}

fn dots_are_resolved_first() {
    reaches(&["/pkg.Public/../pkg.Admin/Delete", "/pkg.Public/%2e%2e/pkg.Admin/Delete"], "admin", "/pkg.Admin/Delete");
}

fn two_elements_with_case() {
    reaches_nobody(&["/pkg.Admin/Delete/", "/pkg.Admin", "/pkg.Admin/", "/pkg.admin/delete", "/x/pkg.Admin/Delete"]);
    // Empty elements are merged ([R-P8]).
    reaches(&["//pkg.Admin/Delete"], "admin", "/pkg.Admin/Delete");
}

fn a_service_is_no_prefix() {
    reaches_nobody(&["/pkg.Publicity/Get", "/pkg.Publi/Get"]);
}

fn what_is_no_call() {
    common::run(async {
        // An HTTPRoute is there, and must not get by accident what is the GRPCRoute's.
        let other = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: any}\nspec: {parentRefs: [{name: gw}], hostnames: [www.example.com], rules: [{backendRefs: [{name: any, port: 80}]}]}\n";
        let mut gateway = Recorded::start(&format!("{CALLS}{other}")).await;
        let (address, host, path) = (gateway.address(), "grpc.example.com", "/pkg.Admin/Delete");
        for answer in [
            fetch_h2(address, "POST", host, path, &[("content-type", "text/plain")], b"").await.unwrap(),
            fetch_h2(address, "POST", host, path, &[("content-type", "application/grpc-web")], b"").await.unwrap(),
            fetch_h2(address, "POST", host, path, &[], b"").await.unwrap(),
            fetch(address, "POST", host, path, &[("content-type", "text/plain")], b"").await.unwrap(),
        ] {
            assert!([404, 415].contains(&answer.status.as_u16()), "{answer:?}");
        }
        assert!(gateway.reached().await.is_empty());
        // The content type says what is a call, whatever carries it ([G-11]); to be no good one is the backend's to say.
        for answer in [
            fetch_h2(address, "GET", host, path, GRPC, b"").await.unwrap(),
            fetch(address, "POST", host, path, &GRPC[..1], b"").await.unwrap(),
        ] {
            assert_eq!(answer.pod(), "admin", "{answer:?}");
        }
    });
}

fn no_valid_backend() {
    common::run(async {
        let invalid = CALLS.replace("backendRefs: [{name: admin, port: 80}]", "backendRefs: [{kind: Nothing, name: admin, port: 80}]");
        let mut gateway = Recorded::start(&invalid).await;
        let answer = call(&gateway, "/pkg.Admin/Delete").await;
        assert_eq!((answer.status, status(&answer)), (StatusCode::OK, Some(&b"14"[..])), "{answer:?}");
        assert!(gateway.reached().await.is_empty());
    });
}
