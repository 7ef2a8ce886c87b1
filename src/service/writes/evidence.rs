//! What the provider's events prove about an order. They carry its reference,
//! so they settle it in any state, however late they arrive. Events that were
//! missed on arrival are read from the durable log.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use super::flight::Flight;
use super::{Inner, Key, Record, Writes};
use crate::domain::event::Event;
use crate::domain::failure::Reason;
use crate::domain::write::{Kind, State, Write};
use crate::store::{self, Settled, Settlement};
use crate::telemetry::metrics;

/// How often the log is read for the events of an order whose send hangs. Most
/// sends take less.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What the events of an order prove together.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Evidence {
    /// Nothing.
    None,
    /// It was carried out, with these subscriptions; more than one means that
    /// it was carried out more than once.
    CarriedOut(BTreeSet<String>),
    /// They name the order, but do not fit it.
    Doubtful,
}

impl Writes {
    /// Applies an event that names an order or a transaction.
    pub async fn note(&self, event: &Event) {
        if let Err(error) = self.inner.note(event).await {
            // The log keeps it: the next check reads it there.
            tracing::warn!(%error, "what an event proves about an order could not be recorded");
        }
    }
}

impl Inner {
    async fn note(&self, event: &Event) -> Result<(), store::Error> {
        if let Some(transaction) = &event.transaction_id {
            self.check_now(transaction).await?;
        }
        let Some(id) = event.order_id else {
            return Ok(());
        };
        if let Some(record) = self.ledger.find(Key::Write(id)).await? {
            let record = self.confirm(record).await?;
            if record.write.state != State::Done {
                // The inventory may show what it means.
                self.check_now(&id.to_string()).await?;
            }
        }
        Ok(())
    }

    async fn check_now(&self, name: &str) -> Result<(), store::Error> {
        let now = self.ledger.now().await?;
        if self.ledger.make_due(name, now).await? > 0 {
            self.wake_up.notify_one();
        }
        Ok(())
    }

    async fn evidence(&self, record: &Record) -> Result<Evidence, store::Error> {
        if !record.write.is_order() {
            return Ok(Evidence::None);
        }
        Ok(evidence(record, &self.log.events_of(record.write.id).await?))
    }

    /// Whether an order is still in flight and no event names it. An event that
    /// proves that it was carried out settles it.
    pub(super) async fn is_unmentioned(&self, record: Record) -> Result<bool, store::Error> {
        let is_silent = self.evidence(&record).await? == Evidence::None;
        let record = self.confirm(record).await?;
        Ok(is_silent && record.write.state == State::Submitting)
    }

    /// Settles an order by its events in the log. Returns the order as it is
    /// then.
    pub(super) async fn confirm(&self, record: Record) -> Result<Record, store::Error> {
        match self.evidence(&record).await? {
            Evidence::None | Evidence::Doubtful => Ok(record),
            Evidence::CarriedOut(subscriptions) => {
                let known = record.write.bought();
                if subscriptions.len() > 1 || known.is_some_and(|known| !subscriptions.contains(known)) {
                    self.report_twice(&record.write);
                }
                if record.write.state == State::Done && (known.is_some() || subscriptions.is_empty()) {
                    return Ok(record);
                }
                self.settle_confirmed(record, subscriptions.into_iter().next())
                    .await
            }
        }
    }

    /// Hands an order over to an operator when nothing of it shows, while an
    /// event that names it does not fit: it is neither known to have been
    /// carried out nor may it be sent again.
    pub(super) async fn settle_doubtful(&self, record: Record) -> Result<Record, store::Error> {
        if self.evidence(&record).await? != Evidence::Doubtful {
            return Ok(record);
        }
        let failure = Reason::Ambiguous.into();
        let settled = self
            .settle_record(&record, Settlement::NeedsOperator(failure))
            .await?;
        Ok(settled.unwrap_or(record))
    }

