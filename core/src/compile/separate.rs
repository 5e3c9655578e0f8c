//! Kinds of routes that exclude each other at one parent ([G-12], [A-24]).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::attach::Hostnames;
use super::mesh::FrontendKey;
use crate::model::hostname::Hostname;
use crate::table::RouteKind;
use crate::table::precedence::RouteRank;

/// A route among those of a listener, in the order in which they get their hostnames: the older first, then by
/// `namespace/name` ([G-12], [U-13]).
type Claim = (RouteRank, RouteKind, u32);

/// The claims on hostnames, by the hostname.
///
/// Hostnames are kept from their end, so that what a wildcard covers stands together: `*.a.com` as `moc.a.`, and any
/// host as the empty text.
#[derive(Debug, Default)]
struct Claims(BTreeMap<Box<str>, BTreeSet<Claim>>);

fn reversed(hostname: Option<&Hostname>) -> Box<str> {
    match hostname {
        None => Box::default(),
        Some(Hostname::Exact(name) | Hostname::Wildcard(name)) => name.chars().rev().collect(),
    }
}

fn is_wildcard(reversed: &str) -> bool {
    reversed.is_empty() || reversed.ends_with('.')
}

impl Claims {
    fn insert(&mut self, hostnames: &Hostnames, claim: &Claim) {
        for name in hostnames {
            self.0.entry(reversed(name.as_ref())).or_default().insert(claim.clone());
        }
    }

    fn remove(&mut self, hostnames: &Hostnames, claim: &Claim) {
        for name in hostnames {
            let key = reversed(name.as_ref());
            if let Some(claims) = self.0.get_mut(&key) {
                claims.remove(claim);
                if claims.is_empty() {
                    self.0.remove(&key);
                }
            }
        }
    }

    /// The claims on hostnames that have a host in common with one of these.
    fn overlapping<'c>(&'c self, hostnames: &Hostnames) -> impl Iterator<Item = &'c BTreeSet<Claim>> {
        // Most listeners have routes of one kind only.
        let names = hostnames.iter().filter(|_| !self.0.is_empty());
        names.flat_map(|name| {
            let key = reversed(name.as_ref());
            let ends = key.match_indices('.').filter_map(|(at, _)| key.get(..=at).filter(|around| *around != &*key));
            let around = ends.chain((!key.is_empty()).then_some("")).filter_map(|around| self.0.get(around));
            let mut found: Vec<&BTreeSet<Claim>> = around.collect();
            if is_wildcard(&key) {
                let from = self.0.range::<str, _>((Bound::Included(&*key), Bound::Unbounded));
                found.extend(from.take_while(|(name, _)| name.starts_with(&*key)).map(|(_, claims)| claims));
            } else {
                found.extend(self.0.get(&key));
            }
            found
        })
    }
}

/// HTTPRoutes and GRPCRoutes on one listener: they must not share hostnames. The older route keeps them, the other does
/// not attach there.
#[derive(Debug, Default)]
pub(crate) struct Separation {
    /// Those that have their hostnames, of HTTPRoutes and of GRPCRoutes.
    holders: [Claims; 2],
    /// Those that do not.
    losers: [Claims; 2],
    routes: BTreeMap<u32, Claimant>,
    /// Claims to be looked at.
    open: BTreeSet<Claim>,
}

#[derive(Debug)]
struct Claimant {
    claim: Claim,
    hostnames: Hostnames,
    /// `None` until it has been looked at.
    holds: Option<bool>,
}

/// The own kind's place, and that of the other.
fn sides(kind: RouteKind) -> (usize, usize) {
    if kind == RouteKind::Grpc { (1, 0) } else { (0, 1) }
}

fn of(sides: &mut [Claims; 2], side: usize) -> Option<&mut Claims> {
    sides.get_mut(side)
}

impl Separation {
    /// A route claims hostnames.
    pub(crate) fn enter(&mut self, rank: RouteRank, kind: RouteKind, route: u32, hostnames: Hostnames) {
        let claim = (rank, kind, route);
        self.open.insert(claim.clone());
        self.routes.insert(route, Claimant { claim, hostnames, holds: None });
    }

