//! Whether an attempt at a purchase keeps the limits of its caller: decided in
//! the transaction that begins it, so that no replica, crash or repeat exceeds
//! them. What is placed or in flight counts, by the ledger's own sums.

use jiff::Timestamp;

use super::Attempt;
use super::row::{self, values};
use super::session::Session;
use super::spend::{self, Whose};
use super::statements::{NEW_ORDERS, NEW_ORDERS_BY_CALLER, NEW_ORDERS_OF_UNKNOWN};
use crate::domain::limits::{Limit, Limits, MINUTE, Refusal, refuse_spend};
use crate::domain::spend::Days;
use crate::domain::write::{Kind, WriteId};

/// Why an attempt must not be begun. Until the end of the transaction no other
/// attempt that counts for the same limits is begun.
pub(super) async fn refusal<S: Session>(session: &mut S, attempt: &Attempt) -> sqlx::Result<Option<Refusal>> {
    let (Some(limits), Kind::Purchase(purchase)) = (&attempt.limits, &attempt.write.kind) else {
        return Ok(None);
    };
    exclude_others(session, attempt, limits).await?;
    let now = attempt.write.updated_at;
    let price = purchase.list_price.as_ref().map(|list_price| list_price.price);
    let day = Days::of(now).first;
    if let Some(most) = limits.caller.orders_per_minute
        && let Some(refusal) = refuse_frequent(session, attempt, most).await?
    {
        return Ok(Some(refusal));
    }
    if limits.caller.are_daily() {
        let used = spend::used(session, day, Whose::Caller(caller(attempt))).await?;
        if let Some(refusal) = limits.caller.refuse(price, &used, now) {
            return Ok(Some(refusal));
        }
    }
    if limits.account.is_empty() {
        return Ok(None);
    }
    let used = spend::used(session, day, Whose::All).await?;
    let refusal = refuse_spend(&limits.account, price, &used, now, Limit::AccountSpendPerDay);
    Ok(refusal)
}

/// How many purchases each caller has first requested since then.
pub(super) async fn new_orders<S: Session>(
    session: &mut S,
    since: Timestamp,
) -> sqlx::Result<Vec<(Option<String>, i64)>> {
    let values = values![WriteId::least_at(since), since];
    let rows = session.rows(NEW_ORDERS_BY_CALLER, values).await?;
    let row = |found| {
        let caller = row::text(found, "caller")?;
        let caller = (!caller.is_empty()).then_some(caller);
        Ok((caller, row::number(found, "orders")?))
    };
    rows.iter().map(row).collect()
}

fn caller(attempt: &Attempt) -> &str {
    attempt.write.caller.as_deref().unwrap_or_default()
}

/// Always in this order, so that no two wait for each other.
async fn exclude_others<S: Session>(session: &mut S, attempt: &Attempt, limits: &Limits) -> sqlx::Result<()> {
    let Some(exclude) = S::SPEND.exclude else {
        return Ok(());
    };
    let of_caller = format!("caller {}", caller(attempt));
    session
        .execute(exclude.clone(), values![of_caller.as_str()])
        .await?;
    if !limits.account.is_empty() {
        session.execute(exclude, values!["account"]).await?;
    }
    Ok(())
}

/// Why one more new order within a minute is too many. A repeat is none.
async fn refuse_frequent<S: Session>(
    session: &mut S,
    attempt: &Attempt,
    most: u32,
) -> sqlx::Result<Option<Refusal>> {
    let write = &attempt.write;
    if write.created_at != write.updated_at {
        return Ok(None);
    }
    let since = write.updated_at - MINUTE;
    let first_id = WriteId::least_at(since);
    let found = match &write.caller {
        Some(caller) => {
            let values = values![first_id, since, caller.as_str()];
            session.row(NEW_ORDERS, values).await?
        }
        None => {
            session
                .row(NEW_ORDERS_OF_UNKNOWN, values![first_id, since])
                .await?
        }
    };
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    if row::number(&found, "orders")? < i64::from(most) {
        return Ok(None);
    }
    let oldest = row::time(&found, "oldest")?.unwrap_or(write.updated_at);
    let left = write.updated_at.duration_until(oldest + MINUTE);
    Ok(Some(Refusal::Reached {
        limit: Limit::OrdersPerMinute(most),
        retry_after: left.try_into().unwrap_or_default(),
    }))
}
