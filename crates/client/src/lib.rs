//! The contract of the Transatel gateway for callers in Rust: the messages of
//! [`connectivity::v1`] and a client for each of its services.
//!
//! What a call does, what it costs and which errors it has is said with the
//! methods of the clients; what a caller does about orders and events, in
//! `docs/orders.md` and `docs/events.md` of the gateway. Secrets such as
//! activation codes are left out of `Debug`.
//!
//! This crate chooses no TLS stack. For `https`, add tonic of the same version
//! with one of its TLS features to your own dependencies. The reason of an
//! error is read with `tonic_types::StatusExt`.
//!
//! # Buying a product
//!
//! The `request_id` is yours, one per purchase, and stored *before* the call:
//! whatever happens, a call with the same one never buys twice.
//!
//! ```no_run
//! use transatel_gateway_client::connectivity::v1::provisioning_client::ProvisioningClient;
//! use transatel_gateway_client::connectivity::v1::{CreateOrderRequest, OrderState, SimRef, sim_ref};
//!
//! # async fn buy(stored_request_id: String) -> Result<(), Box<dyn std::error::Error>> {
//! let mut provisioning = ProvisioningClient::connect("http://transatel-gateway:50051").await?;
//! let request = CreateOrderRequest {
//!     request_id: stored_request_id,
//!     sim: Some(SimRef {
//!         id: Some(sim_ref::Id::Iccid("8988247000000000017".into())),
//!     }),
//!     product_id: "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D".into(),
//!     ..Default::default()
//! };
//! let answer = provisioning.create_order(request).await?.into_inner();
//! let order = answer.order.ok_or("an answer without an order")?;
//! match order.state() {
//!     OrderState::Placed => println!("bought: {}", order.order_id),
//!     // Not a failure: ask GetOrder, or repeat this call, until it is decided.
//!     _ => println!("still open: {}", order.order_id),
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

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

pub use generated::{connectivity, google};
