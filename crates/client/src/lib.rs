//! The contract of the Transatel gateway for callers in Rust: the messages of
//! [`connectivity::v1`] and a client for each of its services.
//!
//! What a call does, what it costs and which errors it has is said with the
//! methods of the clients; what a caller does about orders and events, in
//! `docs/orders.md` and `docs/events.md` of the gateway. Secrets such as
//! activation codes are left out of `Debug`.
//!
//! Beside them:
//!
//! - [`Reason`]: why a call failed, read from the details of its status;
//! - [`retrying`]: repeats a call where that is safe, as the gateway asks for it;
//! - [`Follower`]: follows events over all ends of streams;
//! - [`request_id`]: ids with which nothing is bought twice.
//!
//! This crate chooses no TLS stack. For `https`, add tonic of the same version
//! with one of its TLS features to your own dependencies.
//!
//! # Buying a product
//!
//! The `request_id` is yours, one per purchase, and stored *before* the call (or
//! [derived](request_id::derived) from an id that is): whatever happens, a call
//! with the same one never buys twice.
//!
//! ```no_run
//! use std::time::Duration;
//! use transatel_gateway_client::connectivity::v1::provisioning_client::ProvisioningClient;
//! use transatel_gateway_client::connectivity::v1::{
//!     CreateOrderRequest, ErrorReason, OrderState, SimRef, sim_ref,
//! };
//! use transatel_gateway_client::{Reason, Retry, request_id, retrying};
//!
//! # async fn buy(line: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let provisioning = ProvisioningClient::connect("http://transatel-gateway:50051").await?;
//! let request = CreateOrderRequest {
//!     request_id: request_id::derived("https://shop.example/production/purchases", line),
//!     sim: Some(SimRef {
//!         id: Some(sim_ref::Id::Iccid("8988247000000000017".into())),
//!     }),
//!     product_id: "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D".into(),
//!     ..Default::default()
//! };
//! let bought = retrying(Retry::within(Duration::from_secs(20)), request, |request| {
//!     let mut provisioning = provisioning.clone();
//!     async move { provisioning.create_order(request).await }
//! })
//! .await;
//! match bought {
//!     Ok(answer) => {
//!         let order = answer.into_inner().order.ok_or("an answer without an order")?;
//!         match order.state() {
//!             OrderState::Placed => println!("bought: {}", order.order_id),
//!             // Not a failure: ask GetOrder, or repeat this call, until it is decided.
//!             _ => println!("still open: {}", order.order_id),
//!         }
//!     }
//!     Err(status) => match Reason::of(&status) {
//!         reason if reason.reason == ErrorReason::PriceAboveMaximum => println!("above the maximum price"),
//!         reason => println!("{:?} {}, call {}", reason.code, reason.name, reason.trace_id),
//!     },
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod backoff;
mod follower;
mod reason;
mod repeatable;
pub mod request_id;
mod retry;

mod generated {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        clippy::restriction,
        rustdoc::all
    )]
    include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}

pub use follower::{Follower, Position, Update};
pub use generated::{connectivity, google};
pub use reason::{Advice, Reason, Violation};
pub use repeatable::Repeatable;
pub use retry::{Retry, retrying};