    /// A route claims nothing any more.
    pub(crate) fn leave(&mut self, route: u32) {
        let Some(Claimant { claim, hostnames, holds }) = self.routes.remove(&route) else { return };
        self.open.remove(&claim);
        let (own, other) = sides(claim.1);
        match holds {
            Some(true) => {
                of(&mut self.holders, own).into_iter().for_each(|claims| claims.remove(&hostnames, &claim));
                self.reopen(false, other, &hostnames, &claim);
            }
            Some(false) => of(&mut self.losers, own).into_iter().for_each(|claims| claims.remove(&hostnames, &claim)),
            None => {}
        }
    }

    /// The younger claims of a side on the same hosts have to be looked at again.
    fn reopen(&mut self, held: bool, side: usize, hostnames: &Hostnames, claim: &Claim) {
        let claims = if held { &self.holders } else { &self.losers };
        let Some(claims) = claims.get(side) else { return };
        let younger = (Bound::Excluded(claim), Bound::Unbounded);
        let found: Vec<Claim> = claims.overlapping(hostnames).flat_map(|claims| claims.range::<Claim, _>(younger)).cloned().collect();
        self.open.extend(found);
    }

    /// Decides what is open, the oldest claim first, since only younger ones depend on it. Gives the routes that hold their
    /// hostnames now and did not before, or the other way round.
    pub(crate) fn settle(&mut self) -> BTreeSet<u32> {
        let mut turned = BTreeSet::new();
        while let Some(claim) = self.open.pop_first() {
            let (_, kind, route) = claim;
            let (own, other) = sides(kind);
            let Some(claimant) = self.routes.get(&route) else { continue };
            let (hostnames, before) = (claimant.hostnames.clone(), claimant.holds);
            let older = |claims: &BTreeSet<Claim>| claims.first().is_some_and(|first| *first < claim);
            let holds = !self.holders.get(other).is_some_and(|claims| claims.overlapping(&hostnames).any(older));
            if before == Some(holds) {
                continue;
            }
            let (into, from) = if holds { (&mut self.holders, &mut self.losers) } else { (&mut self.losers, &mut self.holders) };
            of(into, own).into_iter().for_each(|claims| claims.insert(&hostnames, &claim));
            if before.is_some() {
                of(from, own).into_iter().for_each(|claims| claims.remove(&hostnames, &claim));
            }
            // Who comes to hold may take hostnames away, who no longer holds may give some free.
            if holds || before == Some(true) {
                self.reopen(holds, other, &hostnames, &claim);
            }
            if let Some(claimant) = self.routes.get_mut(&route) {
                claimant.holds = Some(holds);
            }
            turned.insert(route);
        }
        turned
    }

    /// Whether a route has its hostnames here; one that claims nothing has.
    pub(crate) fn holds(&self, route: u32) -> bool {
        self.routes.get(&route).is_none_or(|claimant| claimant.holds != Some(false))
    }
}

/// The kinds of routes from the most specific: on one port of a Service the most specific kind that is there
/// serves alone ([A-24]).
const SPECIFIC_FIRST: [RouteKind; 4] = [RouteKind::Grpc, RouteKind::Http, RouteKind::Tls, RouteKind::Tcp];

/// The routes of each kind that have a port of a Service as parent.
#[derive(Debug, Default)]
pub(crate) struct Specific {
    counts: BTreeMap<FrontendKey, [usize; 4]>,
    /// The former counts of ports where routes have come or gone.
    before: BTreeMap<FrontendKey, [usize; 4]>,
}

