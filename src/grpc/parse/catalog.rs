//! Requests of the Catalog service.

use std::collections::HashSet;

use super::Violations;
use crate::domain::product::{Category, LONGEST_ID, Validity, ValidityUnit};
use crate::domain::{Country, Error, Language, Result, SimRef};
use crate::grpc::page_token::{self, Fingerprint, List};
use crate::pb::connectivity::v1 as pb;
use crate::service::catalog::{Order, Position, Query};

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

/// Values of `order_by`.
const ORDERS: [(&str, Order); 6] = [
    ("", Order::Id),
    ("product_id", Order::Id),
    ("price", Order::Price),
    ("price desc", Order::PriceDescending),
    ("data", Order::Data),
    ("validity", Order::Validity),
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
    violations.text("parent_product_id", &request.parent_product_id, LONGEST_ID);
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
    let query = Query {
        countries,
        categories,
        parent: Some(request.parent_product_id.clone()).filter(|parent| !parent.is_empty()),
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
    let order = violations.order(&request.order_by);
    let language = violations.language("language_code", &request.language_code);
    let page_size = violations.page_size(request.page_size, DEFAULT_ELIGIBLE, MOST_ELIGIBILITIES as u32);
    let query = Query {
        countries,
        categories,
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

    fn order(&mut self, order_by: &str) -> Order {
        let order = ORDERS.iter().find(|(text, _)| *text == order_by);
        if order.is_none() {
            self.add(
                "order_by",
                "must be price, price desc, data, validity or product_id",
            );
        }
        order.map_or(Order::Id, |(_, order)| *order)
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

/// Parses the language of a `GetProductRequest`.
///
/// # Errors
/// `INVALID_REQUEST`.
pub fn get_product(request: &pb::GetProductRequest) -> Result<Option<Language>> {
    let mut violations = Violations::default();
    violations.product_id("product_id", &request.product_id);
    let language = violations.language("language_code", &request.language_code);
    violations.into_result(Some(language))
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
