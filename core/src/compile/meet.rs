//! Where rules of several routes, or of one, meet on one host of one parent: equal matches ([U-40]), sessions of one
//! name ([SP-4]), and rules that take all of the traffic ([T-8]). Their authors are told, and nobody else would say so.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::backend::View;
use super::findings::Findings;
use crate::diagnostic::{Code, ObjectRef};
use crate::explain::criterion_name;
use crate::model::hostname::Hostname;
use crate::model::matching::{HeaderMatch, Matcher, NameMatch, PathMatch, ValueMatch};
use crate::model::session::{SessionCarrier, SessionPersistence};
use crate::table::RouteKind;
use crate::table::precedence::{Criterion, RouteRank};

/// A hostname of a parent, in the order in which authors are told: listeners first, exact names first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    /// Whether it is a Service, and the id.
    pub(crate) parent: (bool, u32),
    class: Class,
    any: bool,
    hostname: Option<Hostname>,
}

/// Rules of different classes do not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Http,
    Grpc,
    Tls,
    Stream,
}

impl Spot {
    pub(crate) fn new(parent: (bool, u32), kind: RouteKind, hostname: Option<Hostname>) -> Self {
        let class = match kind {
            RouteKind::Http => Class::Http,
            RouteKind::Grpc => Class::Grpc,
            RouteKind::Tls => Class::Tls,
            RouteKind::Tcp | RouteKind::Udp => Class::Stream,
        };
        let hostname = hostname.filter(|_| class != Class::Stream);
        Self { parent, class, any: hostname.is_none(), hostname }
    }
}

/// What rules have in common where they meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// A match, by its fingerprint.
    Match(u64, u64),
    /// A session, by its carrier and name.
    Session(SessionCarrier, Box<str>),
    /// All traffic.
    All,
}

/// A rule, or a match, among those that meet; the first has its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Party {
    rank: RouteRank,
    pub(crate) rule: u32,
    match_: u32,
    pub(crate) route: u32,
    view: View,
}

/// Everything at one place.
type Topics = BTreeMap<Topic, Vec<Party>>;

/// All places of a table.
#[derive(Debug, Default)]
pub(crate) struct Meetings {
    spots: BTreeMap<Arc<Spot>, Topics>,
}

/// Where the rules of a route are, and what others could meet them in.
#[derive(Debug, Default)]
pub(crate) struct Stands {
    /// In order.
    spots: Vec<(Arc<Spot>, View)>,
    topics: Vec<(View, Topic, Party)>,
    /// The names of sessions as written.
    sessions: BTreeMap<(View, u32), Box<str>>,
}

impl Stands {
    /// The route is at this place through this view.
    pub(crate) fn at(&mut self, spot: Spot, view: View) {
        self.spots.push((Arc::new(spot), view));
    }

    /// One of its rules has this match.
    pub(crate) fn matcher(&mut self, matcher: &Matcher, rank: &RouteRank, rule: u32, match_: u32, (route, view): (u32, View)) {
        let (a, b) = fingerprint(matcher);
        self.topics.push((view, Topic::Match(a, b), Party { rank: rank.clone(), rule, match_, route, view }));
    }

    /// One of its rules has this session. Sessions meet in the order of the manifests, whichever comes first in precedence.
    pub(crate) fn session(&mut self, session: &SessionPersistence, object: &ObjectRef, rule: u32, (route, view): (u32, View)) {
        let rank = RouteRank { age: 0, name: [&*object.namespace, "\0", &*object.name].concat().into() };
        let topic = Topic::Session(session.carrier(), session.key().into());
        self.sessions.insert((view, rule), session.name().into());
        self.topics.push((view, topic, Party { rank, rule, match_: 0, route, view }));
    }

    /// One of its rules takes all.
    pub(crate) fn all(&mut self, rank: &RouteRank, rule: u32, (route, view): (u32, View)) {
        self.topics.push((view, Topic::All, Party { rank: rank.clone(), rule, match_: 0, route, view }));
    }

    /// Every place with what is there.
    fn each(&self) -> impl Iterator<Item = (&Arc<Spot>, &Topic, &Party)> {
        self.spots.iter().flat_map(|(spot, at)| {
            let here = self.topics.iter().filter(move |(view, ..)| view == at);
            here.map(move |(_, topic, party)| (spot, topic, party))
        })
    }
}

impl Meetings {
    /// A route takes its places. Adds the routes of which somebody else has something to be told now.
    pub(crate) fn enter(&mut self, stands: &mut Stands, met: &mut BTreeSet<u32>) {
        stands.spots.sort();
        stands.spots.dedup();
        for (spot, _) in &mut stands.spots {
            match self.spots.get_key_value(spot) {
                Some((known, _)) => *spot = Arc::clone(known),
                None => {
                    self.spots.insert(Arc::clone(spot), Topics::new());
                }
            }
        }
        for (spot, topic, party) in stands.each() {
            let Some(topics) = self.spots.get_mut(spot) else { continue };
            match topics.get_mut(topic) {
                None => {
                    topics.insert(topic.clone(), vec![party.clone()]);
                }
                Some(parties) => {
                    let Err(at) = parties.binary_search(party) else { continue };
                    parties.insert(at, party.clone());
                    met.extend(parties.iter().filter(|_| at == 0).map(|party| party.route));
                }
            }
        }
    }

