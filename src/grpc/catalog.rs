//! Handlers of the Catalog service.

use tonic::{Request, Response, Status};

use super::layers::deadline;
use super::page_token::{self, List};
use super::{compression, convert, parse};
use crate::pb::connectivity::v1 as pb;
use crate::service::Catalog;
use crate::service::catalog::{Next, Position};

/// Answers the Catalog service.
pub struct Handler(pub Catalog);

#[tonic::async_trait]
impl pb::catalog_server::Catalog for Handler {
    async fn list_products(
        &self,
        request: Request<pb::ListProductsRequest>,
    ) -> Result<Response<pb::ListProductsResponse>, Status> {
        let list = parse::catalog::list_products(request.get_ref())?;
        let page = self
            .0
            .list(list.language.as_ref(), &list.query, list.start, list.page_size)
            .await?;
        let products = match list.mask {
            None => page.products,
            Some(mask) => page.products.iter().map(|product| mask.apply(product)).collect(),
        };
        Ok(compression::list(
            request.metadata(),
            pb::ListProductsResponse {
                products,
                next_page_token: token(List::Products, &list, page.next),
                total_size: i32::try_from(page.total).unwrap_or(i32::MAX),
                freshness: Some(convert::freshness(page.freshness)),
            },
        ))
    }

    async fn get_product(
        &self,
        request: Request<pb::GetProductRequest>,
    ) -> Result<Response<pb::GetProductResponse>, Status> {
        let (language, mask) = parse::catalog::get_product(request.get_ref())?;
        let (entry, freshness) = self
            .0
            .product(language.as_ref(), &request.get_ref().product_id)
            .await?;
        Ok(Response::new(pb::GetProductResponse {
            product: mask.map_or_else(|| entry.prepared.clone(), |mask| mask.apply(&entry.prepared)),
            freshness: Some(convert::freshness(freshness)),
        }))
    }

    async fn list_destinations(
        &self,
        request: Request<pb::ListDestinationsRequest>,
    ) -> Result<Response<pb::ListDestinationsResponse>, Status> {
        let language = parse::catalog::list_destinations(request.get_ref())?;
        let (destinations, freshness) = self.0.destinations(language.as_ref()).await?;
        Ok(compression::list(
            request.metadata(),
            pb::ListDestinationsResponse {
                destinations: destinations.iter().map(convert::destination).collect(),
                freshness: Some(convert::freshness(freshness)),
            },
        ))
    }

    async fn check_eligibility(
        &self,
        request: Request<pb::CheckEligibilityRequest>,
    ) -> Result<Response<pb::CheckEligibilityResponse>, Status> {
        let deadline = deadline::of(&request);
        let sim = parse::catalog::check_eligibility(request.get_ref())?;
        let results = self
            .0
            .check_eligibility(&sim, &request.get_ref().product_ids, deadline)
            .await?;
        let results = results.into_iter().map(convert::eligibility).collect();
        Ok(Response::new(pb::CheckEligibilityResponse { results }))
    }

    async fn list_eligible_products(
        &self,
        request: Request<pb::ListEligibleProductsRequest>,
    ) -> Result<Response<pb::ListEligibleProductsResponse>, Status> {
        let deadline = deadline::of(&request);
        let (sim, list) = parse::catalog::list_eligible_products(request.get_ref())?;
        let (language, query) = (list.language.as_ref(), &list.query);
        let (page, eligibilities) = self
            .0
            .list_eligible(&sim, language, query, list.start, list.page_size, deadline)
            .await?;
        let products = page.products.into_iter().zip(eligibilities);
        let products = products.map(|(product, eligibility)| pb::EligibleProduct {
            product,
            eligibility: Some(convert::eligibility(eligibility)),
        });
        Ok(compression::list(
            request.metadata(),
            pb::ListEligibleProductsResponse {
                products: products.collect(),
                next_page_token: token(List::EligibleProducts, &list, page.next),
                total_size: i32::try_from(page.total).unwrap_or(i32::MAX),
                freshness: Some(convert::freshness(page.freshness)),
            },
        ))
    }

    async fn list_catalog_changes(
        &self,
        request: Request<pb::ListCatalogChangesRequest>,
    ) -> Result<Response<pb::ListCatalogChangesResponse>, Status> {
        let list = parse::catalog_changes::list_catalog_changes(request.get_ref())?;
        let found = self
            .0
            .changes(list.language.as_ref(), &list.since, list.start, list.page_size)
            .await?;
        let (next_page_token, version) = match found.next {
            Next::End { version } => (String::new(), version),
            Next::Page(place) => {
                let position = page_token::Position {
                    within: place.sequence,
                    offset: place.offset,
                };
                let token = page_token::encode(List::CatalogChanges, list.fingerprint, &position);
                (token, String::new())
            }
        };
        let changes = found
            .changes
            .into_iter()
            .map(convert::catalog_change::catalog_change);
        Ok(compression::list(
            request.metadata(),
            pb::ListCatalogChangesResponse {
                changes: changes.collect(),
                next_page_token,
                version,
            },
        ))
    }
}

/// The token of the next page; empty when there is none.
fn token(kind: List, list: &parse::catalog::ListProducts, next: Option<Position>) -> String {
    let token = next.map(|next| {
        let position = page_token::Position {
            within: next.snapshot,
            offset: next.offset,
        };
        page_token::encode(kind, list.fingerprint, &position)
    });
    token.unwrap_or_default()
}
