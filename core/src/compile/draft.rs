//! A table under construction: a new one, or one that shares with its predecessor all that stays.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::rule::CheckedRule;
use crate::canonical::KnownFields;
use crate::decision::Parent;
use crate::diagnostic::ObjectRef;
use crate::model::filter::Filters;
use crate::model::hostname::Hostname;
use crate::options::Options;
use crate::table::host_map::HostMap;
use crate::table::path_index::{self, Entry};
use crate::table::precedence::RouteRank;
use crate::table::rule::{RuleData, Shares, SharesKey};
use crate::table::{
    Backend, BackendId, Endpoints, Inner, MatchId, Parents, PartOf, Route, RouteId, RouteInfo, RouteKind, Rule, RuleId, RuleInfo,
    ServedRoutes, Site, Table,
};

/// The rules of a route through one view, and where they are served.
#[derive(Debug)]
pub(crate) struct ViewRules {
    pub(crate) rules: Vec<CheckedRule>,
    pub(crate) places: Vec<(Parent, BTreeSet<Option<Hostname>>)>,
}

/// What meets at one hostname of a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meeting {
    Http,
    Grpc,
    Tls,
    Streams,
}

impl Meeting {
    fn of(kind: RouteKind) -> Self {
        match kind {
            RouteKind::Http => Self::Http,
            RouteKind::Grpc => Self::Grpc,
            RouteKind::Tls => Self::Tls,
            RouteKind::Tcp | RouteKind::Udp => Self::Streams,
        }
    }
}

/// The table under construction.
#[derive(Debug)]
pub(crate) struct Draft {
    inner: Inner,
    /// The ids of matches or rules at each place that changes.
    changing: BTreeMap<(Parent, Meeting, Option<Hostname>), Vec<u32>>,
    /// Filters by hash, so that equal ones are shared.
    filters: BTreeMap<u64, Vec<Arc<Filters>>>,
    /// Lists of backends, so that equal ones are shared.
    shares: BTreeMap<SharesKey, Shares>,
    /// The numbers of header fields in path indexes.
    names: BTreeMap<Box<str>, u16>,
}

impl Draft {
    /// A table without routes.
    pub(crate) fn new(parents: Parents, options: &Options) -> Self {
        let none = |count| std::iter::repeat_with(|| Arc::new(ServedRoutes::default())).take(count).collect();
        let inner = Inner {
            choices: options.choices(),
            served_listeners: none(parents.listeners.len()),
            served_frontends: none(parents.frontends.len()),
            parents: Arc::new(Parents { chosen: options.chosen(), ..parents }),
            ..Inner::default()
        };
        Self { inner, changing: BTreeMap::new(), filters: BTreeMap::new(), shares: BTreeMap::new(), names: BTreeMap::new() }
    }

    /// A change of a table.
    pub(crate) fn of(table: &Table) -> Self {
        let inner = (*table.inner).clone();
        let names = inner.names.iter().zip(0..).map(|(name, number)| (name.as_str().into(), number)).collect();
        Self { inner, changing: BTreeMap::new(), filters: BTreeMap::new(), shares: BTreeMap::new(), names }
    }

    /// The names of fields that the table refers to.
    pub(crate) fn set_known_fields(&mut self, known: KnownFields) {
        Arc::make_mut(&mut self.inner.parents).known_fields = known;
    }

    /// Sets a backend, new or changed, by its id.
    pub(crate) fn set_backend(&mut self, backend: Backend) {
        let (id, idle) = (backend.id.0, matches!(&backend.endpoints, Endpoints::Known(list) if list.is_empty()));
        let Ok(word) = usize::try_from(id / 64) else { return };
        if self.inner.without_endpoints.len() <= word {
            self.inner.without_endpoints.resize(word.saturating_add(1), 0);
        }
        if let Some(word) = self.inner.without_endpoints.get_mut(word) {
            let bit = 1_u64.wrapping_shl(id % 64);
            *word = if idle { *word | bit } else { *word & !bit };
        }
        self.inner.backend_sessions |= backend.session.is_some();
        self.inner.backends.set(id, Some(Arc::new(backend)), &None);
    }

    /// Takes out a backend that no route refers to; its id is used again.
    pub(crate) fn remove_backend(&mut self, id: BackendId) {
        self.inner.backends.set(id.0, None, &None);
    }

