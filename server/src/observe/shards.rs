//! A map that many threads read at once: split by key, so that none waits for all others.

use std::hash::{BuildHasher as _, Hash};
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::{FxBuildHasher, FxHashMap};

/// As many threads hardly ever meet in one of them.
const SHARDS: usize = 16;

/// Shared values by key. Keys are ids, which no client can choose: they need no keyed hash.
#[derive(Debug)]
pub(super) struct Shards<K, V> {
    shards: [RwLock<FxHashMap<K, Arc<V>>>; SHARDS],
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()) }
    }
}

impl<K: Eq + Hash, V> Shards<K, V> {
    /// The value of a key; at first what `make` gives.
    pub(super) fn get_or_make(&self, key: K, make: impl FnOnce(&K) -> Arc<V>) -> Arc<V> {
        // Of the upper half: the lower bits choose the place in the map.
        let at = usize::try_from((FxBuildHasher.hash_one(&key) >> 32) % SHARDS as u64).unwrap_or_default();
        let shard = &self.shards[at];
        if let Some(found) = shard.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(found);
        }
        let made = make(&key);
        Arc::clone(shard.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(made))
    }
}