impl Specific {
    /// Counts a route in or out.
    pub(crate) fn count(&mut self, key: &FrontendKey, kind: RouteKind, enters: bool) {
        let counts = self.counts.entry(key.clone()).or_default();
        self.before.entry(key.clone()).or_insert(*counts);
        let place = SPECIFIC_FIRST.iter().position(|one| *one == kind);
        if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
            *count = if enters { count.saturating_add(1) } else { count.saturating_sub(1) };
        }
    }

    /// Gives whether somewhere another kind of route may serve than before.
    pub(crate) fn settle(&mut self) -> bool {
        let mut turned = false;
        for (key, before) in std::mem::take(&mut self.before) {
            let Some(now) = self.counts.get(&key) else { continue };
            turned |= now.map(|count| count == 0) != before.map(|count| count == 0);
            if *now == [0; 4] {
                self.counts.remove(&key);
            }
        }
        turned
    }

    /// Whether no more specific kind of route is there.
    pub(crate) fn serves(&self, key: &FrontendKey, kind: RouteKind) -> bool {
        let counts = self.counts.get(key).into_iter().flatten();
        SPECIFIC_FIRST.iter().zip(counts).find(|(_, count)| **count > 0).is_none_or(|(first, _)| *first == kind)
    }

    /// The ports, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &FrontendKey> {
        self.counts.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hostname::intersect;
    use crate::options::NameOrder;

    fn names(list: &[&str]) -> Hostnames {
        list.iter().map(|text| (!text.is_empty()).then(|| Hostname::parse(text).unwrap())).collect()
    }

    const NAMES: [&str; 9] = ["", "*.com", "*.a.com", "a.com", "b.a.com", "*.b.a.com", "c.b.a.com", "xa.com", "*.xa.com"];

    /// What is found from the end of a name is what intersects.
    #[test]
    fn overlaps_are_intersections() {
        for a in NAMES {
            for b in NAMES {
                let mut claims = Claims::default();
                claims.insert(&names(&[a]), &(RouteRank::new(0, "n", "a", NameOrder::Joined), RouteKind::Http, 0));
                let found = claims.overlapping(&names(&[b])).count();
                let parse = |text: &str| (!text.is_empty()).then(|| Hostname::parse(text).unwrap());
                assert_eq!(found > 0, intersect(parse(a).as_ref(), parse(b).as_ref()).is_some(), "{a} {b}");
                assert!(found <= 1);
            }
        }
    }

    /// Whatever comes and goes, the outcome is that of looking at all routes from the oldest.
    #[test]
    fn changes_lead_to_the_outcome_of_the_whole() {
        let mut seed = 7_u64;
        let mut below = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % n
        };
        for _ in 0..300 {
            let mut changing = Separation::default();
            let mut all: BTreeMap<u32, (RouteRank, RouteKind, Hostnames)> = BTreeMap::new();
            for _ in 0..12 {
                let route = u32::try_from(below(8)).unwrap();
                changing.leave(route);
                all.remove(&route);
                if below(4) > 0 {
                    let rank = RouteRank::new(i64::try_from(below(3)).unwrap(), "n", &route.to_string(), NameOrder::Joined);
                    let kind = if below(2) == 0 { RouteKind::Http } else { RouteKind::Grpc };
                    let hosts: Vec<&str> = (0..1 + below(2)).map(|_| NAMES[usize::try_from(below(9)).unwrap()]).collect();
                    changing.enter(rank.clone(), kind, route, names(&hosts));
                    all.insert(route, (rank, kind, names(&hosts)));
                }
                let before: BTreeMap<u32, bool> = all.keys().map(|route| (*route, changing.holds(*route))).collect();
                let turned = changing.settle();
                let mut order: Vec<_> = all.iter().collect();
                order.sort_by_key(|(route, (rank, kind, _))| (rank, *kind, **route));
                let mut held: Vec<(RouteKind, &Hostnames)> = Vec::new();
                for (route, (_, kind, hostnames)) in order {
                    let taken = |(other, names): &(RouteKind, &Hostnames)| {
                        other != kind && names.iter().any(|a| hostnames.iter().any(|b| intersect(a.as_ref(), b.as_ref()).is_some()))
                    };
                    let holds = !held.iter().any(taken);
                    assert_eq!(changing.holds(*route), holds, "{all:#?}");
                    assert!(turned.contains(route) || before[route] == holds);
                    if holds {
                        held.push((*kind, hostnames));
                    }
                }
            }
        }
    }
}
