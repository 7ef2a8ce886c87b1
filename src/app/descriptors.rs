//! How many connections of callers the process can hold.

use rlimit::Resource;

/// Descriptors that callers never get, as long as there are twice as many: for
/// the admin port, the webhook, the provider and the ledger.
const RESERVED: u64 = 512;

/// Raises the limit on open files to what the process may have, and returns
/// how many connections of callers fit below it.
pub(super) fn for_callers() -> usize {
    let allowed = rlimit::increase_nofile_limit(u64::MAX).or_else(|_| Resource::NOFILE.get_soft());
    // Unknown: `accept` reports it when there are no more.
    let allowed = allowed.unwrap_or(u64::MAX);
    let connections = allowed - RESERVED.min(allowed / 2);
    if allowed < 2 * RESERVED {
        tracing::warn!(
            allowed,
            connections,
            "few files may be open at once: more connections of callers than that have to wait"
        );
    }
    usize::try_from(connections)
        .unwrap_or(usize::MAX)
        .min(tokio::sync::Semaphore::MAX_PERMITS)
}