    /// The provider decides, but a subscription belongs to one order: when
    /// another one has claimed it, this order is placed without a subscription
    /// id.
    async fn settle_confirmed(
        &self,
        record: Record,
        subscription_id: Option<String>,
    ) -> Result<Record, store::Error> {
        let now = self.ledger.now().await?;
        let is_purchase = matches!(record.write.kind, Kind::Purchase(_));
        let done = |subscription_id: Option<String>| Settlement::Done {
            next_check_at: (subscription_id.is_none() && is_purchase).then_some(now),
            subscription_id,
            provider_reference: record.write.provider_reference.clone(),
        };
        let is_named = subscription_id.is_some();
        let (id, attempt) = (record.write.id, record.attempt);
        let mut settled = self
            .ledger
            .settle(id, attempt, done(subscription_id), None, now)
            .await?;
        if matches!(settled, Settled::Claimed) && is_named {
            settled = self.ledger.settle(id, attempt, done(None), None, now).await?;
            // Not again at each check of an order that is placed by now.
            if let Settled::Yes(settled) = &settled {
                self.report_conflict(&settled.write);
            }
        }
        let settled = match settled {
            Settled::Yes(settled) => *settled,
            Settled::No(settled) => return Ok(*settled),
            Settled::Gone | Settled::Claimed => return Ok(record),
        };
        if settled.write.state != record.write.state {
            tracing::info!(
                order_id = %id,
                before = record.write.state_name(),
                "an event proves that an order was carried out"
            );
            self.report(&settled.write);
        }
        // Calls that wait for the answer to the order are done.
        if let Some(flight) = self.flights.of(id) {
            flight.end(Some(Ok(settled.write.clone())));
        }
        Ok(settled)
    }

    /// While an attempt is being sent, looks for an event that settles it and has
    /// not reached this process otherwise: another replica received it, or there
    /// was no room for it. Never ends: a send must not be dropped.
    pub(super) async fn watch(&self, record: &Record, flight: &Flight) -> Infallible {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let settled = match self.settled_by_event(record).await {
                Ok(settled) => settled,
                Err(error) => {
                    tracing::debug!(%error, "whether an event settles an order could not be read");
                    continue;
                }
            };
            if let Some(write) = settled {
                flight.end(Some(Ok(write)));
            }
        }
    }

    /// The write of an attempt, if it was carried out by what events prove.
    async fn settled_by_event(&self, record: &Record) -> Result<Option<Write>, store::Error> {
        let known = self.ledger.find(Key::Write(record.write.id)).await?;
        let Some(mut known) = known.filter(|known| known.attempt == record.attempt) else {
            return Ok(None);
        };
        if known.write.state == State::Submitting {
            known = self.confirm(known).await?;
        }
        Ok((known.write.state == State::Done).then_some(known.write))
    }

    /// The provider names a subscription for an order that another order has.
    pub(super) fn report_conflict(&self, write: &Write) {
        let (id, kind) = (write.id, write.kind.name());
        self.metrics.write(kind, metrics::SUBSCRIPTION_CONFLICT);
        tracing::error!(
            order_id = %id,
            "the provider names a subscription that belongs to another order"
        );
    }

    /// The provider carried out more than once what was ordered once.
    pub(super) fn report_twice(&self, write: &Write) {
        let (id, kind) = (write.id, write.kind.name());
        self.metrics.write(kind, metrics::CARRIED_OUT_TWICE);
        tracing::error!(order_id = %id, "an order was carried out more than once: an operator has to act");
    }
}

fn evidence(record: &Record, events: &[Event]) -> Evidence {
    let mut subscriptions = BTreeSet::new();
    let (mut is_carried_out, mut is_doubtful) = (false, false);
    for event in events.iter().filter(|event| event.is_about_a_subscription()) {
        if fits(record, event) {
            is_carried_out = true;
            if matches!(record.write.kind, Kind::Purchase(_)) {
                subscriptions.extend(event.subscription_id.clone());
            }
        } else {
            is_doubtful = true;
        }
    }
    match (is_carried_out, is_doubtful) {
        (true, _) => Evidence::CarriedOut(subscriptions),
        (false, true) => Evidence::Doubtful,
        (false, false) => Evidence::None,
    }
}

