//! RateLimitPolicy: how many requests a client may send.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;

use super::fields::{Length, none_of, some};
use super::store::Store;

/// The specification.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Spec {
    #[serde(deserialize_with = "some")]
    rates: Vec<Rate>,
}

/// One limit of several, of which each has to have room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Rate {
    limit: NonZeroU32,
    duration: Length,
    /// What has a count of its own; nothing means one count for all.
    #[serde(default)]
    by: Vec<By>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct By {
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawSource")]
enum Source {
    RemoteIp,
    Header(HeaderName),
}

#[derive(Deserialize)]
struct RawSource {
    #[serde(rename = "type")]
    type_: String,
    name: Option<String>,
}

impl TryFrom<RawSource> for Source {
    type Error = String;

    fn try_from(raw: RawSource) -> Result<Self, String> {
        match (raw.type_.as_str(), raw.name) {
            ("RemoteIP", None) => Ok(Self::RemoteIp),
            ("RemoteIP", Some(_)) => Err("`name` must not stand with type RemoteIP".to_owned()),
            ("Header", Some(name)) => {
                let wrong = |_| format!("`{}` is not a header field name (RFC 9110 section 5.1)", name.escape_debug());
                HeaderName::from_bytes(name.as_bytes()).map(Self::Header).map_err(wrong)
            }
            ("Header", None) => Err("type Header needs `name`".to_owned()),
            (other, _) => Err(none_of(other, "RemoteIP or Header")),
        }
    }
}

type Limiter = RateLimiter<u64, Store, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// A rate limit with its counts.
#[derive(Debug)]
pub(crate) struct RateLimit {
    spec: Spec,
    limiters: Vec<Limiter>,
    /// Keys are told apart by a hash that clients cannot foresee: what they send takes no memory.
    hasher: RandomState,
}

impl RateLimit {
    pub(super) fn new(spec: Spec) -> Self {
        let limiters = spec.rates.iter().map(|rate| {
            let each = (rate.duration.0 / rate.limit.get()).max(Duration::from_nanos(1));
            let quota = Quota::with_period(each).unwrap_or(Quota::per_second(rate.limit)).allow_burst(rate.limit);
            RateLimiter::new(quota, Store::default(), MonotonicClock)
        });
        Self { limiters: limiters.collect(), spec, hasher: RandomState::new() }
    }

    /// Whether it is made of this specification.
    pub(super) fn is(&self, spec: &Spec) -> bool {
        self.spec == *spec
    }

    /// Counts a request; the error is how long its client has to wait.
    pub(crate) fn check(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), Duration> {
        for (rate, limiter) in self.spec.rates.iter().zip(&self.limiters) {
            let key = self.key(&rate.by, peer, headers);
            limiter.check_key(&key).map_err(|not_until| not_until.wait_time_from(MonotonicClock.now()))?;
        }
        Ok(())
    }

    fn key(&self, by: &[By], peer: IpAddr, headers: &HeaderMap) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for By { source } in by {
            match source {
                Source::RemoteIp => network(peer).hash(&mut hasher),
                Source::Header(name) => {
                    let values = headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
                    values.for_each(|value| value.hash(&mut hasher));
                    hasher.write_u8(0xff);
                }
            }
        }
        hasher.finish()
    }
}

/// Who has an address: of IPv6, one client has a whole /64 at least.
fn network(peer: IpAddr) -> [u8; 8] {
    match peer.to_canonical() {
        IpAddr::V4(peer) => u64::from(peer.to_bits()).to_be_bytes(),
        IpAddr::V6(peer) => {
            let octets = peer.octets();
            let mut network = [0; 8];
            network.iter_mut().zip(octets).for_each(|(to, from)| *to = from);
            network
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> RateLimit {
        RateLimit::new(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn clients_are_told_apart() {
        let by_address = limit(r#"{"rates": [{"limit": 1, "duration": "1h", "by": [{"source": {"type": "RemoteIP"}}]}]}"#);
        let passes = |peer: &str| by_address.check(peer.parse().unwrap(), &HeaderMap::new()).is_ok();
        assert!(passes("192.0.2.1") && passes("192.0.2.2") && !passes("192.0.2.1"));
        // The same client by another socket, and one that has a whole network.
        assert!(!passes("::ffff:192.0.2.1"));
        assert!(passes("2001:db8::1") && !passes("2001:db8::ffff:1") && passes("2001:db8:0:1::1"));
        let both = r#"{"rates": [{"limit": 1, "duration": "1h", "by": [{"source": {"type": "RemoteIP"}}, {"source": {"type": "Header", "name": "X-Key"}}]}]}"#;
        let both = limit(both);
        let passes = |peer: &str, key: &'static str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static("x-key"), http::HeaderValue::from_static(key))]);
            both.check(peer.parse().unwrap(), &headers).is_ok()
        };
        assert!(passes("192.0.2.1", "a") && passes("192.0.2.1", "b") && passes("192.0.2.2", "a") && !passes("192.0.2.1", "a"));
    }

    /// A burst of the whole limit, then the wait for the next place.
    #[test]
    fn the_wait_is_that_for_one_place() {
        let limit = limit(r#"{"rates": [{"limit": 60, "duration": "1h"}]}"#);
        let check = || limit.check("192.0.2.1".parse().unwrap(), &HeaderMap::new());
        (0..60).for_each(|_| assert_eq!(check(), Ok(())));
        let wait = check().unwrap_err();
        assert!(wait > Duration::from_secs(30) && wait <= Duration::from_secs(60), "{wait:?}");
    }
}
