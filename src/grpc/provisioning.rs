//! Handlers of the Provisioning service.

use tonic::{Request, Response, Status};

use super::layers::deadline;
use super::layers::identity::{caller, requester, scope};
use super::layers::policy::Access;
use super::page_token::{self, List};
use super::parse::provisioning::Purchase;
use super::parse::sim_operations as operations;
use super::parse::sim_operations::common;
use super::{compression, convert, parse};
use crate::config::METHODS;
use crate::domain::change::{SimAction, SubscriptionAction};
use crate::domain::write::Order;
use crate::domain::{Caller, Deadline, Result as DomainResult, Scope};
use crate::pb::connectivity::v1 as pb;
use crate::service::writes::{Note, Request as WriteRequest, Validated};
use crate::service::{Prices, Sales, Stock, Writes};

/// The service, as grants name it.
const PROVISIONING: &str = "Provisioning";

/// Answers the Provisioning service.
pub struct Handler {
    /// Orders and operations on SIMs.
    pub orders: Writes,
    /// Orders from the stock.
    pub sales: Sales,
    /// Reservations.
    pub stock: Stock,
    /// What orders cost.
    pub prices: Prices,
    /// What callers may call.
    pub access: Access,
}

impl Handler {
    async fn order(
        &self,
        parsed: DomainResult<WriteRequest>,
        deadline: Deadline,
    ) -> Result<pb::Order, Status> {
        let order = self.orders.create_order(&parsed?, deadline).await?;
        Ok(self.shown(order))
    }

    /// An order with what it costs now.
    fn shown(&self, order: Order) -> pb::Order {
        convert::order::order(order, &self.prices.list())
    }

    async fn validated(&self, request: WriteRequest, deadline: Deadline) -> Result<pb::Order, Status> {
        Ok(match self.orders.validate_order(&request, deadline).await? {
            Validated::Known(order) => self.shown(*order),
            Validated::Valid(kind) => {
                let prices = self.prices.list();
                convert::order::validated(request.request_id, request.by.caller, *kind, &prices)
            }
        })
    }

    async fn operation(
        &self,
        parsed: DomainResult<WriteRequest>,
        deadline: Deadline,
    ) -> Result<pb::SimOperation, Status> {
        let request = parsed?;
        let operation = Box::pin(self.orders.change_sim(&request, deadline)).await?;
        Ok(convert::sim_operation::sim_operation(operation))
    }
}

#[tonic::async_trait]
impl pb::provisioning_server::Provisioning for Handler {
    async fn create_order(
        &self,
        request: Request<pb::CreateOrderRequest>,
    ) -> Result<Response<pb::CreateOrderResponse>, Status> {
        let deadline = deadline::of(&request);
        let validate_only = request.get_ref().validate_only;
        let order = match parse::provisioning::create_order(request.get_ref(), requester(&request))? {
            Purchase::FromStock(sale) => {
                let order = Box::pin(self.sales.sell(&sale, deadline)).await?;
                self.shown(order)
            }
            Purchase::For(request) if validate_only => self.validated(request, deadline).await?,
            Purchase::For(request) => self.order(Ok(request), deadline).await?,
        };
        Ok(Response::new(pb::CreateOrderResponse { order: Some(order) }))
    }

    async fn reserve_sim(
        &self,
        request: Request<pb::ReserveSimRequest>,
    ) -> Result<Response<pb::ReserveSimResponse>, Status> {
        let deadline = deadline::of(&request);
        let parsed = parse::stock::reserve_sim(request.get_ref(), requester(&request))?;
        let reservation = Box::pin(self.stock.reserve(&parsed, deadline)).await?;
        Ok(Response::new(pb::ReserveSimResponse {
            reservation: Some(convert::stock::reservation(reservation)),
        }))
    }

    async fn release_sim(
        &self,
        request: Request<pb::ReleaseSimRequest>,
    ) -> Result<Response<pb::ReleaseSimResponse>, Status> {
        let id = parse::stock::release_sim(request.get_ref())?;
        let reservation = self.stock.release(id, &scope(&request)).await?;
        Ok(Response::new(pb::ReleaseSimResponse {
            reservation: Some(convert::stock::reservation(reservation)),
        }))
    }

