//! Which events a caller wants.

use std::collections::HashSet;

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use crate::domain::event::{Event, EventType};
use crate::domain::{Iccid, Msisdn, SimRef};
use crate::service::Sims;

/// Identifiers that are looked up at once.
const LOOKED_UP_AT_ONCE: usize = 8;

/// Which events are wanted. What is empty does not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one of these types, or with one of `raw_types`.
    pub types: HashSet<EventType>,
    /// With one of these words, or of one of `types`.
    pub raw_types: HashSet<String>,
    /// About one of these SIMs.
    pub sims: Vec<SimRef>,
    /// Also those about the provider's own infrastructure.
    pub include_infrastructure: bool,
}

/// Longest wait for all of them: a provider that is down holds no stream back.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(5);

/// A filter that knows its SIMs by both names, as far as can be found out.
pub struct Resolved {
    filter: Filter,
    iccids: HashSet<Iccid>,
    msisdns: HashSet<Msisdn>,
}

impl Filter {
    /// Finds the other names of its SIMs. A SIM whose other name cannot be
    /// found is known by the one that was given.
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
    /// Whether the event is wanted.
    pub(super) fn admits(&self, event: &Event) -> bool {
        let filter = &self.filter;
        (filter.include_infrastructure || !event.infrastructure)
            && (filter.types.is_empty() && filter.raw_types.is_empty()
                || filter.types.contains(&event.event_type())
                || filter.raw_types.contains(&event.raw_type))
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
