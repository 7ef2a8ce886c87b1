//! The language that every other module speaks: identifiers, money, products
//! and errors.
//!
//! Guarantees that a value which exists is valid: parsing happens in the
//! constructors. Knows nothing of protobuf, HTTP, JSON or SQL.

pub mod caller;
pub mod catalog_change;
pub mod change;
pub mod clock;
pub mod country;
pub mod deadline;
mod differences;
pub mod digest;
pub mod eligibility;
pub mod error;
pub mod esim;
pub mod esim_status;
pub mod event;
pub mod failure;
pub mod in_the_way;
pub mod language;
pub mod lease;
pub mod limit_use;
pub mod limits;
pub mod money;
pub mod opaque;

pub mod pool;
pub mod price_list;
pub mod product;
pub mod provider_detail;
pub mod scope;
pub mod sim;
pub mod sim_operation;
pub mod sim_record;
pub mod sim_use;
pub mod spend;
mod state;
pub mod stock;
pub mod stock_level;
pub mod subscription;
pub mod write;

pub use caller::Caller;
pub use clock::Clock;
pub use country::Country;
pub use deadline::Deadline;
pub use error::{Error, Result};
pub use esim_status::EsimStatus;
pub use language::Language;
pub use lease::Lease;
pub use money::Money;
pub use pool::Pool;
pub use price_list::PriceList;
pub use product::Product;
pub use provider_detail::ProviderDetail;
pub use scope::{Requester, Scope};
pub use sim::{Iccid, Msisdn, SimRef};
pub use sim_operation::SimOperation;
pub use sim_record::{SimIds, SimRecord, SimStatus};
pub use subscription::Subscription;
