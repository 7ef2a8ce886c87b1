//! Requests for the changes of the catalog.

use super::Violations;
use crate::domain::catalog_change::Since;
use crate::domain::{Error, Language, Result};
use crate::grpc::page_token::{self, Fingerprint, List};
use crate::pb::connectivity::v1 as pb;
use crate::service::catalog::Place;
use pb::list_catalog_changes_request::Start;

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1000;
const LONGEST_VERSION: usize = 100;

/// A parsed `ListCatalogChangesRequest`.
#[derive(Debug)]
pub struct ListCatalogChanges {
    /// What the list begins after.
    pub since: Since,
    /// The language, if given.
    pub language: Option<Language>,
    /// Changes per page.
    pub page_size: u32,
    /// The start of the page.
    pub start: Option<Place>,
    /// What a token for the next page is bound to.
    pub fingerprint: Fingerprint,
}

/// Parses; the token last, because it is bound to all the rest.
///
/// # Errors
/// `INVALID_REQUEST`, or `PAGE_TOKEN_INVALID` when only the token is wrong.
pub fn list_catalog_changes(request: &pb::ListCatalogChangesRequest) -> Result<ListCatalogChanges> {
    let mut violations = Violations::default();
    let since = violations.start(request.start.as_ref());
    let language = violations.language("language_code", &request.language_code);
    let page_size = violations.page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE);
    let since = violations.into_result(since)?;
    let fingerprint = Fingerprint::of(&(&since, &language));
    let start = page_token::decode(List::CatalogChanges, fingerprint, &request.page_token)
        .map_err(Error::PageTokenInvalid)?;
    Ok(ListCatalogChanges {
        since,
        language,
        page_size,
        start: start.map(|start: page_token::Position| Place {
            sequence: start.within,
            offset: start.offset,
        }),
        fingerprint,
    })
}

impl Violations {
    fn start(&mut self, start: Option<&Start>) -> Option<Since> {
        match start {
            None => {
                self.add("start", "is required: give since_version or since_time");
                None
            }
            Some(Start::SinceVersion(version)) => {
                if version.is_empty() {
                    self.add("since_version", "must not be empty");
                }
                self.text("since_version", version, LONGEST_VERSION);
                Some(Since::Version(version.clone()))
            }
            Some(Start::SinceTime(time)) => self.moment("since_time", Some(time)).map(Since::Time),
        }
    }
}
