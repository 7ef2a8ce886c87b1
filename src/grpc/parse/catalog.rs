//! Requests of the Catalog service.

use std::collections::HashSet;

use super::Violations;
use crate::domain::product::{Category, LONGEST_ID, Validity, ValidityUnit};
use crate::domain::{Country, Error, Language, Result, SimRef};
use crate::grpc::page_token::{self, Fingerprint, List};
use crate::grpc::read_mask::Mask;
use crate::pb::connectivity::v1 as pb;
use crate::service::catalog::{Key, Order, Position, Query};

const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;
const MOST_COUNTRIES: usize = 250;
const MOST_CATEGORIES: usize = 20;
const MOST_TAGS: usize = 20;
const MOST_TECHNOLOGIES: usize = 20;
const LONGEST_TEXT: usize = 200;
/// As many as one request to the provider names.
const MOST_ELIGIBILITIES: usize = 50;
const DEFAULT_ELIGIBLE: u32 = 20;

/// Keys of `order_by`.
const KEYS: [(&str, Key); 5] = [
    ("price", Key::Price),
    ("data", Key::Data),
    ("validity", Key::Validity),
    ("available_until", Key::AvailableUntil),
    ("product_id", Key::Id),
];

/// A parsed `ListProductsRequest`.
#[derive(Debug)]
pub struct ListProducts {
    /// The filter.
    pub query: Query,
    /// The language, if given.
    pub language: Option<Language>,
    /// Products per page.
    pub page_size: u32,
    /// The fields that are answered; `None` for all.
    pub mask: Option<Mask>,
    /// The start of the page.
    pub start: Option<Position>,
    /// What a token for the next page is bound to.
    pub fingerprint: Fingerprint,
}

/// Parses; the token last, because it is bound to all the rest.
///
/// # Errors
/// `INVALID_REQUEST`, or `PAGE_TOKEN_INVALID` when only the token is wrong.
pub fn list_products(request: &pb::ListProductsRequest) -> Result<ListProducts> {
    let mut violations = Violations::default();
    violations.text("query", &request.query, LONGEST_TEXT);
    let parent = violations.parent(&request.parent_product_id);
    let countries = violations.countries(&request.countries);
    let categories = violations.categories(&request.categories);
    let mut tags = Vec::new();
    let given = violations.bounded("tags", request.tags.iter(), MOST_TAGS);
    for (at, tag) in given.enumerate() {
        violations.text(&format!("tags[{at}]"), tag, LONGEST_ID);
        tags.push(tag.clone());
    }
    if request.min_data_bytes < 0 {
        violations.add("min_data_bytes", "must not be negative");
    }
    let min_validity = violations.validity("min_validity", request.min_validity.as_ref());
    let max_price = violations.money("max_price", request.max_price.as_ref());
    let mut technologies = Vec::new();
    let given = violations.bounded("technologies", request.technologies.iter(), MOST_TECHNOLOGIES);
    for (at, technology) in given.enumerate() {
        let field = format!("technologies[{at}]");
        if technology.is_empty() {
            violations.add(&field, "must not be empty");
        }
        violations.text(&field, technology, LONGEST_ID);
        technologies.push(technology.clone());
    }
    let order = violations.order(&request.order_by);
    let language = violations.language("language_code", &request.language_code);
    let page_size = violations.page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE);
    let mask = violations.read_mask("read_mask", request.read_mask.as_ref());
    let query = Query {
        countries,
        categories,
        parent,
        text: request.query.clone(),
        tags,
        include_unavailable: request.include_unavailable,
        min_data_bytes: Some(request.min_data_bytes).filter(|bytes| *bytes > 0),
        min_days: min_validity.map(|validity| validity.approximate_days()),
        max_price,
        unlimited: request.unlimited,
        technologies,
        order,
    };
    let query = violations.into_result(Some(query))?;
    let fingerprint = Fingerprint::of(&(&query, &language));
    let start = start(List::Products, fingerprint, &request.page_token)?;
    Ok(ListProducts {
        query,
        language,
        page_size,
        mask,
        start,
        fingerprint,
    })
}

fn start(list: List, fingerprint: Fingerprint, token: &str) -> Result<Option<Position>> {
    let position = page_token::decode(list, fingerprint, token).map_err(Error::PageTokenInvalid)?;
    Ok(position.map(|position: page_token::Position| Position {
        snapshot: position.within,
        offset: position.offset,
    }))
}

/// Parses a `ListEligibleProductsRequest` into the SIM and the list.
///
/// # Errors
/// `INVALID_REQUEST`, or `PAGE_TOKEN_INVALID` when only the token is wrong.
pub fn list_eligible_products(request: &pb::ListEligibleProductsRequest) -> Result<(SimRef, ListProducts)> {
    let mut violations = Violations::default();
    let sim = violations.sim("sim", request.sim.as_ref());
    let countries = violations.countries(&request.countries);
    let categories = violations.categories(&request.categories);
    let parent = violations.parent(&request.parent_product_id);
    let order = violations.order(&request.order_by);
    let language = violations.language("language_code", &request.language_code);
    let page_size = violations.page_size(request.page_size, DEFAULT_ELIGIBLE, MOST_ELIGIBILITIES as u32);
    let query = Query {
        countries,
        categories,
        parent,
        order,
        ..Query::default()
    };
    let sim = violations.into_result(sim)?;
    let fingerprint = Fingerprint::of(&(&sim, &query, &language));
    let start = start(List::EligibleProducts, fingerprint, &request.page_token)?;
    let list = ListProducts {
        query,
        language,
        page_size,
        mask: None,
        start,
        fingerprint,
    };
    Ok((sim, list))
}

