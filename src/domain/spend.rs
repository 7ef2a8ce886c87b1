//! What was ordered, summed by list price.

use std::time::Duration;

use jiff::Timestamp;

use super::Money;
use super::money::Currency;

const SECONDS_PER_DAY: i64 = 86_400;

/// Whole days in UTC, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: i64,
    /// The one after the last.
    pub end: i64,
}

impl Days {
    /// The day that begins at this moment; `None` when none does.
    pub fn beginning_at(moment: Timestamp) -> Option<i64> {
        let is_whole = moment.subsec_nanosecond() == 0 && moment.as_second() % SECONDS_PER_DAY == 0;
        is_whole.then_some(moment.as_second() / SECONDS_PER_DAY)
    }

    /// This day.
    pub fn of(moment: Timestamp) -> Self {
        let first = moment.as_second().div_euclid(SECONDS_PER_DAY);
        Self {
            first,
            end: first + 1,
        }
    }

    /// How long the day lasts from this moment on.
    pub fn left_of_day(moment: Timestamp) -> Duration {
        let over = moment.as_second().rem_euclid(SECONDS_PER_DAY);
        Duration::from_secs(u64::try_from(SECONDS_PER_DAY - over).unwrap_or_default())
    }

    /// How many.
    pub fn count(&self) -> i64 {
        self.end.saturating_sub(self.first)
    }
}

/// The purchases of one product by one caller, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Who ordered, when that is known.
    pub caller: Option<String>,
    /// What.
    pub product_id: String,
    /// The currency of the list prices; `None` for orders without one.
    pub currency: Option<Currency>,
    /// Whether they are placed; the others are in flight, and may have been
    /// bought.
    pub is_placed: bool,
    /// How many, for how much.
    pub sum: Sum,
}

/// How many orders, and the sum of their list prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub orders: i64,
    /// Billionths of a unit.
    nanos: i128,
}

impl Sum {
    /// From the sums of units and of billionths.
    pub fn new(orders: i64, units: i64, nanos: i64) -> Self {
        Self {
            orders,
            nanos: i128::from(units) * Money::NANOS_PER_UNIT + i128::from(nanos),
        }
    }

    /// Of one order.
    pub fn of(price: Money) -> Self {
        Self::new(1, price.units(), i64::from(price.nanos()))
    }

    /// Whether it is more than an amount of the same currency.
    pub fn is_above(&self, most: Money) -> bool {
        self.nanos > Self::of(most).nanos
    }

    /// How much of an amount of the same currency it is; all of an amount of 0.
    pub fn share_of(&self, most: Money) -> f64 {
        match Self::of(most).nanos {
            0 => 1.0,
            most => self.nanos as f64 / most as f64,
        }
    }

    /// The amount in units of its currency, to be looked at.
    pub fn approximately(&self) -> f64 {
        self.nanos as f64 / Money::NANOS_PER_UNIT as f64
    }

    /// Adds another one of the same currency.
    pub fn add(&mut self, other: Self) {
        self.orders += other.orders;
        self.nanos += other.nanos;
    }

    /// The amount; `None` when it is beyond what money can say.
    pub fn amount(&self, currency: Currency) -> Option<Money> {
        let units = i64::try_from(self.nanos / Money::NANOS_PER_UNIT).ok()?;
        let nanos = i32::try_from(self.nanos % Money::NANOS_PER_UNIT).ok()?;
        Money::new(currency, units, nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn billionths_are_carried_over_in_either_direction() {
        let euro = Currency::parse("EUR").unwrap();
        for (units, nanos, expected) in [
            (3, 1_500_000_000, (4, 500_000_000)),
            (-3, -1_500_000_000, (-4, -500_000_000)),
            (1, -250_000_000, (0, 750_000_000)),
            (0, 0, (0, 0)),
        ] {
            let money = Sum::new(1, units, nanos).amount(euro).unwrap();
            assert_eq!((money.units(), money.nanos()), expected);
        }
        assert_eq!(Sum::new(1, i64::MAX, 1_000_000_000).amount(euro), None);
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let day = |text: &str| Days::beginning_at(text.parse().unwrap());
        assert_eq!(day("1970-01-02T00:00:00Z"), Some(1));
        assert_eq!(day("1969-12-31T00:00:00Z"), Some(-1));
        assert_eq!(day("1970-01-02T01:00:00+01:00"), Some(1));
        for text in ["1970-01-02T00:00:01Z", "1970-01-02T00:00:00.000000001Z"] {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
