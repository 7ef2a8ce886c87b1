//! Products whose JSON deviates, as integrators have met it.
//!
//! A client must take from each what it can, and must never lose the rest of
//! the list over one of them.

use serde_json::{Map, Value, json};

/// One deviation from the documented shape of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// The description is a text, not an object.
    PlainDescription,
    /// There is no description.
    NoDescription,
    /// `subscriptionFee` is one array, not an array of arrays.
    FlatPrices,
    /// `prices` is missing.
    NoPrices,
    /// `prices` is an empty object.
    EmptyPrices,
    /// `subscriptionFee` is an empty array.
    EmptyFee,
    /// `subscriptionFee` holds one empty array.
    EmptyInnerFee,
    /// The amount counts in a unit that is no money.
    UnknownUnit,
    /// The unit is in small letters and singular.
    SmallUnit,
    /// The amount is a text.
    TextAmount,
    /// The amount is a floating-point number.
    FloatAmount,
    /// The amount is 0.
    FreeOfCharge,
    /// The price is in US dollars.
    Dollars,
    /// The allowance's value is a text.
    TextAllowance,
    /// The allowance's value is a floating-point number.
    FloatAllowance,
    /// The allowance counts in a unit that the contract does not name.
    UnknownAllowanceUnit,
    /// There are voice and text allowances beside data, and a member nobody knows.
    MoreAllowances,
    /// There are no allowances.
    NoAllowances,
    /// Everything optional is null.
    Nulls,
    /// A category that the contract does not name.
    UnknownCategory,
    /// The validity's duration is a text.
    TextValidity,
    /// There is no validity.
    NoValidity,
    /// Country codes in small letters, twice, and one that does not exist.
    StrangeCountries,
    /// `shortMessage`, spelt as it should be.
    ShortMessage,
}

impl Oddity {
    pub(crate) const ALL: [Self; 24] = [
        Self::PlainDescription,
        Self::NoDescription,
        Self::FlatPrices,
        Self::NoPrices,
        Self::EmptyPrices,
        Self::EmptyFee,
        Self::EmptyInnerFee,
        Self::UnknownUnit,
        Self::SmallUnit,
        Self::TextAmount,
        Self::FloatAmount,
        Self::FreeOfCharge,
        Self::Dollars,
        Self::TextAllowance,
        Self::FloatAllowance,
        Self::UnknownAllowanceUnit,
        Self::MoreAllowances,
        Self::NoAllowances,
        Self::Nulls,
        Self::UnknownCategory,
        Self::TextValidity,
        Self::NoValidity,
        Self::StrangeCountries,
        Self::ShortMessage,
    ];