    /// Adds a route.
    pub(crate) fn add_route(&mut self, kind: RouteKind, object: ObjectRef, rank: RouteRank, views: Vec<ViewRules>) -> RouteId {
        let rule_count = count(views.iter().map(|view| view.rules.len()));
        let match_count = count(views.iter().flat_map(|view| &view.rules).map(|rule| rule.matchers.len()));
        let id = RouteId(self.inner.free.routes.take(1).unwrap_or_else(|| length(self.inner.routes.len())));
        let first_rule = self.inner.free.rules.take(rule_count).unwrap_or_else(|| length(self.inner.rules.len()));
        let first_match = self.inner.free.matches.take(match_count).unwrap_or_else(|| length(self.inner.matches.len()));
        let (mut next_rule, mut next_match) = (first_rule, first_match);
        let (mut rules, mut sites) = (Vec::new(), BTreeSet::new());
        for view in views {
            let mut ids = Vec::new();
            for rule in view.rules {
                let rule_id = RuleId(next_rule);
                next_rule = next_rule.saturating_add(1);
                self.inner.rules.set(rule_id.0, PartOf::new(id, length(rules.len())), &None);
                let data = self.shared(rule.data);
                self.inner.rule_data.set(rule_id.0, data, &RuleData::default());
                if matches!(kind, RouteKind::Http | RouteKind::Grpc) {
                    ids.extend((0..rule.matchers.len()).map(|n| next_match.saturating_add(length(n))));
                } else {
                    ids.push(rule_id.0);
                }
                for n in 0..rule.matchers.len() {
                    self.inner.matches.set(next_match, PartOf::new(rule_id, length(n)), &None);
                    next_match = next_match.saturating_add(1);
                }
                let info = RuleInfo { id: rule_id, route: id, index: rule.index, name: rule.name };
                rules.push(Rule { info, matchers: rule.matchers.into() });
            }
            for (parent, hostnames) in view.places {
                for hostname in hostnames {
                    self.at(parent, Meeting::of(kind), &hostname).extend(&ids);
                    sites.insert(Site { parent, hostname });
                }
            }
        }
        let info = RouteInfo { id, kind, object };
        let sites = sites.into_iter().collect();
        let route = Route { info, rank, first_rule, first_match, matches: match_count, rules: rules.into(), sites };
        self.inner.routes.set(id.0, Some(Arc::new(route)), &None);
        id
    }

    /// Takes a route out; its ids are used again.
    pub(crate) fn remove_route(&mut self, id: RouteId) {
        let Some(route) = self.inner.routes.get(id.0).cloned().flatten() else { return };
        let rule_count = length(route.rules.len());
        let meeting = Meeting::of(route.info.kind);
        let (first, count) = match meeting {
            Meeting::Http | Meeting::Grpc => (route.first_match, route.matches),
            Meeting::Tls | Meeting::Streams => (route.first_rule, rule_count),
        };
        let own = first..first.saturating_add(count);
        for site in &route.sites {
            self.at(site.parent, meeting, &site.hostname).retain(|id| !own.contains(id));
        }
        for rule in route.first_rule..route.first_rule.saturating_add(rule_count) {
            self.inner.rules.set(rule, None, &None);
            self.inner.rule_data.set(rule, RuleData::default(), &RuleData::default());
        }
        for match_ in route.first_match..route.first_match.saturating_add(route.matches) {
            self.inner.matches.set(match_, None, &None);
        }
        self.inner.routes.set(id.0, None, &None);
        let free = &mut self.inner.free;
        free.routes.give(id.0, 1);
        free.rules.give(route.first_rule, rule_count);
        free.matches.give(route.first_match, route.matches);
    }

    /// The ids at a place that changes: at first those that are there.
    fn at(&mut self, parent: Parent, meeting: Meeting, hostname: &Option<Hostname>) -> &mut Vec<u32> {
        let inner = &self.inner;
        let there = || {
            let Some(served) = inner.served(parent) else { return Vec::new() };
            let matches = |map: &HostMap| map.get(hostname.as_ref()).map(|index| path_index::all(index).map(|id| id.0).collect());
            let found = match meeting {
                Meeting::Http => matches(&served.http),
                Meeting::Grpc => matches(&served.grpc),
                Meeting::Tls => served.tls.get(hostname.as_ref()).map(|list| path_index::rules(list).map(|id| id.0).collect()),
                Meeting::Streams => Some(served.streams.iter().map(|id| id.0).collect()),
            };
            found.unwrap_or_default()
        };
        self.changing.entry((parent, meeting, hostname.clone())).or_insert_with(there)
    }

