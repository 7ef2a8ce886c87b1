//! What was ordered, summed by list price.

use super::row::{self, Cells, values};
use super::session::Session;
use crate::domain::money::Currency;
use crate::domain::spend::{Days, Spent, Sum};

pub(super) async fn read<S: Session>(session: &mut S, days: Days) -> sqlx::Result<Vec<Spent>> {
    let rows = session.rows(S::SPENT, values![days.first, days.end]).await?;
    rows.iter().map(spent).collect()
}

fn spent(found: &impl Cells) -> sqlx::Result<Spent> {
    let given = |text: String| (!text.is_empty()).then_some(text);
    let currency = given(row::text(found, "currency")?);
    let currency = currency.map(|code| Currency::parse(&code).ok_or_else(|| row::unusable("currency")));
    Ok(Spent {
        caller: given(row::text(found, "caller")?),
        product_id: row::text(found, "product_id")?,
        currency: currency.transpose()?,
        is_placed: row::number(found, "placed")? == 1,
        sum: Sum::new(
            row::number(found, "orders")?,
            row::number(found, "units")?,
            row::number(found, "nanos")?,
        ),
    })
}
