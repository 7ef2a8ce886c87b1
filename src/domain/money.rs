//! Money without floating point.

use std::cmp::Ordering;
use std::fmt;

/// An ISO 4217 currency code: three capital letters. Whether the currency is in
/// force is not checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads three letters in any case; `None` for anything else.
    pub fn parse(code: &str) -> Option<Self> {
        let mut letters = <[u8; 3]>::try_from(code.as_bytes()).ok()?;
        letters.make_ascii_uppercase();
        letters
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(letters))
    }

    /// Whether its smallest unit is a hundredth, by ISO 4217. `false` for a
    /// code that is not listed.
    pub fn has_cents(&self) -> bool {
        let listed = iso_currency::Currency::from_code(self.code());
        listed.and_then(iso_currency::Currency::exponent) == Some(2)
    }

    /// The code in capitals.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in one currency: whole units and billionths of a unit, both of
/// the same sign, as `google.type.Money` has them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    currency: Currency,
    units: i64,
    nanos: i32,
}

/// Billionths in one unit.
const NANOS: i32 = 1_000_000_000;
/// Billionths in one hundredth of a unit.
const NANOS_PER_CENT: i32 = NANOS / 100;

impl Money {
    /// Billionths in one unit, for sums.
    pub const NANOS_PER_UNIT: i128 = NANOS as i128;

    /// From hundredths of a unit, as the provider counts.
    pub fn from_cents(currency: Currency, cents: i64) -> Self {
        let nanos = i32::try_from(cents % 100).unwrap_or_default() * NANOS_PER_CENT;
        Self {
            currency,
            units: cents / 100,
            nanos,
        }
    }

    /// From units and billionths. `None` when the signs differ or there is a
    /// whole unit or more in `nanos`.
    pub fn new(currency: Currency, units: i64, nanos: i32) -> Option<Self> {
        let same_sign = units == 0 || nanos == 0 || (units > 0) == (nanos > 0);
        (nanos.abs() < NANOS && same_sign).then_some(Self {
            currency,
            units,
            nanos,
        })
    }

    /// Reads an amount such as `3.10 EUR` or `12 USD`: digits, up to nine decimals,
    /// and a currency. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, code) = text.trim().split_once(' ')?;
        let (units, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(units) || !is_number(decimals) || decimals.len() > 9 {
            return None;
        }
        let nanos = format!("{decimals:0<9}").parse().ok()?;
        Self::new(Currency::parse(code.trim())?, units.parse().ok()?, nanos)
    }

    /// So many times the amount; `None` when it is beyond what money can say.
    pub fn times(&self, count: i64) -> Option<Self> {
        let nanos = i128::from(self.units) * Self::NANOS_PER_UNIT + i128::from(self.nanos);
        let nanos = nanos.checked_mul(i128::from(count))?;
        let units = i64::try_from(nanos / Self::NANOS_PER_UNIT).ok()?;
        let nanos = i32::try_from(nanos % Self::NANOS_PER_UNIT).ok()?;
        Self::new(self.currency, units, nanos)
    }

    /// The currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Whole units, towards zero.
    pub fn units(&self) -> i64 {
        self.units
    }

    /// Billionths of a unit beyond the whole ones.
    pub fn nanos(&self) -> i32 {
        self.nanos
    }

    /// Whether the amount is below zero.
    pub fn is_negative(&self) -> bool {
        self.units < 0 || self.nanos < 0
    }

    /// Compares two amounts; `None` across currencies.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        (self.currency == other.currency)
            .then(|| self.units.cmp(&other.units).then(self.nanos.cmp(&other.nanos)))
    }

    /// Sorts by currency, then amount: a total order for lists.
    pub fn sort_key(&self) -> (Currency, i64, i32) {
        (self.currency, self.units, self.nanos)
    }
}

impl fmt::Display for Money {
    /// For people: at least two decimals, more if needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        let decimals = format!("{:09}", self.nanos.abs());
        let (cents, rest) = decimals.split_at_checked(2).unwrap_or_default();
        let rest = rest.trim_end_matches('0');
        let units = self.units.unsigned_abs();
        write!(f, "{sign}{units}.{cents}{rest} {}", self.currency.code())
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        write!(
            f,
            "{sign}{}.{:09} {:?}",
            self.units.unsigned_abs(),
            self.nanos.abs(),
            self.currency
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_become_units_and_nanos_of_the_same_sign() {
        let euro = Currency::parse("eur").unwrap();
        for (cents, units, nanos) in [
            (0, 0, 0),
            (1, 0, 10_000_000),
            (1050, 10, 500_000_000),
            (-175, -1, -750_000_000),
        ] {
            let money = Money::from_cents(euro, cents);
            assert_eq!((money.units(), money.nanos()), (units, nanos), "{cents}");
            assert_eq!(Money::new(euro, units, nanos), Some(money));
        }
    }

    #[test]
    fn an_amount_reads_as_people_write_it() {
        let euro = Currency::parse("EUR").unwrap();
        let shown = |units, nanos| Money::new(euro, units, nanos).unwrap().to_string();
        assert_eq!(shown(3, 0), "3.00 EUR");
        assert_eq!(shown(-3, -500_000_000), "-3.50 EUR");
        assert_eq!(shown(0, 5_000_000), "0.005 EUR");
    }

    #[test]
    fn an_amount_is_read_as_people_write_it() {
        for (text, shown) in [
            ("3.10 EUR", "3.10 EUR"),
            (" 12  usd ", "12.00 USD"),
            ("0.0125 EUR", "0.0125 EUR"),
            ("1.5 EUR", "1.50 EUR"),
        ] {
            assert_eq!(Money::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "EUR",
            "3.10",
            "-1 EUR",
            "3,10 EUR",
            "3. EUR",
            ".5 EUR",
            "1.0000000001 EUR",
            "1e3 EUR",
            "3.10 EURO",
            "99999999999999999999 EUR",
        ] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
    }

    #[test]
    fn many_times_an_amount_carries_over() {
        let cost = Money::parse("3.35 EUR").unwrap();
        assert_eq!(cost.times(3), Money::parse("10.05 EUR"));
        assert_eq!(cost.times(0), Money::parse("0 EUR"));
        assert_eq!(cost.times(i64::MAX), None);
    }

    #[test]
    fn malformed_amounts_and_currencies_do_not_exist() {
        let euro = Currency::parse("EUR").unwrap();
        assert_eq!(Money::new(euro, 1, -1), None);
        assert_eq!(Money::new(euro, -1, 1), None);
        assert_eq!(Money::new(euro, 0, NANOS), None);
        for code in ["", "EU", "EURO", "E1R", "€"] {
            assert_eq!(Currency::parse(code), None, "{code}");
        }
    }

    #[test]
    fn amounts_compare_within_a_currency_only() {
        let euro = Currency::parse("EUR").unwrap();
        let dollar = Currency::parse("USD").unwrap();
        let ten = Money::from_cents(euro, 1000);
        assert_eq!(
            ten.compare(&Money::from_cents(euro, 999)),
            Some(Ordering::Greater)
        );
        assert_eq!(ten.compare(&Money::from_cents(dollar, 1000)), None);
    }
}