    async fn get_order(
        &self,
        request: Request<pb::GetOrderRequest>,
    ) -> Result<Response<pb::GetOrderResponse>, Status> {
        let deadline = deadline::of(&request);
        let (key, wait) = parse::provisioning::get_order(request.get_ref())?;
        let order = self.orders.get(key, wait, &scope(&request), deadline).await?;
        Ok(Response::new(pb::GetOrderResponse {
            order: Some(self.shown(order)),
        }))
    }

    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Response<pb::ListOrdersResponse>, Status> {
        let list = parse::provisioning::list_orders(request.get_ref())?;
        // One more than the page, to know whether there is another.
        let limit = list.page_size + 1;
        let mut orders = self
            .orders
            .list(
                list.sim.as_ref(),
                &list.filter,
                &scope(&request),
                list.after,
                limit,
            )
            .await?;
        let size = list.page_size as usize;
        let more = orders.len() > size;
        orders.truncate(size);
        let last = orders.last().filter(|_| more);
        let token = last.map(|order| page_token::encode(List::Orders, list.fingerprint, &order.id));
        Ok(compression::list(
            request.metadata(),
            pb::ListOrdersResponse {
                next_page_token: token.unwrap_or_default(),
                orders: orders.into_iter().map(|order| self.shown(order)).collect(),
            },
        ))
    }

    async fn get_capabilities(
        &self,
        request: Request<pb::GetCapabilitiesRequest>,
    ) -> Result<Response<pb::GetCapabilitiesResponse>, Status> {
        let identity = request.extensions().get::<Caller>();
        let all = { METHODS.iter() }
            .flat_map(|(service, methods)| methods.iter().map(move |method| (*service, *method)));
        let can = all.filter(|(service, method)| {
            self.access.allows(identity, service, method)
                && (*service != PROVISIONING || self.orders.is_method_enabled(method))
        });
        let methods: Vec<_> = can
            .map(|(service, method)| format!("{service}/{method}"))
            .collect();
        let mut capabilities = self.orders.capabilities(caller(&request).as_deref());
        capabilities.add_ons &= methods.iter().any(|method| method == "Provisioning/CreateOrder");
        let own_requests_only = scope(&request) != Scope::All;
        Ok(Response::new(convert::capabilities::response(
            methods,
            own_requests_only,
            &capabilities,
        )))
    }

    async fn get_spend(
        &self,
        request: Request<pb::GetSpendRequest>,
    ) -> Result<Response<pb::GetSpendResponse>, Status> {
        let query = parse::spend::get_spend(request.get_ref())?;
        let groups = self.orders.spend(&query, &scope(&request)).await?;
        Ok(Response::new(convert::spend::spend(groups, &self.prices.list())))
    }

    async fn resolve_order(
        &self,
        request: Request<pb::ResolveOrderRequest>,
    ) -> Result<Response<pb::ResolveOrderResponse>, Status> {
        let (id, resolution, text) = parse::provisioning::resolve_order(request.get_ref())?;
        let order = self
            .orders
            .resolve(
                id,
                &resolution,
                &scope(&request),
                Note {
                    by: caller(&request),
                    text,
                },
            )
            .await?;
        Ok(Response::new(pb::ResolveOrderResponse {
            order: Some(self.shown(order)),
        }))
    }

    async fn cancel_renewal(
        &self,
        request: Request<pb::CancelRenewalRequest>,
    ) -> Result<Response<pb::CancelRenewalResponse>, Status> {
        let deadline = deadline::of(&request);
        let pb::CancelRenewalRequest {
            request_id,
            sim,
            subscription_id,
        } = request.get_ref();
        let action = SubscriptionAction::CancelRenewal;
        let parsed = parse::provisioning::subscription_change(
            request_id,
            sim.as_ref(),
            subscription_id,
            action,
            requester(&request),
        );
        let order = Some(self.order(parsed, deadline).await?);
        Ok(Response::new(pb::CancelRenewalResponse { order }))
    }

    async fn terminate_subscription(
        &self,
        request: Request<pb::TerminateSubscriptionRequest>,
    ) -> Result<Response<pb::TerminateSubscriptionResponse>, Status> {
        let deadline = deadline::of(&request);
        let pb::TerminateSubscriptionRequest {
            request_id,
            sim,
            subscription_id,
        } = request.get_ref();
        let action = SubscriptionAction::Terminate;
        let parsed = parse::provisioning::subscription_change(
            request_id,
            sim.as_ref(),
            subscription_id,
            action,
            requester(&request),
        );
        let order = Some(self.order(parsed, deadline).await?);
        Ok(Response::new(pb::TerminateSubscriptionResponse { order }))
    }

    async fn activate_sim(
        &self,
        request: Request<pb::ActivateSimRequest>,
    ) -> Result<Response<pb::ActivateSimResponse>, Status> {
        let deadline = deadline::of(&request);
        let parsed = operations::plain(
            common!(request.get_ref()),
            SimAction::Activate,
            requester(&request),
        );
        let operation = Some(self.operation(parsed, deadline).await?);
        Ok(Response::new(pb::ActivateSimResponse { operation }))
    }