    /// A route leaves its places.
    pub(crate) fn leave(&mut self, stands: &Stands, met: &mut BTreeSet<u32>) {
        for (spot, topic, party) in stands.each() {
            let Some(topics) = self.spots.get_mut(spot) else { continue };
            let Some(parties) = topics.get_mut(topic) else { continue };
            let Ok(at) = parties.binary_search(party) else { continue };
            parties.remove(at);
            met.extend(parties.iter().filter(|_| at == 0).map(|party| party.route));
            if parties.is_empty() {
                topics.remove(topic);
            }
            if topics.is_empty() {
                self.spots.remove(spot);
            }
        }
        for (spot, _) in &stands.spots {
            if self.spots.get(spot).is_some_and(BTreeMap::is_empty) {
                self.spots.remove(spot);
            }
        }
    }

    /// Tells a route where others come before it, each of them once. `object` knows the routes.
    pub(crate) fn tell<'o>(&self, stands: &Stands, object: impl Fn(u32) -> Option<&'o ObjectRef>, findings: &mut Findings) {
        let mut told = BTreeSet::new();
        for (spot, topic, party) in stands.each() {
            let parties = self.spots.get(spot).and_then(|topics| topics.get(topic));
            let Some(first) = parties.and_then(|parties| parties.first()).filter(|first| *first != party) else { continue };
            // A rule hears of one other session; a match of each that comes before it.
            let other = (!matches!(topic, Topic::Session(..))).then_some(first);
            let Some(object) = object(first.route).filter(|_| told.insert((topic, other, party))) else { continue };
            match topic {
                Topic::Match(..) => shadowed(spot, object, first, party, findings),
                Topic::Session(_, key) => {
                    let name = stands.sessions.get(&(party.view, party.rule)).unwrap_or(key);
                    same_session(spot, object, first, party, name, findings);
                }
                Topic::All => superseded(spot, object, findings),
            }
        }
    }
}

fn host(spot: &Spot) -> String {
    spot.hostname.as_ref().map_or("any host".to_owned(), |name| format!("host `{name}`"))
}

fn shadowed(spot: &Spot, object: &ObjectRef, winner: &Party, loser: &Party, findings: &mut Findings) {
    let criterion = match () {
        () if winner.rank.age != loser.rank.age => Criterion::Age,
        () if winner.rank.name != loser.rank.name => Criterion::Name,
        () if winner.rule != loser.rule => Criterion::Rule,
        () => Criterion::Match,
    };
    let message = format!(
        "for {} this match never wins: spec.rules[{}].matches[{}] of {object} is equal and comes first by {}",
        host(spot),
        winner.rule,
        winner.match_,
        criterion_name(criterion)
    );
    findings.warning(Code::Shadowed, format!("spec.rules[{}].matches[{}]", loser.rule, loser.match_), message);
}

/// Tokens are good for one rule only, so each rule would take the other's for none and write its own over it.
fn same_session(spot: &Spot, object: &ObjectRef, other: &Party, own: &Party, name: &str, findings: &mut Findings) {
    let message = format!(
        "session name `{name}` is also that of spec.rules[{}] of {object} for {}: a client that uses both loses its session each time",
        other.rule,
        host(spot)
    );
    findings.warning(Code::SessionName, format!("spec.rules[{}].sessionPersistence", own.rule), message);
}

fn superseded(spot: &Spot, object: &ObjectRef, findings: &mut Findings) {
    let what = match (spot.class, &spot.hostname) {
        (Class::Tls, Some(name)) => format!("server name `{name}` of a listener"),
        _ => "a listener".to_owned(),
    };
    findings.warning(Code::Shadowed, "", format!("{what} never sends traffic here: {object} is older and takes it all"));
}

/// Equal for equal matches, and for no others: nobody finds two texts of one fingerprint in twice 64 bits.
fn fingerprint(matcher: &Matcher) -> (u64, u64) {
    let mut both = [DefaultHasher::new(), DefaultHasher::new()];
    for (n, hasher) in both.iter_mut().enumerate() {
        n.hash(hasher);
        write(matcher, hasher);
    }
    let [a, b] = both;
    (a.finish(), b.finish())
}

fn write(matcher: &Matcher, hasher: &mut DefaultHasher) {
    let value = |value: &ValueMatch, hasher: &mut DefaultHasher| match value {
        ValueMatch::Exact(text) => (0, &**text).hash(hasher),
        ValueMatch::Regex(pattern) => (1, pattern.as_str()).hash(hasher),
    };
    let headers = |list: &[HeaderMatch], hasher: &mut DefaultHasher| {
        list.len().hash(hasher);
        for header in list {
            header.name.as_str().hash(hasher);
            value(&header.value, hasher);
        }
    };
    let name = |name: &NameMatch, hasher: &mut DefaultHasher| match name {
        NameMatch::Any => 0.hash(hasher),
        NameMatch::Exact(text) => (1, &**text).hash(hasher),
        NameMatch::Regex(pattern) => (2, pattern.as_str()).hash(hasher),
    };
    match matcher {
        Matcher::Http(http) => {
            match &http.path {
                PathMatch::Exact(text) => (0, &**text).hash(hasher),
                PathMatch::Prefix(text) => (1, &**text).hash(hasher),
                PathMatch::Regex(pattern) => (2, pattern.as_str()).hash(hasher),
            }
            http.method.hash(hasher);
            headers(&http.headers, hasher);
            for query in &http.queries {
                query.name.hash(hasher);
                value(&query.value, hasher);
            }
        }
        Matcher::Grpc(grpc) => {
            name(&grpc.service, hasher);
            name(&grpc.method, hasher);
            headers(&grpc.headers, hasher);
        }
    }
}
