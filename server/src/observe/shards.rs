//! A map that many threads read at once: split by key, so that none waits for all others.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

/// As many threads hardly ever meet in one of them.
const SHARDS: usize = 16;

/// Shared values by key.
#[derive(Debug)]
pub(super) struct Shards<K, V> {
    shards: [RwLock<HashMap<K, Arc<V>>>; SHARDS],
    random: RandomState,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()), random: RandomState::new() }
    }
}

impl<K: Eq + Hash, V> Shards<K, V> {
    /// The value of a key; at first what `make` gives.
    pub(super) fn get_or_make(&self, key: K, make: impl FnOnce(&K) -> Arc<V>) -> Arc<V> {
        let at = usize::try_from(self.random.hash_one(&key) % SHARDS as u64).unwrap_or_default();
        let shard = &self.shards[at];
        if let Some(found) = shard.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(found);
        }
        let made = make(&key);
        Arc::clone(shard.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(made))
    }
}
