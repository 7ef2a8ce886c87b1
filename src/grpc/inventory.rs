//! Handlers of the Inventory service.

use std::pin::Pin;

use futures_util::stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::layers::deadline;
use super::layers::identity::scope;
use super::page_token::{self, List};
use super::{compression, convert, parse, status};
use crate::pb::connectivity::v1 as pb;
use crate::service::sims::ListFilter;
use crate::service::{Inventory, Sims, Stock};

/// Request path of the only method with the deadline of a batch.
pub const BATCH_GET_INVENTORY: &str = "/connectivity.v1.Inventory/BatchGetInventory";

/// Answers the Inventory service.
pub struct Handler {
    /// Subscriptions.
    pub inventory: Inventory,
    /// SIMs.
    pub sims: Sims,
    /// The stock.
    pub stock: Stock,
}

#[tonic::async_trait]
impl pb::inventory_server::Inventory for Handler {
    async fn get_inventory(
        &self,
        request: Request<pb::GetInventoryRequest>,
    ) -> Result<Response<pb::GetInventoryResponse>, Status> {
        let (sim, wanted) = parse::inventory::get_inventory(request.get_ref())?;
        let found = self.inventory.subscriptions(&sim, &wanted).await?;
        Ok(Response::new(convert::inventory(found)))
    }

    async fn get_subscription(
        &self,
        request: Request<pb::GetSubscriptionRequest>,
    ) -> Result<Response<pb::GetSubscriptionResponse>, Status> {
        let sim = parse::inventory::get_subscription(request.get_ref())?;
        let subscription = self
            .inventory
            .subscription(&sim, &request.get_ref().subscription_id)
            .await?;
        let subscription = Some(convert::subscription(subscription));
        Ok(Response::new(pb::GetSubscriptionResponse { subscription }))
    }

    type BatchGetInventoryStream =
        Pin<Box<dyn Stream<Item = Result<pb::BatchGetInventoryResponse, Status>> + Send>>;

    async fn batch_get_inventory(
        &self,
        request: Request<pb::BatchGetInventoryRequest>,
    ) -> Result<Response<Self::BatchGetInventoryStream>, Status> {
        let deadline = deadline::of(&request);
        let (sims, wanted) = parse::inventory::batch_get_inventory(request.get_ref())?;
        let requested = request.into_inner().sims;
        let entries = self.inventory.batch(sims, wanted, deadline).map(move |entry| {
            let entry = entry?;
            let outcome = match entry.outcome {
                Ok(found) => pb::batch_get_inventory_response::Outcome::Inventory(convert::inventory(found)),
                Err(error) => pb::batch_get_inventory_response::Outcome::Error(status::message(error)),
            };
            Ok(pb::BatchGetInventoryResponse {
                index: i32::try_from(entry.index).unwrap_or(i32::MAX),
                sim: requested.get(entry.index).cloned(),
                outcome: Some(outcome),
            })
        });
        Ok(Response::new(Box::pin(entries)))
    }

    async fn get_sim(
        &self,
        request: Request<pb::GetSimRequest>,
    ) -> Result<Response<pb::GetSimResponse>, Status> {
        let deadline = deadline::of(&request);
        let sim = parse::inventory::get_sim(request.get_ref())?;
        let record = self.sims.record(&sim, deadline).await?;
        let sim = Some(convert::sim(record));
        Ok(Response::new(pb::GetSimResponse { sim }))
    }

    async fn list_sims(
        &self,
        request: Request<pb::ListSimsRequest>,
    ) -> Result<Response<pb::ListSimsResponse>, Status> {
        let deadline = deadline::of(&request);
        let list = parse::inventory::list_sims(request.get_ref())?;
        let filter = ListFilter {
            statuses: list.statuses,
            esim_statuses: list.esim_statuses,
            group: list.group,
            unused: list.unused,
        };
        let listed = self.sims.list(&filter, list.start, list.page_size, deadline);
        let page = Box::pin(listed).await?;
        let token = |next: crate::service::sims::Position| {
            let position = page_token::Position {
                within: u64::from(next.status),
                offset: next.offset,
            };
            page_token::encode(List::Sims, list.fingerprint, &position)
        };
        Ok(compression::list(
            request.metadata(),
            pb::ListSimsResponse {
                next_page_token: page.next.map(token).unwrap_or_default(),
                sims: page.sims.into_iter().map(convert::sim).collect(),
            },
        ))
    }

    async fn get_stock(
        &self,
        request: Request<pb::GetStockRequest>,
    ) -> Result<Response<pb::GetStockResponse>, Status> {
        let pool = parse::stock::get_stock(request.get_ref())?;
        let counts = self.stock.count().await?;
        Ok(Response::new(pb::GetStockResponse {
            pools: convert::stock::pools(&counts, pool.as_ref()),
        }))
    }

    async fn list_stock(
        &self,
        request: Request<pb::ListStockRequest>,
    ) -> Result<Response<pb::ListStockResponse>, Status> {
        let list = parse::stock::list_stock(request.get_ref(), scope(&request))?;
        // One more than the page, to know whether there is another.
        let mut sims = self.stock.list(list.filter, list.page_size + 1).await?;
        let size = list.page_size as usize;
        let more = sims.len() > size;
        sims.truncate(size);
        let last = sims
            .last()
            .filter(|_| more)
            .and_then(|sim| sim.ids.iccid.as_ref());
        let token = last.map(|card| page_token::encode(List::Stock, list.fingerprint, card));
        Ok(compression::list(
            request.metadata(),
            pb::ListStockResponse {
                next_page_token: token.unwrap_or_default(),
                sims: sims.into_iter().map(convert::stock::stock_sim).collect(),
            },
        ))
    }

    async fn import_stock(
        &self,
        request: Request<pb::ImportStockRequest>,
    ) -> Result<Response<pb::ImportStockResponse>, Status> {
        let import = parse::stock::import_stock(request.get_ref())?;
        if request.get_ref().validate_only {
            return Ok(Response::new(pb::ImportStockResponse::default()));
        }
        let imported = self.stock.import(&import.pool, import.sims).await?;
        Ok(Response::new(pb::ImportStockResponse {
            added: convert::stock::number(imported.added),
            known: convert::stock::number(imported.known),
        }))
    }

    async fn move_stock(
        &self,
        request: Request<pb::MoveStockRequest>,
    ) -> Result<Response<pb::MoveStockResponse>, Status> {
        let (cards, pool) = parse::stock::move_stock(request.get_ref())?;
        let asked = cards.len();
        let not_moved = self.stock.move_to(cards, &pool).await?;
        let moved = asked - not_moved.len();
        Ok(Response::new(pb::MoveStockResponse {
            moved: i64::try_from(moved).unwrap_or(i64::MAX),
            not_moved: not_moved.iter().map(|card| card.as_str().to_owned()).collect(),
        }))
    }

    async fn withdraw_sim(
        &self,
        request: Request<pb::WithdrawSimRequest>,
    ) -> Result<Response<pb::WithdrawSimResponse>, Status> {
        let card = parse::stock::withdraw_sim(request.get_ref())?;
        let sim = self.stock.withdraw(&card).await?;
        Ok(Response::new(pb::WithdrawSimResponse {
            sim: Some(convert::stock::stock_sim(sim)),
        }))
    }
}
