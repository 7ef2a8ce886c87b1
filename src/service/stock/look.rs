//! Whether a SIM of the stock can be sold, live: who gets it must be the
//! first.

use super::Stock;
use crate::domain::stock::SetAside;
use crate::domain::subscription::Holdings;
use crate::domain::{Deadline, Error, EsimStatus, Iccid, Msisdn, ProviderDetail, Result, SimRef, SimStatus};
use crate::transatel::api::sim_management::Profile;
use crate::transatel::client::request::CallOptions;

/// What a look at a SIM shows.
pub(super) enum Look {
    /// It can be sold; its number.
    Fit(Msisdn),
    /// It cannot.
    Unfit(SetAside),
}

impl Stock {
    /// Reads the SIM, its eSIM and its subscriptions.
    ///
    /// # Errors
    /// The provider's: nothing is known of the SIM then.
    pub(super) async fn look(&self, card: &Iccid, deadline: Deadline) -> Result<Look> {
        let line = self.inner.sims.line(&SimRef::Iccid(card.clone()), deadline).await;
        let record = match line {
            Ok(record) => record,
            Err(Error::SimNotFound { .. }) => return Ok(Look::Unfit(SetAside::SimNotFound)),
            Err(Error::SimNotResolvable { .. }) => return Ok(Look::Unfit(SetAside::NoMsisdn)),
            Err(error) => return Err(error),
        };
        if record.status != Some(SimStatus::Preactivated) {
            return Ok(Look::Unfit(SetAside::NotPreactivated));
        }
        let Some(msisdn) = record.ids.msisdn else {
            return Ok(Look::Unfit(SetAside::NoMsisdn));
        };
        let options = CallOptions::for_order(deadline);
        Ok(match self.unfit(card, &msisdn, options).await? {
            Some(reason) => Look::Unfit(reason),
            None => Look::Fit(msisdn),
        })
    }

    /// Why a pre-activated SIM cannot be sold: reads its eSIM and its
    /// subscriptions.
    ///
    /// # Errors
    /// The provider's: nothing is known of the SIM then.
    pub(super) async fn unfit(
        &self,
        card: &Iccid,
        msisdn: &Msisdn,
        options: CallOptions,
    ) -> Result<Option<SetAside>> {
        let provider = &self.inner.provider;
        let (profile, holdings) = tokio::join!(
            provider.esim(card, false, options.clone()),
            provider.all_subscriptions(msisdn, options)
        );
        let profile = match profile {
            Ok(profile) => Some(profile),
            Err(Error::EsimNotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let holdings = holdings?;
        if holdings.unreadable > 0 {
            return Err(Error::ProviderProtocol {
                provider: ProviderDetail::default(),
            });
        }
        Ok(unfit(profile.as_ref(), &holdings))
    }
}

/// Why a pre-activated SIM cannot be sold.
fn unfit(profile: Option<&Profile>, holdings: &Holdings) -> Option<SetAside> {
    let Some(profile) = profile else {
        return Some(SetAside::NoEsim);
    };
    if is_of_device(profile) {
        return Some(SetAside::OnDevice);
    }
    if profile.status != Some(EsimStatus::Released) || profile.code.is_none() {
        return Some(SetAside::NotInstallable);
    }
    has_subscription(holdings).then_some(SetAside::HasSubscription)
}

/// Whether any subscription but the provider's own has not ended.
pub(in crate::service) fn has_subscription(holdings: &Holdings) -> bool {
    let mut subscriptions = holdings.subscriptions.iter();
    subscriptions.any(|subscription| !subscription.is_over() && !subscription.infrastructure)
}

/// Whether an eSIM was ever on a device, or is bound to one.
fn is_of_device(profile: &Profile) -> bool {
    profile.status.is_some_and(was_on_device) || profile.eid.is_some()
}

/// The same of one that nobody has looked for: a status that is not known may be that
/// of a device.
pub(in crate::service) fn may_be_of_device(profile: &Profile) -> bool {
    profile.status.is_none() || is_of_device(profile)
}

/// Whether an eSIM of this status was ever on a device.
pub(in crate::service) fn was_on_device(status: EsimStatus) -> bool {
    match status {
        EsimStatus::Available | EsimStatus::Allocated | EsimStatus::Released => false,
        EsimStatus::Downloaded
        | EsimStatus::Installed
        | EsimStatus::Enabled
        | EsimStatus::Disabled
        | EsimStatus::Deleted => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::esim::{ActivationCode, Eid};

    fn profile(status: Option<EsimStatus>) -> Profile {
        Profile {
            status,
            raw_status: String::new(),
            status_changed_at: None,
            eid: None,
            code: ActivationCode::parse("LPA:1$smdp.example.com$ABC"),
            history: Vec::new(),
            downloads: None,
        }
    }

    #[test]
    fn only_a_released_esim_that_no_device_has_is_sold() {
        let none = Holdings::default();
        for (status, expected) in [
            (Some(EsimStatus::Released), None),
            (Some(EsimStatus::Available), Some(SetAside::NotInstallable)),
            (Some(EsimStatus::Allocated), Some(SetAside::NotInstallable)),
            (None, Some(SetAside::NotInstallable)),
            (Some(EsimStatus::Downloaded), Some(SetAside::OnDevice)),
            (Some(EsimStatus::Installed), Some(SetAside::OnDevice)),
            (Some(EsimStatus::Enabled), Some(SetAside::OnDevice)),
            (Some(EsimStatus::Disabled), Some(SetAside::OnDevice)),
            (Some(EsimStatus::Deleted), Some(SetAside::OnDevice)),
        ] {
            assert_eq!(unfit(Some(&profile(status)), &none), expected, "{status:?}");
        }
        assert_eq!(unfit(None, &none), Some(SetAside::NoEsim));
        let released = profile(Some(EsimStatus::Released));
        let bound = Profile {
            eid: Eid::parse("89049032000000000000000000000001"),
            ..released.clone()
        };
        assert_eq!(unfit(Some(&bound), &none), Some(SetAside::OnDevice));
        let without_code = Profile {
            code: None,
            ..released
        };
        assert_eq!(unfit(Some(&without_code), &none), Some(SetAside::NotInstallable));
    }
}
