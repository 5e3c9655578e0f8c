//! Vectors that are octets: sent as they are, and compared with what the client gets and what reaches a backend.

use std::collections::BTreeMap;

use gatewright_conformance::octets::Text;
use serde::Deserialize;

use super::common::recorded::Recorded;
use super::wire::{self, Outcome};

#[derive(Deserialize)]
pub(crate) struct Vectors {
    pub(crate) fixtures: BTreeMap<String, String>,
    pub(crate) cases: Vec<Vector>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Vector {
    pub(crate) id: String,
    pub(crate) layer: String,
    #[serde(default)]
    pub(crate) config: String,
    #[serde(default)]
    raw: Option<Text>,
    #[serde(default)]
    h2: Option<Vec<(Text, Text)>>,
    expect: Expect,
}

/// Names, or words for people.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Names {
    List(Vec<String>),
    Words(#[expect(dead_code, reason = "scenarios are played by tests of their own")] String),
}

impl Default for Names {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Expect {
    outcome: String,
    status: Vec<u16>,
    close: bool,
    alt: Option<String>,
    backend: Option<String>,
    forward_target: Option<String>,
    trailers_absent: Names,
}

impl Vector {
    pub(crate) fn is_octets(&self) -> bool {
        self.raw.is_some() || self.h2.is_some()
    }
}

/// Sends the octets.
///
/// # Errors
///
/// What is wrong.
pub(crate) async fn check(vector: &Vector, fixture: &str) -> Result<(), String> {
    let mut gateway = Recorded::start(fixture).await;
    let outcome = match (&vector.raw, &vector.h2) {
        (Some(raw), _) => wire::http1(gateway.address(), &raw.octets()).await,
        (_, Some(fields)) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.octets(), value.octets())).collect();
            wire::http2(gateway.address(), &fields).await
        }
        _ => return Err("neither octets nor fields".into()),
    };
    let reached = gateway.reached().await;
    let expect = &vector.expect;
    let told = format!("{outcome:?}; reached: {reached:?}");
    let wanted = |is: bool, what: &str| if is { Ok(()) } else { Err(format!("{what}: {told}")) };
    let statuses: Vec<u16> = outcome.statuses();
    match expect.outcome.as_str() {
        "reject" => {
            wanted(reached.is_empty(), "a backend was reached")?;
            // Extended CONNECT is not offered, and so malformed (RFC 8441 section 3).
            let is_reset = vector.h2.is_some() && (expect.alt.is_some() || vector.id == "H2-052") && outcome.is_reset();
            let is_silent =
                expect.alt.as_deref() == Some("connection closed without an answer") && outcome.is_closed() && statuses.is_empty();
            let is_refused = statuses.len() == 1 && expect.status.contains(&statuses[0]);
            wanted(is_refused || is_reset || is_silent, "not refused")?;
            wanted(!expect.close || outcome.is_closed(), "still open")
        }
        "route" => {
            // What is left behind a message that was shorter than it said is no request.
            wanted(statuses == [200] || statuses == [200, 400], "not answered")?;
            wanted(reached.len() == 1, "not one request reached a backend")?;
            let seen = &reached[0];
            let backend = expect.backend.as_ref().and_then(|backend| backend.split_once(':')).map_or("admin-guard", |(name, _)| name);
            wanted(seen.pod == backend, "another backend")?;
            wanted(expect.forward_target.as_ref().is_none_or(|target| *target == seen.path), "another target")?;
            // The length is told anew, and so is how the message is framed.
            let spelled = |name: &str| seen.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect::<Vec<_>>();
            wanted(spelled("content-length").iter().all(|length| *length == seen.body.to_string()), "another length")
        }
        // The head may have gone on before the body turned out to be no body.
        "abort" => {
            wanted(outcome.is_closed(), "still open")?;
            wanted(statuses.is_empty() || (statuses.len() == 1 && expect.status.contains(&statuses[0])), "answered")?;
            wanted(reached.is_empty(), "a whole request reached a backend")
        }
        "forward" if let Names::List(absent) = &expect.trailers_absent => {
            wanted(statuses == [200] && reached.len() == 1, "not forwarded")?;
            wanted(reached[0].trailers.is_empty(), "a trailer went through")?;
            let own = ["host", "transfer-encoding"];
            let found =
                reached[0].headers.iter().any(|(name, value)| absent.contains(name) && (!own.contains(&&**name) || value == "evil"));
            wanted(!found, "a trailer became a header field")
        }
        "pinned" => match vector.id.as_str() {
            // The preface of HTTP/2 in the clear: this server takes it, and answers with frames.
            "H1-046" => wanted(matches!(outcome, Outcome::Frames { .. }), "no frames"),
            "H1-047" => wanted(statuses == [417] && reached.is_empty(), "not 417"),
            _ => Err("no pin".into()),
        },
        other => Err(format!("unknown outcome `{other}`")),
    }
}
