//! Handlers of the Provisioning service.

use tonic::{Request, Response, Status};

use super::layers::deadline;
use super::page_token::{self, List};
use super::{convert, parse};
use crate::pb::connectivity::v1 as pb;
use crate::service::Orders;
use crate::service::orders::Note;

/// Answers the Provisioning service.
pub struct Handler(pub Orders);

#[tonic::async_trait]
impl pb::provisioning_server::Provisioning for Handler {
    async fn create_order(
        &self,
        request: Request<pb::CreateOrderRequest>,
    ) -> Result<Response<pb::CreateOrderResponse>, Status> {
        let deadline = deadline::of(&request);
        let command = parse::provisioning::create_order(request.get_ref(), None)?;
        let order = self.0.create(&command, deadline).await?;
        Ok(Response::new(pb::CreateOrderResponse {
            order: Some(convert::order::order(order)),
        }))
    }

    async fn get_order(
        &self,
        request: Request<pb::GetOrderRequest>,
    ) -> Result<Response<pb::GetOrderResponse>, Status> {
        let key = parse::provisioning::get_order(request.get_ref())?;
        let order = self.0.get(key).await?;
        Ok(Response::new(pb::GetOrderResponse {
            order: Some(convert::order::order(order)),
        }))
    }

    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Response<pb::ListOrdersResponse>, Status> {
        let list = parse::provisioning::list_orders(request.get_ref())?;
        // One more than the page, to know whether there is another.
        let mut orders = self.0.list(&list.wanted, list.after, list.page_size + 1).await?;
        let size = list.page_size as usize;
        let more = orders.len() > size;
        orders.truncate(size);
        let last = orders.last().filter(|_| more);
        let token = last.map(|order| page_token::encode(List::Orders, list.fingerprint, &order.id));
        Ok(Response::new(pb::ListOrdersResponse {
            next_page_token: token.unwrap_or_default(),
            orders: orders.into_iter().map(convert::order::order).collect(),
        }))
    }

    async fn resolve_order(
        &self,
        request: Request<pb::ResolveOrderRequest>,
    ) -> Result<Response<pb::ResolveOrderResponse>, Status> {
        let (id, resolution, text) = parse::provisioning::resolve_order(request.get_ref())?;
        let order = self.0.resolve(id, &resolution, Note { by: None, text }).await?;
        Ok(Response::new(pb::ResolveOrderResponse {
            order: Some(convert::order::order(order)),
        }))
    }
}
