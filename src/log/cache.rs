//! What the log keeps in memory of what is on the disk.

use std::hash::Hash;

use moka::policy::EvictionPolicy;
use moka::sync::{Cache, CacheBuilder};

/// A cache that lets go of what was used longest ago. One that counts uses, as is the default, would keep the busy of
/// yesterday and admit nothing that is new today.
pub(super) fn hot<K, V>(capacity: u64) -> CacheBuilder<K, V, Cache<K, V>>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(capacity).eviction_policy(EvictionPolicy::lru())
}
