//! Filters of events.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use crate::domain::event::{Event, EventType};
use crate::domain::write::RequestId;
use crate::domain::{Iccid, Msisdn, Scope, SimRef};
use crate::service::Sims;
use crate::store::events::Selection;

/// Check-ups of identifiers in parallel.
const LOOKED_UP_AT_ONCE: usize = 8;

/// Selects events: those that fit every member. An empty one does not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one of these types, or with one of `raw_types`.
    pub types: HashSet<EventType>,
    /// With one of these type names, or of one of `types`.
    pub raw_types: HashSet<String>,
    /// About one of these SIMs.
    pub sims: Vec<SimRef>,
    /// Of one of these requests.
    pub request_ids: HashSet<RequestId>,
    /// About one of these subscriptions.
    pub subscription_ids: HashSet<String>,
    /// Of orders and operations that this caller requested.
    pub requested_by: Option<String>,
    /// Includes those about the provider's own infrastructure.
    pub include_infrastructure: bool,
    /// What the reader may see.
    pub scope: Scope,
}

/// Time limit for all of them: a provider that is down delays no stream.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(5);

/// A filter that knows both identifiers of its SIMs, as far as they can be
/// found.
pub struct Resolved {
    filter: Filter,
    iccids: HashSet<Iccid>,
    msisdns: HashSet<Msisdn>,
}

impl Filter {
    /// Looks up the other identifiers of its SIMs. A SIM whose other one cannot
    /// be found matches only by the given one.
    pub(super) async fn resolved(self, sims: &Sims) -> Resolved {
        let until = Instant::now() + LOOKED_UP_WITHIN;
        let found: Vec<_> = stream::iter(self.sims.clone())
            .map(|sim| async move {
                let both = async { tokio::join!(sims.iccid(&sim), sims.msisdn(&sim)) };
                match tokio::time::timeout_at(until, both).await {
                    Ok((iccid, msisdn)) => (iccid.ok(), msisdn.ok()),
                    Err(_) => (None, None),
                }
            })
            .buffered(LOOKED_UP_AT_ONCE)
            .collect()
            .await;
        let (mut iccids, mut msisdns) = (HashSet::new(), HashSet::new());
        for (iccid, msisdn) in found {
            iccids.extend(iccid);
            msisdns.extend(msisdn);
        }
        for sim in &self.sims {
            match sim {
                SimRef::Iccid(iccid) => iccids.insert(iccid.clone()),
                SimRef::Msisdn(msisdn) => msisdns.insert(msisdn.clone()),
            };
        }
        Resolved {
            filter: self,
            iccids,
            msisdns,
        }
    }
}

impl Resolved {
    /// The same for the store: at least what this admits.
    pub(super) fn selection(&self) -> Selection {
        let filter = &self.filter;
        let named = EventType::texts().filter(|text| filter.types.contains(&EventType::named(text)));
        let raw_types = named.map(str::to_owned).chain(filter.raw_types.iter().cloned());
        Selection {
            raw_types: raw_types.collect(),
            other_types: filter.types.contains(&EventType::Other),
            iccids: self
                .iccids
                .iter()
                .map(|iccid| iccid.as_str().to_owned())
                .collect(),
            msisdns: self
                .msisdns
                .iter()
                .map(|msisdn| msisdn.as_str().to_owned())
                .collect(),
            request_ids: filter.request_ids.iter().map(RequestId::to_string).collect(),
            subscription_ids: filter.subscription_ids.iter().cloned().collect(),
            // Both name the reader.
            caller: { filter.scope.only().map(str::to_owned) }.or_else(|| filter.requested_by.clone()),
            include_infrastructure: filter.include_infrastructure,
        }
    }

    /// Whether the event passes the filter.
    pub(super) fn admits(&self, event: &Event) -> bool {
        let filter = &self.filter;
        filter.scope.admits(event.caller.as_deref())
            && (filter.include_infrastructure || !event.infrastructure)
            && (filter.types.is_empty() && filter.raw_types.is_empty()
                || filter.types.contains(&event.event_type())
                || filter.raw_types.contains(&event.raw_type))
            && fits(&filter.request_ids, event.request_id.as_ref())
            && fits(&filter.subscription_ids, event.subscription_id.as_ref())
            // An event that names no request may be of a subscription of the caller.
            && (filter.requested_by.is_none()
                || filter.requested_by == event.caller && event.request_id.is_some())
            && (filter.sims.is_empty()
                || event
                    .sim
                    .iccid
                    .as_ref()
                    .is_some_and(|iccid| self.iccids.contains(iccid))
                || event
                    .sim
                    .msisdn
                    .as_ref()
                    .is_some_and(|msisdn| self.msisdns.contains(msisdn)))
    }
}

fn fits<T: Eq + Hash>(wanted: &HashSet<T>, own: Option<&T>) -> bool {
    wanted.is_empty() || own.is_some_and(|own| wanted.contains(own))
}
