//! What is asked of a small world, and what is answered: texts, so that a difference reads by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a request arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// A port of a Gateway.
    Port {
        /// Namespace and name of the Gateway.
        gateway: (String, String),
        /// The port.
        port: i32,
    },
    /// A port of a Service, in a mesh.
    Service {
        /// Namespace of the client.
        client: String,
        /// Namespace and name of the Service.
        service: (String, String),
        /// The port.
        port: i32,
    },
}

/// A request of a small world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorldRequest {
    /// Where it arrives.
    pub place: Place,
    /// Server name, on a port with TLS.
    #[serde(default)]
    pub sni: Option<String>,
    /// Method.
    pub method: String,
    /// Host, perhaps with port.
    pub host: String,
    /// Canonical path.
    pub path: String,
    /// Query.
    #[serde(default)]
    pub query: Option<String>,
    /// Header fields.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Randomness.
    pub pick: u64,
}

/// A connection to a port of a Gateway, or a flow of datagrams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorldConnection {
    /// Namespace and name of the Gateway.
    pub gateway: (String, String),
    /// The port.
    pub port: i32,
    /// Whether it is a flow of UDP.
    pub udp: bool,
    /// Server name of a TLS handshake.
    #[serde(default)]
    pub sni: Option<String>,
    /// Randomness.
    pub pick: u64,
}

/// What becomes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// `Kind namespace/name listener`, if one was chosen.
    pub listener: Option<String>,
    /// `Kind namespace/name`, if one was found.
    pub route: Option<String>,
    /// What is done.
    pub then: String,
}

impl Connected {
    /// The kind of outcome, to count.
    pub fn kind(&self) -> String {
        let then = match (self.then.split_once(" to "), self.then.rsplit_once(", ")) {
            (Some((forwarded, _)), Some((_, tls))) => format!("{forwarded}, {tls}"),
            _ => self.then.clone(),
        };
        format!("connection {then}")
    }
}

/// Header fields: the values of each name in order. The names of `vary` are a set.
pub type Fields = BTreeMap<String, Vec<String>>;

/// What every backend of a small world answers with: what response filters have something to do with.
pub const BACKEND_RESPONSE: [(&str, &str); 7] = [
    ("x", "backend"),
    ("y", "one"),
    ("y", "two"),
    ("access-control-allow-origin", "https://backend.example"),
    ("access-control-allow-credentials", "true"),
    ("access-control-expose-headers", "of-backend"),
    ("vary", "accept"),
];

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The match that won.
    pub winner: Option<Winner>,
    /// And then.
    pub then: Then,
}

/// A match of a rule of a route on a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winner {
    /// `Kind namespace/name listener`, or the Service and its port.
    pub listener: String,
    /// `Kind namespace/name`.
    pub route: String,
    /// Index of the rule.
    pub rule: usize,
    /// Index of the match.
    pub match_: usize,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes to where it was sent, as it is: no route is for the Service ([A-22]).
    PassThrough,
    /// A backend gets it.
    Forward(Box<Forward>),
    /// The gateway answers.
    Respond {
        /// Why: a word of the decision.
        reason: String,
        /// Status code as sent.
        status: u16,
        /// Header fields as sent.
        fields: Fields,
    },
}

/// What a backend and then the client get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// `namespace/name:port protocol`, and the endpoints if they are known.
    pub backend: String,
    /// Path and query.
    pub target: String,
    /// Header fields of the request as sent to the backend.
    pub request: Fields,
    /// Header fields of the response to the client, of a backend that answers with [`BACKEND_RESPONSE`].
    pub response: Fields,
    /// Who gets a copy, in order.
    pub mirrors: Vec<String>,
    /// Timeouts of request and attempt in milliseconds.
    pub timeouts: (Option<u64>, Option<u64>),
}

/// What status says: what it is said of, and the texts that are right. More than one is right where the
/// specification leaves the choice.
pub type Facts = BTreeMap<String, Vec<String>>;

impl Outcome {
    /// The kind of outcome, to count.
    pub fn kind(&self) -> String {
        match &self.then {
            Then::PassThrough => "passed through a mesh".to_owned(),
            Then::Forward(forward) => {
                let mirrored = if forward.mirrors.is_empty() { "" } else { ", mirrored" };
                let over_tls = if forward.backend.contains(" trusting ") { ", over TLS" } else { "" };
                format!("forwarded{mirrored}{over_tls}{}", self.by())
            }
            Then::Respond { reason, .. } => format!("answered: {reason}{}", self.by()),
        }
    }

    fn by(&self) -> &'static str {
        match self.winner.as_ref().map(|winner| winner.listener.split(' ').next()) {
            None | Some(Some("Gateway")) => "",
            Some(Some("ListenerSet")) => ", by a ListenerSet",
            Some(_) => ", in a mesh",
        }
    }
}
