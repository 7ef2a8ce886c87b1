//! What was ordered, summed by list price.

use super::row::{self, Cells, values};
use super::session::Session;
use crate::domain::money::Currency;
use crate::domain::spend::{Days, Spent, Sum};

pub(super) async fn read<S: Session>(
    session: &mut S,
    days: Days,
    caller: Option<&str>,
) -> sqlx::Result<Vec<Spent>> {
    let rows = match caller {
        None => {
            session
                .rows(S::SPEND.spent, values![days.first, days.end])
                .await?
        }
        Some(caller) => {
            session
                .rows(S::SPEND.spent_by_caller, values![days.first, days.end, caller])
                .await?
        }
    };
    rows.iter().map(spent).collect()
}

/// What was ordered on a day, and is placed or in flight.
pub(super) async fn used<S: Session>(
    session: &mut S,
    day: i64,
    whose: Whose<'_>,
) -> sqlx::Result<Vec<(Option<Currency>, Sum)>> {
    let rows = match whose {
        Whose::All => session.rows(S::SPEND.used, values![day]).await?,
        Whose::Caller(caller) => {
            session
                .rows(S::SPEND.used_by_caller, values![day, caller])
                .await?
        }
    };
    rows.iter()
        .map(|found| Ok((currency(found)?, sum(found)?)))
        .collect()
}

/// Whose orders are summed.
pub(super) enum Whose<'a> {
    All,
    /// Empty for those of callers that are not known.
    Caller(&'a str),
}

fn currency(found: &impl Cells) -> sqlx::Result<Option<Currency>> {
    let code = row::text(found, "currency")?;
    match code.as_str() {
        "" => Ok(None),
        code => Currency::parse(code)
            .map(Some)
            .ok_or_else(|| row::unusable("currency")),
    }
}

fn sum(found: &impl Cells) -> sqlx::Result<Sum> {
    Ok(Sum::new(
        row::number(found, "orders")?,
        row::number(found, "units")?,
        row::number(found, "nanos")?,
    ))
}

fn spent(found: &impl Cells) -> sqlx::Result<Spent> {
    let caller = row::text(found, "caller")?;
    Ok(Spent {
        caller: (!caller.is_empty()).then_some(caller),
        product_id: row::text(found, "product_id")?,
        currency: currency(found)?,
        is_placed: row::number(found, "placed")? == 1,
        sum: sum(found)?,
    })
}
