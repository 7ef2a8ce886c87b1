//! Ids of requests: one per purchase or change, chosen by the caller and stored
//! *before* the first call. With the same id a call never buys twice.

use uuid::Uuid;

/// A new id (UUID version 4). Store it before the call.
#[must_use]
pub fn random() -> String {
    Uuid::new_v4().to_string()
}

/// A new id that sorts by time (UUID version 7), for databases that index it.
/// Store it before the call.
#[must_use]
pub fn time_ordered() -> String {
    Uuid::now_v7().to_string()
}

/// The id of a purchase or change that the caller has an id of its own for: the
/// same for the same arguments, in every process and language, so that nothing
/// has to be stored.
///
/// `scope` keeps callers, environments and kinds of requests apart, for example
/// `https://shop.example/production/purchases`. `id` is one line of one order: an
/// order of two eSIMs needs two. After a refusal a new attempt needs a new id:
/// put the number of the attempt into it, `1001/2`.
///
/// It is UUID version 5, the inner one in the URL namespace. In Python:
/// `uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, scope), id)`.
///
/// ```
/// use transatel_gateway_client::request_id;
///
/// let scope = "https://shop.example/production/purchases";
/// let id = request_id::derived(scope, "1001/1");
/// assert_eq!(id, request_id::derived(scope, "1001/1"));
/// assert_ne!(id, request_id::derived(scope, "1001/2"));
/// ```
#[must_use]
pub fn derived(scope: &str, id: &str) -> String {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, scope.as_bytes());
    Uuid::new_v5(&namespace, id.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hyphenated_uuids_of_their_version() {
        for (id, version) in [(random(), 4), (time_ordered(), 7), (derived("shop", "1"), 5)] {
            assert_eq!(id.len(), 36);
            assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), version);
        }
        assert_ne!(random(), random());
    }

    #[test]
    fn a_derived_id_never_changes() {
        // What Python's uuid5 makes of them.
        let id = derived("https://shop.example/production/purchases", "1001/1");
        assert_eq!(id, "0f1a9abf-cdfd-540a-942c-2089035dfa26");
    }
}
