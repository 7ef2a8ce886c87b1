//! Sells a SIM of the stock: reserves and buys in one request.

use super::super::writes::ensure_time;
use super::{Request, Stock};
use crate::domain::Pool;
use crate::domain::error::LedgerState;
use crate::domain::failure::Reason;
use crate::domain::stock::SetAside;
use crate::domain::write::{FromStock, Order, PurchaseTerms, RequestId, WriteId};
use crate::domain::{Deadline, Error, Requester, Result, SimIds, SimRef};
use crate::service::Writes;
use crate::service::writes::{Request as WriteRequest, Terms};

/// SIMs for which one call sends an order. A provider that refuses so many has a
/// reason that is not the SIM's.
const MOST_SIMS: usize = 3;

/// Purchases for SIMs of the stock. Cheap to clone.
#[derive(Clone)]
pub struct Sales {
    stock: Stock,
    orders: Writes,
}

/// A purchase for a SIM of the stock, under its idempotency key.
#[derive(Clone, Debug)]
pub struct Sale {
    /// The caller's id.
    pub request_id: RequestId,
    /// Who requests it.
    pub by: Requester,
    /// What to buy.
    pub terms: PurchaseTerms,
    /// Where the SIM is from.
    pub source: FromStock,
    /// A reserved SIM has to be unused still.
    pub require_unused: bool,
}

impl Sale {
    fn request(&self, sim: SimRef) -> WriteRequest {
        WriteRequest {
            request_id: self.request_id,
            by: self.by.clone(),
            sim,
            terms: Terms::Purchase(PurchaseTerms {
                from_stock: Some(self.source.clone()),
                ..self.terms.clone()
            }),
            // Who takes a SIM from a pool looks at it then.
            require_unused: self.require_unused && matches!(self.source, FromStock::Reservation(_)),
        }
    }
}

impl Sales {
    /// Sells from this stock.
    pub fn new(stock: Stock, orders: Writes) -> Self {
        Self { stock, orders }
    }

    /// Buys for a SIM of the stock, or answers the outcome of an earlier call
    /// with the same id.
    ///
    /// Cancel-safe: what was begun is carried out; a SIM that was reserved and
    /// not bought for is given back when its time is over.
    ///
    /// # Errors
    /// Those of [`Writes::create_order`], and of reserving. Any error means that
    /// this call bought nothing.
    pub async fn sell(&self, sale: &Sale, deadline: Deadline) -> Result<Order> {
        if let Some(sim) = self.orders.sim_of(sale.request_id).await? {
            let known = self.orders.create_order(&sale.request(sim), deadline).await;
            if !self.goes_on(sale, &known).await? {
                return known;
            }
        }
        // Before a SIM is taken for it.
        ensure_time(deadline).map_err(|error| error.after_ledger(LedgerState::Nothing))?;
        let sold = match &sale.source {
            FromStock::Pool(pool) => self.sell_from(pool, sale, deadline).await,
            FromStock::Reservation(id) => self.sell_reserved(*id, sale, deadline).await,
        };
        sold.map_err(|error| error.after_ledger(LedgerState::Nothing))
    }

    /// Whether the order of a concurrent call was refused because of its SIM, so
    /// that another one is tried for the request.
    async fn goes_on(&self, sale: &Sale, known: &Result<Order>) -> Result<bool> {
        match (&sale.source, known) {
            (FromStock::Pool(_), Err(error)) if refused_sim(error).is_some() => {
                Ok(self.orders.sim_of(sale.request_id).await?.is_none())
            }
            _ => Ok(false),
        }
    }

    async fn sell_reserved(&self, id: RequestId, sale: &Sale, deadline: Deadline) -> Result<Order> {
        let sim = match self.stock.held(id, &sale.by.scope, deadline).await {
            Ok(reservation) => by_card(reservation.sim)?,
            // Perhaps by this request itself, in another call of it.
            Err(Error::ReservationOver) => {
                let known = self.orders.sim_of(sale.request_id).await?;
                known.ok_or(Error::ReservationOver)?
            }
            Err(error) => return Err(error),
        };
        self.orders.create_order(&sale.request(sim), deadline).await
    }

