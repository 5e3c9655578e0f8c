//! Which endpoint gets the next request: of two drawn at random the one that has fewer in flight. That keeps a slow
//! endpoint from piling up work, and needs no look at all of them (Mitzenmacher 2001, "The power of two choices in randomized
//! load balancing").

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many requests and streams each endpoint has; what is not there has none.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct InFlight(Arc<Mutex<HashMap<SocketAddr, usize>>>);

/// Counts for an endpoint as long as it lives.
#[derive(Debug)]
pub(in crate::proxy) struct Busy {
    all: InFlight,
    endpoint: SocketAddr,
}

impl InFlight {
    /// Chooses among endpoints, given by their number and place; `None` if there are none.
    pub(in crate::proxy) fn choose(
        &self,
        count: usize,
        at: impl Fn(usize) -> SocketAddr,
        pick: u64,
    ) -> Option<(usize, SocketAddr, Option<Busy>)> {
        let draw = |bits: u64, below: usize| usize::try_from(bits % below.max(1) as u64).unwrap_or(0);
        if count < 2 {
            return (count == 1).then(|| (0, at(0), None));
        }
        let first = draw(pick, count);
        let second = (first + 1 + draw(pick >> 32, count - 1)) % count;
        let ((first, at_first), (second, at_second)) = ((first, at(first)), (second, at(second)));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |endpoint| all.get(&endpoint).copied().unwrap_or(0);
        let (place, endpoint) = if of(at_second) < of(at_first) { (second, at_second) } else { (first, at_first) };
        *all.entry(endpoint).or_default() += 1;
        Some((place, endpoint, Some(Busy { all: self.clone(), endpoint })))
    }

    /// One more for an endpoint that was chosen otherwise.
    pub(in crate::proxy) fn count(&self, endpoint: SocketAddr) -> Busy {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(endpoint).or_default() += 1;
        Busy { all: self.clone(), endpoint }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.endpoint) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.endpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gatewright::Pick;

    use super::*;

    fn endpoint(n: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], u16::try_from(n).unwrap()))
    }

    #[test]
    fn equal_endpoints_get_equal_shares() {
        let (all, mut counts) = (InFlight::default(), [0; 3]);
        for n in 0..3000 {
            let (_, chosen, _busy) = all.choose(3, endpoint, Pick(1).derive(n).0).unwrap();
            counts[usize::from(chosen.port())] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        assert!(all.0.lock().unwrap().is_empty());
        assert!(all.choose(0, endpoint, 7).is_none());
        assert_eq!(all.choose(1, endpoint, 7).unwrap().1, endpoint(0));
    }

    #[test]
    fn one_that_does_not_answer_gets_next_to_nothing() {
        let (all, mut stuck) = (InFlight::default(), Vec::new());
        for n in 0..1000 {
            let (_, chosen, busy) = all.choose(3, endpoint, Pick(1).derive(n).0).unwrap();
            if chosen == endpoint(0) {
                stuck.push(busy);
            }
        }
        assert_eq!(stuck.len(), 1);
    }
}