    /// Part of the product id.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PlainDescription => "PLAIN_DESCRIPTION",
            Self::NoDescription => "NO_DESCRIPTION",
            Self::FlatPrices => "FLAT_PRICES",
            Self::NoPrices => "NO_PRICES",
            Self::EmptyPrices => "EMPTY_PRICES",
            Self::EmptyFee => "EMPTY_FEE",
            Self::EmptyInnerFee => "EMPTY_INNER_FEE",
            Self::UnknownUnit => "UNKNOWN_UNIT",
            Self::SmallUnit => "SMALL_UNIT",
            Self::TextAmount => "TEXT_AMOUNT",
            Self::FloatAmount => "FLOAT_AMOUNT",
            Self::FreeOfCharge => "FREE_OF_CHARGE",
            Self::Dollars => "DOLLARS",
            Self::TextAllowance => "TEXT_ALLOWANCE",
            Self::FloatAllowance => "FLOAT_ALLOWANCE",
            Self::UnknownAllowanceUnit => "UNKNOWN_ALLOWANCE_UNIT",
            Self::MoreAllowances => "MORE_ALLOWANCES",
            Self::NoAllowances => "NO_ALLOWANCES",
            Self::Nulls => "NULLS",
            Self::UnknownCategory => "UNKNOWN_CATEGORY",
            Self::TextValidity => "TEXT_VALIDITY",
            Self::NoValidity => "NO_VALIDITY",
            Self::StrangeCountries => "STRANGE_COUNTRIES",
            Self::ShortMessage => "SHORT_MESSAGE",
        }
    }

    /// Makes an ordinary product odd.
    pub(crate) fn apply(self, product: &mut Map<String, Value>) {
        match self {
            Self::PlainDescription => definition(product, "description", json!("Belgium 1 GB for a week")),
            Self::NoDescription => drop_definition(product, "description"),
            Self::FlatPrices => {
                let fee = product
                    .get("prices")
                    .and_then(|prices| prices.pointer("/subscriptionFee/0"));
                let flat = json!({ "subscriptionFee": fee });
                product.insert("prices".to_owned(), flat);
            }
            Self::NoPrices => {
                product.remove("prices");
            }
            Self::EmptyPrices => prices(product, json!({})),
            Self::EmptyFee => prices(product, json!({ "subscriptionFee": [] })),
            Self::EmptyInnerFee => prices(product, json!({ "subscriptionFee": [[]] })),
            Self::UnknownUnit => fee(
                product,
                json!({ "currency": "EUR", "unit": "POINTS", "amount": 300 }),
            ),
            Self::SmallUnit => fee(
                product,
                json!({ "currency": "EUR", "unit": "cent", "amount": 300 }),
            ),
            Self::TextAmount => fee(
                product,
                json!({ "currency": "EUR", "unit": "CENTS", "amount": "300" }),
            ),
            Self::FloatAmount => fee(
                product,
                json!({ "currency": "EUR", "unit": "CENTS", "amount": 300.0 }),
            ),
            Self::FreeOfCharge => fee(
                product,
                json!({ "currency": "EUR", "unit": "CENTS", "amount": 0 }),
            ),
            Self::Dollars => fee(
                product,
                json!({ "currency": "USD", "unit": "CENTS", "amount": 350 }),
            ),
            Self::TextAllowance => data(product, json!("KB"), json!("1048576")),
            Self::FloatAllowance => data(product, json!("KB"), json!(1_048_576.0)),
            Self::UnknownAllowanceUnit => data(product, json!("MINUTE_OF_STREAMING"), json!(90)),
            Self::MoreAllowances => {
                if let Some(allowances) = product
                    .get_mut("productDefinition")
                    .and_then(|d| d.get_mut("allowances"))
                {
                    let voice = json!({ "resourceName": "VOICE_BUNDLE", "resourceUnit": "SECOND", "resourceValue": 3600 });
                    let text =
                        json!({ "resourceName": "SMS_BUNDLE", "resourceUnit": "SMS", "resourceValue": 100 });
                    if let Some(allowances) = allowances.as_object_mut() {
                        allowances.insert("voice".to_owned(), json!([voice]));
                        allowances.insert("sms".to_owned(), json!([text]));
                        allowances.insert("quantum".to_owned(), json!({ "entangled": true }));
                    }
                }
            }
            Self::NoAllowances => drop_definition(product, "allowances"),
            Self::Nulls => {
                for member in ["display", "prices", "hasSubProducts"] {
                    product.insert(member.to_owned(), Value::Null);
                }
                let all = [
                    "allowances",
                    "countryList",
                    "coverage",
                    "deferredActivationPeriod",
                    "description",
                    "networks",
                    "parentProductIds",
                    "tags",
                    "unlimited",
                    "validityPeriod",
                ];
                for member in all {
                    definition(product, member, Value::Null);
                }
            }
            Self::UnknownCategory => definition(product, "productCategory", json!("Trial")),
            Self::TextValidity => {
                let validity = json!({ "validityDuration": "7", "validityDurationUnit": "DAYS" });
                definition(product, "validityPeriod", validity);
            }
            Self::NoValidity => drop_definition(product, "validityPeriod"),
            Self::StrangeCountries => {
                definition(product, "countryList", json!(["bel", "BEL", "XKX", "ZZZ", ""]));
                definition(product, "tags", json!(["be", "BE", "NIGHT", "5G"]));
            }
            Self::ShortMessage => {
                product.insert(
                    "display".to_owned(),
                    json!({ "priority": "3", "shortMessage": "New" }),
                );
            }
        }
    }

    /// What the catalog says instead of the usual category, for its filter.
    pub(crate) fn hides_category(self) -> bool {
        self == Self::UnknownCategory
    }
}

/// Elements of the list that are no products at all.
pub(crate) fn broken() -> Vec<Value> {
    vec![
        json!({
            "availability": { "available": true },
            "canSubscribe": { "allowed": true },
            "productDefinition": { "productCategory": "One-off", "countryList": ["BEL"] },
        }),
        json!("WW_901O_STACK_ONEOFF_NOT_AN_OBJECT"),
        Value::Null,
        json!({ "availability": { "available": true }, "productDefinition": ["WW_901O_STACK_ONEOFF_ARRAY"] }),
    ]
}

fn definition(product: &mut Map<String, Value>, member: &str, value: Value) {
    if let Some(definition) = product
        .get_mut("productDefinition")
        .and_then(Value::as_object_mut)
    {
        definition.insert(member.to_owned(), value);
    }
}

fn drop_definition(product: &mut Map<String, Value>, member: &str) {
    if let Some(definition) = product
        .get_mut("productDefinition")
        .and_then(Value::as_object_mut)
    {
        definition.remove(member);
    }
}

fn prices(product: &mut Map<String, Value>, prices: Value) {
    product.insert("prices".to_owned(), prices);
}

fn fee(product: &mut Map<String, Value>, fee: Value) {
    prices(product, json!({ "subscriptionFee": [[fee]] }));
}

fn data(product: &mut Map<String, Value>, unit: Value, value: Value) {
    let allowance = json!({ "resourceName": "DATA_BUNDLE", "resourceUnit": unit, "resourceValue": value });
    definition(product, "allowances", json!({ "data": [allowance] }));
}