    async fn sell_from(&self, pool: &Pool, sale: &Sale, deadline: Deadline) -> Result<Order> {
        let request = Request {
            request_id: sale.request_id,
            pool: pool.clone(),
            reference: sale.terms.reference.clone(),
            by: sale.by.clone(),
            ttl: None,
        };
        let mut tries = 1;
        loop {
            let held = self.stock.hold(&request, true, deadline).await;
            let reservation = match held {
                Ok(reservation) => reservation,
                Err(error) => return Err(self.give_back(sale, error).await),
            };
            let sim = by_card(reservation.sim)?;
            // A concurrent call may have ordered for another SIM meanwhile.
            if let Some(known) = self.orders.sim_of(sale.request_id).await?
                && known != sim
            {
                let error = self.give_back(sale, Error::ReservationOver).await;
                tracing::debug!(%error, "a concurrent call has ordered for another SIM");
                return self.orders.create_order(&sale.request(known), deadline).await;
            }
            let sold = self
                .orders
                .create_order(&sale.request(sim.clone()), deadline)
                .await;
            let error = match sold {
                Ok(order) => return Ok(order),
                Err(error) => error,
            };
            let refused = refused_sim(&error);
            let is_of_sim = match refused {
                // The store has set it aside with the refusal.
                Some(_) => {
                    self.stock.note_refused();
                    true
                }
                None => self.set_aside(pool, sale, &sim, &error).await?,
            };
            if is_of_sim && tries < MOST_SIMS {
                tries += 1;
                continue;
            }
            if let Some(order) = refused {
                // From now on every repeat gets this answer.
                self.stock.keep_refusal(order).await?;
            }
            return Err(self.give_back(sale, error).await);
        }
    }

    /// Whether nothing was sent because of the SIM, which is set aside then, so
    /// that another one can be tried.
    async fn set_aside(&self, pool: &Pool, sale: &Sale, sim: &SimRef, error: &Error) -> Result<bool> {
        let reason = match error.cause() {
            // Its time was over before it was bought for: another one is taken.
            Error::ReservationOver => return Ok(true),
            Error::SimNotFound { .. } => SetAside::SimNotFound,
            Error::SimNotResolvable { .. } => SetAside::NoMsisdn,
            // Somebody has ordered for the SIM itself.
            Error::OrderInProgress(..) => SetAside::HasSubscription,
            _ => return Ok(false),
        };
        let SimRef::Iccid(card) = sim else {
            return Ok(false);
        };
        self.stock.set_aside(pool, sale.request_id, card, reason).await?;
        Ok(true)
    }

    /// The error, once the SIM is given back that was not bought for. When that
    /// fails its time is over soon.
    async fn give_back(&self, sale: &Sale, error: Error) -> Error {
        if matches!(error.cause(), Error::RequestIdReused { .. }) {
            // What the id has is not this request's.
            return error;
        }
        let released = self.stock.release(sale.request_id, &sale.by.scope).await;
        if let Err(failure) = released
            && failure != Error::ReservationNotFound
        {
            tracing::debug!(error = %failure, "a reserved SIM could not be given back yet");
        }
        error
    }
}

/// The order that was refused because of its SIM.
fn refused_sim(error: &Error) -> Option<WriteId> {
    match error.cause() {
        Error::OrderRejected { order_id, failure } if is_of_sim(failure.reason) => Some(*order_id),
        _ => None,
    }
}

/// Refusals that another SIM may not get.
fn is_of_sim(reason: Reason) -> bool {
    match reason {
        Reason::SimNotFound | Reason::SimStatusNotEligible => true,
        Reason::ProductNotFound
        | Reason::ProductNotEligible
        | Reason::InsufficientFunds
        | Reason::OperationNotEnabled
        | Reason::InProgress
        | Reason::CredentialsRejected
        | Reason::Protocol
        | Reason::Rejected
        | Reason::Ambiguous
        | Reason::Unreadable => false,
    }
}

fn by_card(sim: SimIds) -> Result<SimRef> {
    sim.iccid.map(SimRef::Iccid).ok_or(Error::Internal)
}
