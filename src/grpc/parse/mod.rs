//! Protobuf to domain. Every rule of a request is checked and all violations
//! are reported together, with the paths of their fields.

pub mod catalog;
pub mod catalog_changes;
pub mod esim;
pub mod events;
pub mod inventory;
pub mod provisioning;
pub mod sim_operations;
pub mod spend;
pub mod stock;

use std::iter::Take;

use crate::domain::error::Violation;
use crate::domain::money::{Currency, Money};
use crate::domain::{Country, Error, Iccid, Language, Msisdn, Result, SimRef, language, product};
use crate::pb::connectivity::v1 as pb;
use crate::pb::google::r#type as google;
use pb::sim_ref::Id;

/// Collects the violations of a request.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Adds one.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation {
            field: field.into(),
            description: description.into(),
        });
    }

    /// Returns the parsed request, unless there are violations.
    ///
    /// # Errors
    /// `INVALID_REQUEST` with all violations.
    pub fn into_result<T>(self, parsed: Option<T>) -> Result<T> {
        match parsed {
            Some(parsed) if self.0.is_empty() => Ok(parsed),
            _ => Err(Error::InvalidRequest(self.0)),
        }
    }

    /// Text of limited length.
    pub fn text(&mut self, field: &str, text: &str, longest: usize) {
        if text.chars().count() > longest {
            self.add(field, format!("must have at most {longest} characters"));
        }
    }

    /// A required product id.
    pub fn product_id(&mut self, field: &str, id: &str) {
        if id.is_empty() {
            self.add(field, "is required");
        }
        self.text(field, id, product::LONGEST_ID);
    }

    /// A required SIM, named by either identifier.
    pub fn sim(&mut self, field: &str, sim: Option<&pb::SimRef>) -> Option<SimRef> {
        match sim.and_then(|sim| sim.id.as_ref()) {
            None => {
                self.add(field, "is required: give iccid or msisdn");
                None
            }
            Some(Id::Iccid(text)) => self.iccid(&format!("{field}.iccid"), text).map(SimRef::Iccid),
            Some(Id::Msisdn(text)) => self.msisdn(&format!("{field}.msisdn"), text).map(SimRef::Msisdn),
        }
    }

    /// A required number.
    pub fn msisdn(&mut self, field: &str, text: &str) -> Option<Msisdn> {
        let msisdn = Msisdn::parse_international(text);
        if msisdn.is_none() {
            self.add(field, "must have 6 to 15 digits, with or without a leading +");
        }
        msisdn
    }

    /// A required card.
    pub fn iccid(&mut self, field: &str, text: &str) -> Option<Iccid> {
        let iccid = Iccid::parse(text);
        if iccid.is_none() {
            self.add(field, "must have 13 to 20 digits and nothing else");
        }
        iccid
    }

    /// An optional language.
    pub fn language(&mut self, field: &str, tag: &str) -> Option<Language> {
        if tag.is_empty() {
            return None;
        }
        let language = Language::parse(tag);
        if language.is_none() {
            let longest = language::LONGEST_TAG;
            self.add(
                field,
                format!("must be a BCP 47 tag such as fr-FR, at most {longest} characters"),
            );
        }
        language
    }

    /// A country by either of its codes.
    pub fn country(&mut self, field: &str, code: &str) -> Option<Country> {
        let country = Country::parse(code);
        if country.is_none() {
            self.add(field, "must be an ISO 3166-1 alpha-2 or alpha-3 code, or XK");
        }
        country
    }

    /// An optional amount that is not negative.
    pub fn money(&mut self, field: &str, money: Option<&google::Money>) -> Option<Money> {
        let given = money?;
        let currency = Currency::parse(&given.currency_code);
        if currency.is_none() {
            self.add(
                format!("{field}.currency_code"),
                "must be an ISO 4217 code such as EUR",
            );
        }
        // Any currency: here only the amount matters.
        let any = currency.or_else(|| Currency::parse("XXX"))?;
        let amount = Money::new(any, given.units, given.nanos);
        match amount {
            None => self.add(
                field,
                "units and nanos must have the same sign, and nanos be less than a unit",
            ),
            Some(amount) if amount.is_negative() => self.add(field, "must not be negative"),
            Some(_) => {}
        }
        currency.and(amount)
    }

    /// The elements of a list or a map that has at most `most` of them. Of a
    /// longer one only as many are looked at: what is built for each element
    /// is bounded before anything is built.
    pub fn bounded<I: ExactSizeIterator>(&mut self, field: &str, elements: I, most: usize) -> Take<I> {
        if elements.len() > most {
            self.add(field, format!("must have at most {most} elements"));
        }
        elements.take(most)
    }

    /// A page size: zero is the default, larger ones are capped.
    pub fn page_size(&mut self, size: i32, default: u32, most: u32) -> u32 {
        match u32::try_from(size) {
            Err(_) => {
                self.add("page_size", "must not be negative");
                default
            }
            Ok(0) => default,
            Ok(size) => size.min(most),
        }
    }
}
