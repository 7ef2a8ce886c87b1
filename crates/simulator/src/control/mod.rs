//! Control of the simulator, for tests in the same process. The HTTP control API is the same over a socket.

pub(crate) mod body;
pub(crate) mod endpoint;
pub(crate) mod handle;
pub(crate) mod help;
pub(crate) mod http;
pub(crate) mod http_inventory;
pub(crate) mod http_operations;
pub(crate) mod http_sims;
pub(crate) mod http_webhooks;
pub(crate) mod inventory;
pub(crate) mod operations;
pub(crate) mod router;
pub(crate) mod sims;
pub(crate) mod webhooks;
