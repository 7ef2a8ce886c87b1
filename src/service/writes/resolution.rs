//! What an operator decides where the gateway could not. It is accepted only
//! where the gateway has given up, and once.

use super::{Key, Note, Writes, unavailable};
use crate::domain::error::Violation;
use crate::domain::write::{Kind, Order, State, Write, WriteId};
use crate::domain::{Error, Result, Scope};
use crate::store::{Record, Settled, Settlement};
use crate::telemetry::AUDIT;

/// An operator's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This subscription resulted from it, or it was carried out on this one.
    Bought(String),
    /// It was carried out, and concerns no subscription.
    Done,
    /// It was not carried out.
    NotDone,
}

impl Writes {
    /// Resolves an order as an operator decides.
    ///
    /// # Errors
    /// `ORDER_NOT_FOUND` also beyond the scope; `ORDER_NOT_RESOLVABLE` unless it needs an operator,
    /// or was resolved in the same way before; `INVALID_REQUEST` when the
    /// subscription belongs to another order; `LEDGER_UNAVAILABLE`.
    pub async fn resolve(
        &self,
        id: WriteId,
        resolution: &Resolution,
        scope: &Scope,
        note: Note,
    ) -> Result<Order> {
        // An event may answer it already.
        let record = self.find_order(Key::Write(id), scope).await?;
        let record = self.inner.confirm(record).await.map_err(unavailable)?;
        let resolution = match (&record.write.kind, resolution) {
            // The subscription belongs to another order, the one that bought
            // it.
            (Kind::Subscription(change), Resolution::Bought(named)) => {
                if change.terms.subscription_id != *named {
                    return Err(invalid("has to be the subscription that the order is about"));
                }
                &Resolution::Done
            }
            _ => resolution,
        };
        let write = self.settle_by_operator(record, resolution, note).await?;
        write.into_order().ok_or(Error::OrderNotFound)
    }

    /// Settles a write that needs an operator, and keeps the note.
    pub(super) async fn settle_by_operator(
        &self,
        record: Record,
        resolution: &Resolution,
        note: Note,
    ) -> Result<Write> {
        if record.write.state != State::NeedsOperator {
            return already(&record.write, resolution);
        }
        let done = |subscription_id| Settlement::Done {
            subscription_id,
            provider_reference: record.write.provider_reference.clone(),
            next_check_at: None,
        };
        let settlement = match resolution {
            Resolution::Bought(subscription_id) => done(Some(subscription_id.clone())),
            Resolution::Done => done(None),
            Resolution::NotDone => Settlement::NotDone { next_check_at: None },
        };
        let now = self.inner.ledger.now().await.map_err(unavailable)?;
        let settled = self
            .inner
            .ledger
            .settle(record.write.id, record.attempt, settlement, Some(note), now)
            .await
            .map_err(unavailable)?;
        match settled {
            Settled::Yes(settled) => {
                audit(record.write.state, &settled.write);
                self.inner.report(&settled.write);
                Ok(settled.write)
            }
            Settled::No(record) => already(&record.write, resolution),
            Settled::Gone => Err(Error::OrderNotFound),
            Settled::Claimed => Err(invalid("belongs to another order of this SIM")),
        }
    }
}

/// Who decided what, and why. A note may name the SIM, a line of the log must
/// not; the ledger keeps it whole.
fn audit(from: State, write: &Write) {
    let note = write.note.as_ref();
    tracing::info!(
        target: AUDIT,
        order_id = %write.id,
        kind = write.kind.name(),
        from = match write.is_order() {
            true => from.order_name(),
            false => from.name(),
        },
        to = write.state_name(),
        by = note.and_then(|note| note.by.as_deref()),
        note = note.map(|note| without_numbers(&note.text)),
        "an operator has resolved an order"
    );
}

/// This many digits in a row may identify a SIM.
const IDENTIFYING: usize = 8;

/// A text for the log.
fn without_numbers(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let runs = letters.chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit());
    let shown = runs.map(|run| {
        let is_number = run.first().is_some_and(char::is_ascii_digit);
        match is_number && run.len() >= IDENTIFYING {
            true => "…".to_owned(),
            false => run.iter().collect(),
        }
    });
    shown.collect()
}

fn invalid(rule: &str) -> Error {
    Error::InvalidRequest(vec![Violation {
        field: "subscription_id".into(),
        description: rule.into(),
    }])
}

/// Repeating a resolution is not an error, but a different one is refused.
fn already(write: &Write, resolution: &Resolution) -> Result<Write> {
    let same = match resolution {
        Resolution::Bought(id) => write.state == State::Done && write.bought() == Some(id),
        Resolution::Done => write.state == State::Done,
        Resolution::NotDone => write.state == State::NotDone,
    };
    if same {
        Ok(write.clone())
    } else {
        Err(Error::OrderNotResolvable { state: write.state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_in_the_log_names_no_sim() {
        for (note, shown) in [
            ("INC0012345, 12 d ago", "INC0012345, 12 d ago"),
            ("882470000000001: in the portal", "…: in the portal"),
            ("card 8988247000000000019", "card …"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(note), shown);
        }
    }
}
