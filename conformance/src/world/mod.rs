//! Small nasty worlds: few hosts, segments and names, so that everything overlaps.

mod filters;
mod gateways;
mod requests;
mod routes;
mod services;

use gatewright::Resources;
use gatewright::resource::meta::ObjectMeta;

pub use requests::{connection, request};

/// A repeatable source of choices (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.number() % n.max(1) as u64).unwrap_or(0)
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of a list, which is not empty.
    pub(crate) fn of<'t, T>(&mut self, list: &'t [T]) -> &'t T {
        &list[self.below(list.len())]
    }

    /// Puts a list into another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for n in (1..list.len()).rev() {
            list.swap(n, self.below(n + 1));
        }
    }

    /// A text of a list; mostly the first ones are the ordinary ones.
    fn text(&mut self, list: &[&str]) -> String {
        (*self.of(list)).to_owned()
    }

    fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    /// Something once in `n`.
    fn maybe<T>(&mut self, n: usize, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(n).then(|| make(self))
    }
}

const HOSTNAMES: [&str; 7] = ["a.com", "b.a.com", "*.a.com", "*.b.a.com", "*.com", "c.b.a.com", "xa.com"];
const NAMESPACES: [&str; 3] = ["t", "t-a", "gw"];
const TIMES: [&str; 2] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];

/// A world: one Gateway or two, some routes, and what they refer to.
pub fn resources(random: &mut Random) -> Resources {
    let mut resources = Resources::default();
    // A third of the worlds has much of TLS, TCP and UDP.
    let streams = random.one_in(3);
    services::add(random, &mut resources);
    gateways::add(random, &mut resources, streams);
    routes::add(random, &mut resources, streams);
    resources
}

fn meta(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some(namespace.to_owned()), name: name.to_owned(), ..ObjectMeta::default() }
}

/// Metadata of an object whose age matters.
fn aged(random: &mut Random, namespace: &str, name: &str) -> ObjectMeta {
    let creation_timestamp = if random.one_in(3) { None } else { Some(random.text(&TIMES)) };
    ObjectMeta { creation_timestamp, ..meta(namespace, name) }
}
