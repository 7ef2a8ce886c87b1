//! Events: what happens at the provider, posted to the webhooks that are registered.
//!
//! State is the source: an event is made where a subscription, a line or a profile
//! changes, whatever changed it, and nothing else makes one but a control call.
//! A change only puts its event into a bounded queue, so requests never wait for
//! a receiver. One task sends; another moves the simulator on in time, so that a
//! subscription that ends tells of it while nobody looks.
//!
//! A SIM tells of itself from the first look at it on.
//!
//! With a receiver timers run, up to the end of the subscription that ends next. A
//! paused test clock jumps to the earliest timer when nothing else is to be done,
//! so tests of events that pause it bound their waits.

pub(crate) mod delivery;
pub(crate) mod disturbance;
pub(crate) mod event;
pub(crate) mod message;
pub(crate) mod outbox;
pub(crate) mod queue;
pub(crate) mod receiver;
pub(crate) mod report;
pub(crate) mod signature;
pub(crate) mod status;
pub(crate) mod worker;
