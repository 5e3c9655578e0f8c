//! What a rule does with the requests that its matches catch.

use std::sync::Arc;

use http::HeaderName;

use super::ids::BackendId;
use crate::decision::Timeouts;
use crate::model::filter::Filters;
use crate::model::retry::Retry;
use crate::model::session::SessionPersistence;
use crate::request::Pick;

/// What a rule does. Parts that are equal in many rules are shared between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleData {
    pub(crate) filters: Arc<Filters>,
    pub(crate) shares: Shares,
    /// What few rules have.
    pub(crate) more: Option<Arc<More>>,
}

/// What few rules have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct More {
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: Option<Retry>,
    pub(crate) session: Option<SessionPersistence>,
    /// The rule is invalid in a way that must not widen access: it answers 500 ([U-29]).
    pub(crate) fail_closed: bool,
}

impl RuleData {
    pub(crate) fn new(filters: Filters, shares: Shares, more: More) -> Self {
        Self { filters: filters.into_shared(), shares, more: (more != More::default()).then(|| Arc::new(more)) }
    }

    /// A rule that answers 500.
    pub(crate) fn closed() -> Self {
        Self::new(Filters::default(), Shares::default(), More { fail_closed: true, ..More::default() })
    }

    pub(crate) fn fail_closed(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.fail_closed)
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.more.as_ref().map(|more| more.timeouts).unwrap_or_default()
    }

    pub(crate) fn retry(&self) -> Option<&Retry> {
        self.more.as_ref()?.retry.as_ref()
    }

    pub(crate) fn session(&self) -> Option<&SessionPersistence> {
        self.more.as_ref()?.session.as_ref()
    }

    /// Whether it does more than to forward to one of its backends.
    pub(crate) fn does_more(&self) -> bool {
        self.more.is_some() || *self.filters != Filters::default()
    }

    /// Its backendRefs, if a pick and nothing else chooses among them and nothing more is done for any of them.
    pub(crate) fn plain_shares(&self) -> Option<impl ExactSizeIterator<Item = (u32, BackendId)>> {
        let list = &self.shares.list;
        let plain = |share: &Share| share.backend.is_some() && *share.filters == Filters::default();
        let chosen_by_pick = self.session().is_none() && list.last().is_some_and(|last| last.end > 0 && u32::try_from(last.end).is_ok());
        let backend = |share: &Share| (u32::try_from(share.end).unwrap_or(u32::MAX), share.backend.unwrap_or(BackendId(0)));
        (chosen_by_pick && u8::try_from(list.len()).is_ok() && list.iter().all(plain)).then(|| list.iter().map(backend))
    }

    /// The names of the request's header fields that the rule's filters refer to.
    pub(crate) fn request_header_names(&self) -> impl Iterator<Item = &HeaderName> {
        let modifiers = std::iter::once(&self.filters).chain(self.shares.list.iter().map(|share| &share.filters));
        let of_modifiers = modifiers.flat_map(|filters| {
            let modifier = &filters.request_headers;
            modifier.set.iter().chain(&modifier.add).map(|(name, _)| name).chain(&modifier.remove)
        });
        let of_auth = self.filters.auth.iter().flat_map(|auth| &auth.response_headers);
        of_modifiers.chain(of_auth).chain(self.session().map(SessionPersistence::field))
    }

    /// Every set of filters in it, to be shared.
    pub(crate) fn filters_mut(&mut self) -> impl Iterator<Item = &mut Arc<Filters>> {
        std::iter::once(&mut self.filters).chain(Arc::get_mut(&mut self.shares.list).into_iter().flatten().map(|share| &mut share.filters))
    }
}

/// What makes two lists of backends equal: sums of weights, backends, and shared filters by where they are.
pub(crate) type SharesKey = Vec<(u64, Option<BackendId>, *const Filters)>;

/// The backendRefs of a rule, by weight ([B-1]).
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    list: Arc<[Share]>,
}

/// One backendRef.
#[derive(Debug)]
pub(crate) struct Share {
    /// Sum of the weights up to and including this one.
    end: u64,
    /// Where the share goes; `None` answers 500 ([B-4]).
    pub(crate) backend: Option<BackendId>,
    pub(crate) filters: Arc<Filters>,
}

impl Shares {
    pub(crate) fn new(refs: impl IntoIterator<Item = (u32, Option<BackendId>, Filters)>) -> Self {
        let mut total = 0_u64;
        let list = refs.into_iter().map(|(weight, backend, filters)| {
            total = total.saturating_add(u64::from(weight));
            Share { end: total, backend, filters: filters.into_shared() }
        });
        Self { list: list.collect() }
    }

    /// What makes two lists equal whose filters are shared already.
    pub(crate) fn key(&self) -> SharesKey {
        self.list.iter().map(|share| (share.end, share.backend, Arc::as_ptr(&share.filters))).collect()
    }

    /// Whether there is no backendRef at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Every backendRef with its weight.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Share)> {
        let mut begin = 0;
        self.list.iter().map(move |share| {
            let weight = share.end.saturating_sub(begin);
            begin = share.end;
            (weight, share)
        })
    }

    /// The share at a place of the list.
    pub(crate) fn get(&self, place: usize) -> Option<&Share> {
        self.list.get(place)
    }

    /// The share that a pick falls into, with its place; `None` when all weights are zero. Invalid backendRefs keep
    /// their share and weight 0 is never picked.
    pub(crate) fn pick(&self, pick: Pick) -> Option<(u16, &Share)> {
        let place = place_of(self.list.last()?.end, self.list.iter().map(|share| share.end), pick)?;
        Some((u16::try_from(place).unwrap_or(u16::MAX), self.list.get(place)?))
    }
}

/// Where a pick falls in a list of shares, given for each the sum of the weights up to and including it, and the sum of all.
#[inline]
pub(crate) fn place_of(total: u64, mut ends: impl Iterator<Item = u64>, pick: Pick) -> Option<usize> {
    let drawn = pick.below(total);
    ends.position(|end| end > drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [B-1], [B-3]: weights are shares of their sum, and 0 gets nothing.
    #[test]
    fn weights() {
        let shares = Shares::new(
            [8_u32, 0, 2, 0]
                .iter()
                .enumerate()
                .map(|(n, weight)| (*weight, Some(BackendId(u32::try_from(n).unwrap())), Filters::default())),
        );
        let mut counts = [0; 4];
        for n in 0..1000_u64 {
            let (_, share) = shares.pick(Pick(n * (u64::MAX / 1000) + u64::MAX / 2000)).unwrap();
            counts[share.backend.unwrap().index() as usize] += 1;
        }
        assert_eq!(counts, [800, 0, 200, 0]);
        assert!(shares.pick(Pick(u64::MAX)).is_some());
        assert!(Shares::new([(0, None, Filters::default())]).pick(Pick(0)).is_none());
    }
}
