//! Backends that answer what no client may get, or what would become the answer to another request ([R-S8]).

use gatewright_server::proxy::Settings;

use super::Scenario;
use super::common::recorded::Recorded;
use super::common::scripted::{Scripted, Then};
use super::common::{self, Answer, fetch};
use super::upgrades::TWO;

pub(super) const SCENARIOS: &[Scenario] = &[
    ("RSP-001", chunked_wins_over_a_length),
    ("RSP-002", two_lengths),
    ("RSP-004", chunked_is_not_last),
    ("RSP-005", more_than_the_length),
    ("RSP-006", no_content_where_there_is_none),
    ("RSP-007", interim_responses),
    ("RSP-009", status_lines),
    ("RSP-010", field_lines),
    ("RSP-011", fields_of_one_hop),
    ("RSP-012", heads_beyond_bounds),
    ("RSP-014", nothing_is_rewritten),
];

/// The answers of two requests, one after the other, and on how many connections the backend got them.
async fn twice(method: &str, answer: impl Into<Vec<u8>>, then: Then) -> (Vec<Result<Answer, String>>, usize) {
    let backend = Scripted::start(answer, then).await;
    let gateway = Recorded::start_with(TWO, &[("default/public:80", backend.address)], Settings::default()).await;
    let mut answers = Vec::new();
    for target in ["/one", "/two"] {
        answers.push(fetch(gateway.address(), method, "a.example", target, &[], b"").await);
    }
    (answers, backend.connections())
}

/// Both requests end with 502 or are cut off, and nothing of the first is used for the second.
async fn is_refused(answer: impl Into<Vec<u8>>) {
    let answer = answer.into();
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned();
    let (answers, connections) = twice("GET", answer, Then::Stays).await;
    for answer in &answers {
        assert!(answer.as_ref().is_ok_and(|answer| answer.status == 502), "{shown:?}: {answer:?}");
    }
    assert_eq!(connections, 2, "{shown:?}");
}

fn chunked_wins_over_a_length() {
    common::run(async {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
        let (answers, connections) = twice("GET", answer, Then::Stays).await;
        for answer in answers {
            let is_right = answer.as_ref().map_or(true, |answer| answer.status == 502 || answer.body.is_empty());
            assert!(is_right, "{answer:?}");
        }
        assert_eq!(connections, 2);
    });
}

fn two_lengths() {
    common::run(is_refused("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"));
}

fn chunked_is_not_last() {
    common::run(async {
        let (answers, connections) = twice("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nwhat", Then::Closes).await;
        for answer in answers {
            assert!(answer.as_ref().is_ok_and(|answer| answer.status == 502 || &answer.body[..] == b"what"), "{answer:?}");
        }
        assert_eq!(connections, 2);
    });
}

fn more_than_the_length() {
    common::run(async {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
        let (answers, connections) = twice("GET", answer, Then::Stays).await;
        for answer in answers {
            assert_eq!(&answer.unwrap().body[..], b"ok");
        }
        assert_eq!(connections, 2);
    });
}

fn no_content_where_there_is_none() {
    common::run(async {
        for (method, head) in [("GET", "204 No Content"), ("GET", "304 Not Modified"), ("HEAD", "200 OK")] {
            let (answers, connections) = twice(method, format!("HTTP/1.1 {head}\r\nContent-Length: 4\r\n\r\nEVIL"), Then::Stays).await;
            for answer in answers {
                assert!(answer.as_ref().is_ok_and(|answer| answer.body.is_empty()), "{head}: {answer:?}");
            }
            assert_eq!(connections, 2, "{head}");
        }
    });
}

fn interim_responses() {
    common::run(async {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let (answers, _) = twice("GET", format!("{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", hints.repeat(16)), Then::Stays).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| &answer.body[..] == b"ok")), "{answers:?}");
        let (answers, _) = twice("GET", hints, Then::Repeats).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 502)), "{answers:?}");
    });
}

fn status_lines() {
    common::run(async {
        let lines =
            ["HTTP/1.1 000 X", "HTTP/1.1 099 X", "HTTP/1.1 1000 X", "HTTP/1.1 20 X", "HTTP/1.1 2OO X", "HTTP/9.9 200 OK", "ICY 200 OK"];
        for line in lines {
            is_refused(format!("{line}\r\nContent-Length: 0\r\n\r\n")).await;
        }
        is_refused(b"\0\x01\x02\r\n\r\n".to_vec()).await;
    });
}

fn field_lines() {
    common::run(async {
        for line in ["X: a\rb", "X: a\0b", "X : a", " X: a", "X: a\r\n folded", "X: a\nSet-Cookie: evil=1"] {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{line}\r\n\r\n");
            let (answers, _) = twice("GET", answer, Then::Closes).await;
            for answer in answers {
                let answer = answer.unwrap();
                // A bare LF ends a line for hyper: what stands behind is the backend's own field, which it may set.
                let is_injected = answer.headers.contains_key("set-cookie") && !line.contains('\n');
                let is_whole = answer.headers.values().all(|value| !value.as_bytes().iter().any(|octet| octet.is_ascii_control()));
                assert!(answer.status == 502 || (is_whole && !is_injected), "{line:?}: {answer:?}");
            }
        }
    });
}

fn fields_of_one_hop() {
    common::run(async {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x-secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\n\r\n";
        let (answers, _) = twice("GET", answer, Then::Stays).await;
        for answer in answers {
            let headers = answer.unwrap().headers;
            assert!(["connection", "x-secret", "keep-alive"].iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
        }
    });
}

fn heads_beyond_bounds() {
    common::run(async {
        is_refused(format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(100_000))).await;
        is_refused(format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(16 << 20))).await;
        is_refused(format!("HTTP/1.1 200 {}\r\n\r\n", "b".repeat(1 << 20))).await;
    });
}

fn nothing_is_rewritten() {
    common::run(async {
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: a\r\nLocation: //evil.example\r\nSet-Cookie: a=1; Domain=other\r\n\r\n";
        let (answers, _) = twice("GET", answer, Then::Stays).await;
        for answer in answers {
            let headers = answer.unwrap().headers;
            assert_eq!(
                (&headers["server"], &headers["location"], &headers["set-cookie"]),
                (&"a".parse().unwrap(), &"//evil.example".parse().unwrap(), &"a=1; Domain=other".parse().unwrap())
            );
        }
    });
}
