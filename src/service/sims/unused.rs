//! Which SIMs of a page nothing uses yet: the eSIM and the subscriptions of each
//! are read, live.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Sims;
use crate::domain::{Deadline, Error, Iccid, Msisdn, Result, SimRecord};
use crate::service::stock::look::{has_subscription, may_be_of_device, was_on_device};
use crate::transatel::client::request::CallOptions;

/// SIMs that are read at once.
const AT_ONCE: usize = 8;

impl Sims {
    /// Those that nothing uses, in their order.
    ///
    /// # Errors
    /// The provider's: of one SIM, for all of the page.
    pub(super) async fn unused(&self, records: Vec<SimRecord>, deadline: Deadline) -> Result<Vec<SimRecord>> {
        let reads = records.into_iter().filter_map(|record| {
            // Neither is ever undone, so that a search that lags behind can be trusted.
            let is_used = record.has_ended() || record.esim_status.is_some_and(was_on_device);
            let (iccid, msisdn) = (record.ids.iccid.clone()?, record.ids.msisdn.clone()?);
            let read = async move {
                let is_unused = self.is_unused(&iccid, &msisdn, deadline).await?;
                Ok(is_unused.then_some(record))
            };
            (!is_used).then_some(read)
        });
        let reads: Vec<_> = reads.collect();
        let found: Vec<Option<SimRecord>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn is_unused(&self, iccid: &Iccid, msisdn: &Msisdn, deadline: Deadline) -> Result<bool> {
        let options = CallOptions::until(deadline);
        match self.provider.esim(iccid, false, options.clone()).await {
            Ok(profile) if may_be_of_device(&profile) => return Ok(false),
            // A physical SIM has no profile.
            Ok(_) | Err(Error::EsimNotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let holdings = match self.provider.all_subscriptions(msisdn, options).await {
            Ok(holdings) => holdings,
            // Nothing can be sold for a SIM that the provider sells nothing for.
            Err(Error::SimNotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        // One that cannot be read may not have ended.
        Ok(holdings.unreadable == 0 && !has_subscription(&holdings))
    }
}