/// Whether an event that carries an order's reference fits it: its type is
/// known, and nothing in it contradicts the order. Absent data does not
/// contradict.
fn fits(record: &Record, event: &Event) -> bool {
    let (product_id, line, older) = match &record.write.kind {
        Kind::Purchase(purchase) => (
            &purchase.terms.product_id,
            &purchase.line,
            record.first_baseline.as_slice(),
        ),
        Kind::Subscription(change) => (&change.product_id, &change.line, [].as_slice()),
        // Is not sent under the gateway's reference.
        Kind::Sim(_) => return false,
    };
    event.event_type().changes_a_subscription()
        && event.product_id.as_ref().is_none_or(|named| named == product_id)
        && event
            .sim
            .msisdn
            .as_ref()
            .is_none_or(|named| *named == line.msisdn)
        && !event
            .subscription_id
            .as_ref()
            .is_some_and(|id| older.contains(id))
}

#[cfg(test)]
mod tests {
    use super::super::verdict::tests::record;
    use super::*;
    use crate::domain::{Msisdn, SimIds};

    fn event(raw_type: &str, subscription: Option<&str>, product: Option<&str>, line: Option<&str>) -> Event {
        Event {
            id: "E".into(),
            raw_type: raw_type.into(),
            sim: SimIds {
                iccid: None,
                msisdn: line.and_then(Msisdn::parse),
            },
            subscription_id: subscription.map(str::to_owned),
            product_id: product.map(str::to_owned),
            ..Event::default()
        }
    }

    #[test]
    fn an_event_counts_unless_it_contradicts_the_order() {
        const PRELOADED: &str = "OCS/PRODUCT/PRELOADED";
        let line = Some("882470000000001");
        let named = |ids: &[&str]| Evidence::CarriedOut(ids.iter().map(|id| (*id).to_owned()).collect());
        for (events, expected) in [
            (vec![], Evidence::None),
            (vec![event(PRELOADED, Some("N"), Some("P"), line)], named(&["N"])),
            (vec![event(PRELOADED, Some("N"), None, None)], named(&["N"])),
            (vec![event(PRELOADED, None, None, None)], named(&[])),
            // In any order, and more than one of them.
            (
                vec![
                    event("OCS/PRODUCT/EXPIRED", Some("N"), Some("P"), line),
                    event(PRELOADED, Some("N"), Some("P"), line),
                ],
                named(&["N"]),
            ),
            (
                vec![
                    event(PRELOADED, Some("M"), Some("P"), line),
                    event(PRELOADED, Some("N"), Some("P"), line),
                ],
                named(&["M", "N"]),
            ),
            // Another product, another SIM, a subscription that was there
            // before.
            (
                vec![event(PRELOADED, Some("N"), Some("Q"), line)],
                Evidence::Doubtful,
            ),
            (
                vec![event(PRELOADED, Some("N"), Some("P"), Some("882470000000002"))],
                Evidence::Doubtful,
            ),
            (
                vec![event(PRELOADED, Some("A"), Some("P"), line)],
                Evidence::Doubtful,
            ),
            // An unknown type proves something, but not what.
            (
                vec![event("OCS/PRODUCT/NEW_WORD", Some("N"), Some("P"), line)],
                Evidence::Doubtful,
            ),
            (
                vec![event(
                    "CONNECTIVITY-MANAGEMENT/SUBSCRIBER/MODIFIED",
                    None,
                    None,
                    line,
                )],
                Evidence::None,
            ),
        ] {
            assert_eq!(evidence(&record(&["A"]), &events), expected, "{events:?}");
        }
    }
}