    async fn suspend_sim(
        &self,
        request: Request<pb::SuspendSimRequest>,
    ) -> Result<Response<pb::SuspendSimResponse>, Status> {
        let deadline = deadline::of(&request);
        let parsed = operations::plain(
            common!(request.get_ref()),
            SimAction::Suspend,
            requester(&request),
        );
        let operation = Some(self.operation(parsed, deadline).await?);
        Ok(Response::new(pb::SuspendSimResponse { operation }))
    }

    async fn reactivate_sim(
        &self,
        request: Request<pb::ReactivateSimRequest>,
    ) -> Result<Response<pb::ReactivateSimResponse>, Status> {
        let deadline = deadline::of(&request);
        let parsed = operations::plain(
            common!(request.get_ref()),
            SimAction::Reactivate,
            requester(&request),
        );
        let operation = Some(self.operation(parsed, deadline).await?);
        Ok(Response::new(pb::ReactivateSimResponse { operation }))
    }

    async fn update_sim(
        &self,
        request: Request<pb::UpdateSimRequest>,
    ) -> Result<Response<pb::UpdateSimResponse>, Status> {
        let deadline = deadline::of(&request);
        let parsed = operations::update(request.get_ref(), requester(&request));
        let operation = Some(self.operation(parsed, deadline).await?);
        Ok(Response::new(pb::UpdateSimResponse { operation }))
    }

    async fn swap_sim(
        &self,
        request: Request<pb::SwapSimRequest>,
    ) -> Result<Response<pb::SwapSimResponse>, Status> {
        let deadline = deadline::of(&request);
        let parsed = operations::swap(request.get_ref(), requester(&request));
        let operation = Some(self.operation(parsed, deadline).await?);
        Ok(Response::new(pb::SwapSimResponse { operation }))
    }

    async fn terminate_sim(
        &self,
        request: Request<pb::TerminateSimRequest>,
    ) -> Result<Response<pb::TerminateSimResponse>, Status> {
        let deadline = deadline::of(&request);
        let parsed = operations::terminate(request.get_ref(), requester(&request));
        let operation = Some(self.operation(parsed, deadline).await?);
        Ok(Response::new(pb::TerminateSimResponse { operation }))
    }

    async fn get_sim_operation(
        &self,
        request: Request<pb::GetSimOperationRequest>,
    ) -> Result<Response<pb::GetSimOperationResponse>, Status> {
        let deadline = deadline::of(&request);
        let (key, wait) = operations::get(request.get_ref())?;
        let operation = self
            .orders
            .operation(key, wait, &scope(&request), deadline)
            .await?;
        Ok(Response::new(pb::GetSimOperationResponse {
            operation: Some(convert::sim_operation::sim_operation(operation)),
        }))
    }

    async fn list_sim_operations(
        &self,
        request: Request<pb::ListSimOperationsRequest>,
    ) -> Result<Response<pb::ListSimOperationsResponse>, Status> {
        let list = operations::list(request.get_ref())?;
        // One more than the page, to know whether there is another.
        let limit = list.page_size + 1;
        let mut page = self
            .orders
            .list_operations(&list.filter, &scope(&request), list.after, limit)
            .await?;
        let size = list.page_size as usize;
        let more = page.len() > size;
        page.truncate(size);
        let last = page.last().filter(|_| more);
        let token = last
            .map(|operation| page_token::encode(List::SimOperations, list.fingerprint, &operation.write.id));
        Ok(compression::list(
            request.metadata(),
            pb::ListSimOperationsResponse {
                next_page_token: token.unwrap_or_default(),
                operations: page
                    .into_iter()
                    .map(convert::sim_operation::sim_operation)
                    .collect(),
            },
        ))
    }

    async fn resolve_sim_operation(
        &self,
        request: Request<pb::ResolveSimOperationRequest>,
    ) -> Result<Response<pb::ResolveSimOperationResponse>, Status> {
        let (id, resolution, text) = operations::resolve(request.get_ref())?;
        let note = Note {
            by: caller(&request),
            text,
        };
        let scope = scope(&request);
        let operation = self
            .orders
            .resolve_operation(id, &resolution, &scope, note)
            .await?;
        Ok(Response::new(pb::ResolveSimOperationResponse {
            operation: Some(convert::sim_operation::sim_operation(operation)),
        }))
    }
}