impl Violations {
    fn countries(&mut self, codes: &[String]) -> Vec<Country> {
        let codes = self
            .bounded("countries", codes.iter(), MOST_COUNTRIES)
            .enumerate();
        codes
            .filter_map(|(at, code)| self.country(&format!("countries[{at}]"), code))
            .collect()
    }

    fn categories(&mut self, numbers: &[i32]) -> Vec<Category> {
        let mut categories = Vec::new();
        let numbers = self.bounded("categories", numbers.iter(), MOST_CATEGORIES);
        for (at, number) in numbers.enumerate() {
            match category(*number) {
                Some(category) if !categories.contains(&category) => categories.push(category),
                Some(_) => {}
                None => self.add(format!("categories[{at}]"), "must be a known category"),
            }
        }
        categories
    }

    /// The product whose add-ons are asked for.
    fn parent(&mut self, id: &str) -> Option<String> {
        self.text("parent_product_id", id, LONGEST_ID);
        Some(id.to_owned()).filter(|id| !id.is_empty())
    }

    /// An order as AIP-132 writes it, of one key.
    fn order(&mut self, order_by: &str) -> Order {
        let mut words = order_by.split_whitespace();
        let (key, direction) = (words.next(), words.next());
        let descending = match (key, direction, words.next()) {
            (None, ..) => return Order::default(),
            (_, None, _) => Some(false),
            (_, Some("desc"), None) => Some(true),
            _ => None,
        };
        let key = KEYS.iter().find(|(name, _)| Some(*name) == key);
        if let (Some((_, key)), Some(descending)) = (key, descending) {
            return Order {
                key: *key,
                descending,
            };
        }
        let names = KEYS.map(|(name, _)| name).join(", ");
        let valid = format!("must be one of {names}, or one of them followed by \" desc\"");
        self.add("order_by", valid);
        Order::default()
    }

    /// An optional length of time as it is sold.
    fn validity(&mut self, field: &str, given: Option<&pb::Validity>) -> Option<Validity> {
        let given = given?;
        if given.count < 1 {
            self.add(format!("{field}.count"), "must be at least 1");
        }
        let unit = match pb::ValidityUnit::try_from(given.unit) {
            Ok(pb::ValidityUnit::Days) => Some(ValidityUnit::Days),
            Ok(pb::ValidityUnit::Months) => Some(ValidityUnit::Months),
            Ok(pb::ValidityUnit::Unspecified) | Err(_) => None,
        };
        if unit.is_none() {
            self.add(format!("{field}.unit"), "must be a known unit");
        }
        let count = given.count;
        unit.map(|unit| Validity { count, unit })
    }
}

fn category(number: i32) -> Option<Category> {
    match pb::ProductCategory::try_from(number).ok()? {
        pb::ProductCategory::Unspecified => None,
        pb::ProductCategory::OneOff => Some(Category::OneOff),
        pb::ProductCategory::Recurring => Some(Category::Recurring),
        pb::ProductCategory::AddOn => Some(Category::AddOn),
    }
}

/// Parses the language and the fields of a `GetProductRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_product(request: &pb::GetProductRequest) -> Result<(Option<Language>, Option<Mask>)> {
    let mut violations = Violations::default();
    violations.product_id("product_id", &request.product_id);
    let language = violations.language("language_code", &request.language_code);
    let mask = violations.read_mask("read_mask", request.read_mask.as_ref());
    violations.into_result(Some((language, mask)))
}

/// Parses the language of a `ListDestinationsRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn list_destinations(request: &pb::ListDestinationsRequest) -> Result<Option<Language>> {
    let mut violations = Violations::default();
    let language = violations.language("language_code", &request.language_code);
    violations.into_result(Some(language))
}

/// Parses the SIM of a `CheckEligibilityRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn check_eligibility(request: &pb::CheckEligibilityRequest) -> Result<SimRef> {
    let mut violations = Violations::default();
    let sim = violations.sim("sim", request.sim.as_ref());
    if request.product_ids.is_empty() {
        violations.add("product_ids", "must have at least 1 element");
    }
    let mut seen = HashSet::new();
    let ids = violations.bounded("product_ids", request.product_ids.iter(), MOST_ELIGIBILITIES);
    for (at, id) in ids.enumerate() {
        let field = format!("product_ids[{at}]");
        violations.product_id(&field, id);
        if !seen.insert(id) {
            violations.add(field, "occurs more than once");
        }
    }
    violations.into_result(sim)
}