    /// Shares filters that another rule has as well.
    fn shared(&mut self, mut data: RuleData) -> RuleData {
        let none = Filters::none();
        for filters in data.filters_mut().filter(|filters| !Arc::ptr_eq(filters, &none)) {
            let mut hasher = DefaultHasher::new();
            filters.hash(&mut hasher);
            let known = self.filters.entry(hasher.finish()).or_default();
            match known.iter().find(|known| *known == filters) {
                Some(known) => *filters = Arc::clone(known),
                None => known.push(Arc::clone(filters)),
            }
        }
        let shares = self.shares.entry(data.shares.key()).or_insert_with(|| data.shares.clone());
        data.shares = shares.clone();
        data
    }

    /// Writes what has changed.
    pub(crate) fn finish(mut self) -> Table {
        let mut of_parents = BTreeMap::<Parent, Vec<(Meeting, Option<Hostname>, Vec<u32>)>>::new();
        for ((parent, meeting, hostname), ids) in std::mem::take(&mut self.changing) {
            of_parents.entry(parent).or_default().push((meeting, hostname, ids));
        }
        for (parent, list) in of_parents {
            let Some(mut served) = self.inner.served(parent).cloned() else { continue };
            let (mut http, mut grpc, mut tls) = (Vec::new(), Vec::new(), Vec::new());
            for (meeting, hostname, ids) in list {
                match meeting {
                    Meeting::Http => http.push((hostname, self.index(ids))),
                    Meeting::Grpc => grpc.push((hostname, self.index(ids))),
                    Meeting::Tls => tls.push((hostname, path_index::write_rules(&self.in_order(ids)))),
                    Meeting::Streams => served.streams = self.in_order(ids).into(),
                }
            }
            served.http.set_all(http);
            served.grpc.set_all(grpc);
            served.tls.set_all(tls);
            let (served_by, id) = match parent {
                Parent::Listener(id) => (&mut self.inner.served_listeners, id.0),
                Parent::Service(id) => (&mut self.inner.served_frontends, id.0),
            };
            if let Some(place) = usize::try_from(id).ok().and_then(|id| served_by.get_mut(id)) {
                *place = Arc::new(served);
            }
        }
        Table { inner: Arc::new(self.inner) }
    }

    /// The path index of these matches; `None` for none.
    fn index(&mut self, ids: Vec<u32>) -> Option<Vec<u8>> {
        let mut ranked: Vec<_> = ids.into_iter().filter_map(|id| Some((self.inner.rank(MatchId(id))?, MatchId(id)))).collect();
        ranked.sort();
        ranked.dedup_by(|b, a| a.1 == b.1);
        let inner = &self.inner;
        let entry = |(_, match_): &(_, MatchId)| {
            let (rule, place) = inner.matches.get(match_.0).copied().flatten()?.parts();
            let (route, of_route) = inner.rules.get(rule.0).copied().flatten()?.parts();
            let of_rule = inner.routes.get(route.0)?.as_deref()?.rules.get(usize::try_from(of_route).ok()?)?;
            let data = inner.rule_data.get(rule.0)?;
            let asks = |id| inner.backends.get(id).and_then(Option::as_deref).is_some_and(|backend| backend.session.is_some());
            let sessions = inner.backend_sessions && data.shares.iter().any(|(_, share)| share.backend.is_some_and(|id| asks(id.0)));
            let matcher = of_rule.matchers.get(usize::try_from(place).ok()?)?;
            Some(Entry { match_: *match_, rule, route, data, sessions, matcher })
        };
        let entries: Vec<Entry<'_>> = ranked.iter().filter_map(entry).collect();
        if entries.is_empty() {
            return None;
        }
        let (numbers, mut added) = (&mut self.names, Vec::new());
        let index = path_index::write(&entries, inner.choices.reading.repeated_headers, &mut |name| {
            let known = numbers.get(name.as_str()).copied();
            known.or_else(|| {
                let number = u16::try_from(numbers.len()).ok()?;
                numbers.insert(name.as_str().into(), number);
                added.push(name.clone());
                Some(number)
            })
        });
        if !added.is_empty() {
            Arc::make_mut(&mut self.inner.names).append(&mut added);
        }
        Some(index)
    }

    /// Rules in the order of their routes.
    fn in_order(&self, ids: Vec<u32>) -> Vec<RuleId> {
        let rank = |id: u32| {
            let (route, _) = self.inner.rules.get(id).copied().flatten()?.parts();
            Some((self.inner.routes.get(route.0)?.as_deref()?.rank.clone(), RuleId(id)))
        };
        let ranked: BTreeSet<_> = ids.into_iter().filter_map(rank).collect();
        ranked.into_iter().map(|(_, id)| id).collect()
    }
}

fn length(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn count(lengths: impl Iterator<Item = usize>) -> u32 {
    length(lengths.fold(0, usize::saturating_add))
}
