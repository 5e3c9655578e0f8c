//! The engine itself, whole and through its public interface: the request as hyper hands it over, a decision with target,
//! edits, backend and weights out of it.

use bytes::{BufMut, BytesMut};
use gatewright::decision::Matched;
use gatewright::table::PortId;
use gatewright::{Arrival, Options, Pick, Profile, Request, Resources, Table, compile};
use gatewright_conformance::sets::{RouteSet, RuleIds, SetRequest};
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use crate::contender::Contender;

/// The table; `true` is the profile `Strict`, `false` is `Compatible`.
#[derive(Debug)]
pub struct Engine<const STRICT: bool> {
    table: Table,
    port: PortId,
}

/// A request of the `http` crate, and the random number that an embedding program adds.
#[derive(Debug)]
pub struct HttpRequest {
    parts: Parts,
    pick: Pick,
}

impl<const STRICT: bool> Engine<STRICT> {
    /// The request as the table takes it.
    fn request<'a>(&self, request: &'a HttpRequest) -> Request<'a> {
        Request::from_http(&request.parts, Arrival::on(self.port))
    }
}

impl<const STRICT: bool> Contender for Engine<STRICT> {
    const NAME: &'static str = if STRICT { "gatewright (Strict)" } else { "gatewright (Compatible)" };
    const LACKS: &'static str = "";
    type Request = HttpRequest;
    type Source = Resources;
    type Found = Option<Matched>;
    type Names = RuleIds;

    fn source(set: &RouteSet) -> Resources {
        set.resources()
    }

    fn build(resources: &Resources) -> Self {
        let mut options = Options::default();
        options.profile = if STRICT { Profile::Strict } else { Profile::Compatible };
        let table = compile(resources, &options).table;
        let port = table.ports()[0].id;
        Self { table, port }
    }

    fn prepare(&self, request: &SetRequest) -> HttpRequest {
        HttpRequest { parts: parts(request), pick: Pick(request.path.len() as u64).derive(request.headers.len() as u64) }
    }

    fn touch(request: &HttpRequest) -> usize {
        let HttpRequest { parts, pick } = request;
        let sum = |bytes: &[u8]| bytes.iter().copied().map(usize::from).sum::<usize>();
        // The lookup reads the index of the map, which whoever filled it has just written.
        let keys = parts.headers.keys().filter(|name| parts.headers.contains_key(*name)).map(|name| sum(name.as_str().as_bytes()));
        let values = parts.headers.values().map(|value| sum(value.as_bytes()));
        let uri = parts.uri.path_and_query().map_or(0, |target| sum(target.as_str().as_bytes()));
        keys.sum::<usize>() + values.sum::<usize>() + uri + parts.method.as_str().len() + usize::from(pick.0 != 0)
    }

    #[inline]
    fn find(&self, request: &HttpRequest) -> Option<Matched> {
        let decision = self.table.decide(&self.request(request), request.pick);
        // All of the decision is made, not only what is looked at here.
        std::hint::black_box(&decision).matched()
    }

    fn names(&self, set: &RouteSet) -> RuleIds {
        RuleIds::new(set, &self.table)
    }

    fn rule(names: &RuleIds, found: &Option<Matched>) -> Option<u32> {
        found.map(|matched| u32::try_from(names.rule_of(matched)).expect("ids have 32 bits"))
    }

    fn explain(&self, request: &HttpRequest) -> bool {
        std::hint::black_box(self.table.explain(&self.request(request), request.pick));
        true
    }
}

/// The request as hyper makes it of a message of HTTP/1.1: target and values are slices of the one buffer that was read,
/// names are owned or well known.
fn parts(request: &SetRequest) -> Parts {
    let mut buffer = BytesMut::new();
    let mut ends = Vec::new();
    let target = request.target();
    let values = request.headers.iter().map(|(_, value)| value.as_str());
    for text in [target.as_str(), request.host.as_str()].into_iter().chain(values) {
        buffer.put_slice(text.as_bytes());
        ends.push(buffer.len());
    }
    let buffer = buffer.freeze();
    let mut start = 0;
    let mut pieces = ends.into_iter().map(|end| buffer.slice(std::mem::replace(&mut start, end)..end));
    let mut piece = || pieces.next().expect("there is one for each text");
    let uri = http::Uri::from_maybe_shared(piece()).expect("the sets have valid targets");
    let mut built = http::Request::builder().method(request.method.as_str()).uri(uri).body(()).expect("the sets have valid methods");
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 1);
    let mut value = || HeaderValue::from_maybe_shared(piece()).expect("the sets have valid values");
    headers.insert(HOST, value());
    for (name, _) in &request.headers {
        headers.append(HeaderName::from_bytes(name.as_bytes()).expect("the sets have valid names"), value());
    }
    *built.headers_mut() = headers;
    built.into_parts().0
}
