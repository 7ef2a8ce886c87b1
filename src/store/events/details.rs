//! What an event says in fields of their own, as JSON in one column.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::event::Details;
use crate::domain::money::Currency;
use crate::domain::product::{Amount, ListPrice};
use crate::domain::stock_level::StockLevel;
use crate::domain::subscription::{Balance, Level};
use crate::domain::{Country, EsimStatus, Money, Pool};
use crate::store::row;

/// Times are microseconds since 1970.
#[derive(Serialize, Deserialize, Default, PartialEq)]
#[serde(default)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation_deadline: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    esim_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<StoredBalance>,
    /// As the triggers of migration 11 write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    list_price: Option<StoredListPrice>,
    /// As the triggers of migration 18 write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<StoredStockLevel>,
}

#[derive(Serialize, Deserialize, Default, PartialEq)]
#[serde(default)]
struct StoredStockLevel {
    pool: String,
    available: u64,
    threshold: u64,
}

#[derive(Serialize, Deserialize, Default, PartialEq)]
#[serde(default)]
struct StoredListPrice {
    currency: String,
    units: i64,
    nanos: i32,
    as_of: i64,
    version: String,
}

#[derive(Serialize, Deserialize, Default, PartialEq)]
#[serde(default)]
struct StoredBalance {
    resource: String,
    label: String,
    unlimited: bool,
    fair_use: bool,
    remaining: Option<StoredAmount>,
    initial: Option<StoredAmount>,
    period_start: Option<i64>,
    period_end: Option<i64>,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum StoredAmount {
    DataBytes(i64),
    VoiceSeconds(u64),
    Messages(i64),
    Units(i64),
}

/// The column; `None` when there is nothing to store.
pub(super) fn write(details: &Details) -> Option<String> {
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    let stored = Stored {
        activated_at: micros(details.activated_at),
        activation_deadline: micros(details.activation_deadline),
        expires_at: micros(details.expires_at),
        country: details.country.map(|country| country.alpha2().to_owned()),
        esim_status: details.esim_status.map(|status| status.name().to_owned()),
        balance: details.balance.clone().map(|balance| {
            let (unlimited, remaining, initial) = match balance.level {
                Level::Unlimited => (true, None, None),
                Level::Limited { remaining, initial } => (false, remaining, initial),
            };
            StoredBalance {
                resource: balance.resource,
                label: balance.label,
                unlimited,
                fair_use: balance.fair_use,
                remaining: remaining.map(StoredAmount::from),
                initial: initial.map(StoredAmount::from),
                period_start: micros(balance.period_start),
                period_end: micros(balance.period_end),
            }
        }),
        list_price: details.list_price.clone().map(|list_price| StoredListPrice {
            currency: list_price.price.currency().code().to_owned(),
            units: list_price.price.units(),
            nanos: list_price.price.nanos(),
            as_of: list_price.as_of.as_microsecond(),
            version: list_price.version,
        }),
        stock: details.stock.as_ref().map(|level| StoredStockLevel {
            pool: level.pool.to_string(),
            available: level.available,
            threshold: level.threshold,
        }),
    };
    if stored == Stored::default() {
        return None;
    }
    serde_json::to_string(&stored).ok()
}

/// Reads the column.
pub(super) fn read(text: &str) -> sqlx::Result<Details> {
    let stored: Stored = serde_json::from_str(text).map_err(|_| row::unusable("details"))?;
    let time = |micros: Option<i64>| micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let named = |name: String| EsimStatus::ALL.into_iter().find(|status| status.name() == name);
    Ok(Details {
        activated_at: time(stored.activated_at),
        activation_deadline: time(stored.activation_deadline),
        expires_at: time(stored.expires_at),
        country: stored.country.and_then(|code| Country::from_alpha2(&code)),
        esim_status: stored.esim_status.and_then(named),
        balance: stored.balance.map(|balance| Balance {
            resource: balance.resource,
            label: balance.label,
            level: match balance.unlimited {
                true => Level::Unlimited,
                false => Level::Limited {
                    remaining: balance.remaining.map(Amount::from),
                    initial: balance.initial.map(Amount::from),
                },
            },
            fair_use: balance.fair_use,
            period_start: time(balance.period_start),
            period_end: time(balance.period_end),
        }),
        list_price: stored.list_price.and_then(StoredListPrice::read),
        stock: stored.stock.and_then(StoredStockLevel::read),
    })
}

impl StoredStockLevel {
    fn read(self) -> Option<StockLevel> {
        Some(StockLevel {
            pool: Pool::parse(&self.pool)?,
            available: self.available,
            threshold: self.threshold,
        })
    }
}

impl StoredListPrice {
    fn read(self) -> Option<ListPrice> {
        Some(ListPrice {
            price: Money::new(Currency::parse(&self.currency)?, self.units, self.nanos)?,
            as_of: Timestamp::from_microsecond(self.as_of).ok()?,
            version: self.version,
        })
    }
}

impl From<Amount> for StoredAmount {
    fn from(amount: Amount) -> Self {
        match amount {
            Amount::DataBytes(bytes) => Self::DataBytes(bytes),
            Amount::Voice(time) => Self::VoiceSeconds(time.as_secs()),
            Amount::Messages(messages) => Self::Messages(messages),
            Amount::Units(units) => Self::Units(units),
        }
    }
}

impl From<StoredAmount> for Amount {
    fn from(amount: StoredAmount) -> Self {
        match amount {
            StoredAmount::DataBytes(bytes) => Self::DataBytes(bytes),
            StoredAmount::VoiceSeconds(seconds) => Self::Voice(Duration::from_secs(seconds)),
            StoredAmount::Messages(messages) => Self::Messages(messages),
            StoredAmount::Units(units) => Self::Units(units),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_read_back() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let amounts = [
            Amount::DataBytes(1 << 40),
            Amount::Voice(Duration::from_secs(61)),
            Amount::Messages(0),
            Amount::Units(-7),
        ];
        let limited = amounts.into_iter().map(|amount| Level::Limited {
            remaining: Some(amount),
            initial: None,
        });
        for level in limited.chain([Level::Unlimited]) {
            let details = Details {
                activated_at: at(1),
                activation_deadline: at(2),
                expires_at: at(3),
                country: Country::from_alpha2("FR"),
                esim_status: Some(EsimStatus::Deleted),
                balance: Some(Balance {
                    resource: "R\"".into(),
                    label: "é".into(),
                    level,
                    fair_use: true,
                    period_start: at(4),
                    period_end: None,
                }),
                list_price: Some(ListPrice {
                    price: Money::from_cents(Currency::parse("EUR").unwrap(), -350),
                    as_of: at(5).unwrap(),
                    version: "34e9a1b07c5d2f86".into(),
                }),
                stock: Some(StockLevel {
                    pool: Pool::parse("shop").unwrap(),
                    available: 9,
                    threshold: 10,
                }),
            };
            let text = write(&details).unwrap();
            assert_eq!(read(&text).unwrap(), details, "{text}");
        }
        for status in EsimStatus::ALL {
            let details = Details {
                esim_status: Some(status),
                ..Details::default()
            };
            assert_eq!(read(&write(&details).unwrap()).unwrap(), details);
        }
        assert_eq!(write(&Details::default()), None);
    }

    #[test]
    fn what_a_later_version_wrote_is_read_as_far_as_it_is_understood() {
        let details =
            read(r#"{"country":"ZZ","esim_status":"frozen","mood":7,"expires_at":1000000}"#).unwrap();
        let expected = Details {
            expires_at: Some(Timestamp::from_second(1).unwrap()),
            ..Details::default()
        };
        assert_eq!(details, expected);
        assert!(read("{").is_err() && read(r#"{"expires_at":"soon"}"#).is_err());
    }
}
