//! Asks the provider for a SIM, by the APIs that the account may use.

use crate::domain::sim::Identifier;
use crate::domain::{Error, ProviderDetail, Result, SimRecord, SimRef};
use crate::transatel::Transatel;
use crate::transatel::api::sims::{is_not_permitted, is_unknown_sim};
use crate::transatel::client::error::{CallError, Need};
use crate::transatel::client::request::CallOptions;

pub(super) fn is_pair(record: &SimRecord) -> bool {
    record.ids.iccid.is_some() && record.ids.msisdn.is_some()
}

/// The missing identifier of a SIM.
pub(super) fn other_name(sim: &SimRef) -> Identifier {
    match sim {
        SimRef::Iccid(_) => Identifier::Msisdn,
        SimRef::Msisdn(_) => Identifier::Iccid,
    }
}

/// Whether SIM Search does not take the filter by number. Only the filter by
/// ICCID is proven.
fn is_filter_refused(sim: &SimRef, failure: &CallError) -> bool {
    matches!(sim, SimRef::Msisdn(_))
        && matches!(failure, CallError::Refused(refusal) if refusal.status == 400)
}

/// What the provider knows of a SIM.
pub(super) enum Found {
    Record(SimRecord),
    /// A permitted API does not know it.
    Unknown(ProviderDetail),
    /// The account may use neither API.
    NotPermitted(ProviderDetail),
}

/// Asks SIM Search and, unless that was enough, connectivity.
///
/// # Errors
/// `SIM_NOT_RESOLVABLE` of a number that the search cannot be asked for, where
/// the account has nothing else to ask.
pub(super) async fn find(
    provider: &Transatel,
    sim: &SimRef,
    options: CallOptions,
    enough: impl Fn(&SimRecord) -> bool,
) -> Result<Found> {
    let (searched, denied) = match provider.search_sim(sim, options.clone()).await {
        Ok(Some(record)) if enough(&record) => return Ok(Found::Record(record)),
        Ok(record) => (record, None),
        Err(failure) if is_not_permitted(&failure) || is_filter_refused(sim, &failure) => {
            (None, Some(failure))
        }
        Err(failure) => return Err(failure.into_error(Need::Optional)),
    };
    match provider.subscriber(sim, options).await {
        Ok(record) => Ok(Found::Record(record)),
        // The search returned only a part, but it does know the SIM.
        Err(failure) if is_not_permitted(&failure) || is_unknown_sim(&failure) => {
            Ok(match (searched, denied) {
                (Some(record), _) => Found::Record(record),
                (None, Some(search)) if is_not_permitted(&failure) => {
                    if is_filter_refused(sim, &search) {
                        return Err(Error::SimNotResolvable {
                            needed: other_name(sim),
                        });
                    }
                    Found::NotPermitted(failure.provider_detail())
                }
                (None, _) => Found::Unknown(failure.provider_detail()),
            })
        }
        Err(failure) => Err(failure.into_error(Need::Optional)),
    }
}
