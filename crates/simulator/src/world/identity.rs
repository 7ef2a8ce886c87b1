//! The account's credentials and names.

/// What the account logs in with, and what it is called in requests. Never changes.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) mvno_ref: String,
    pub(crate) cos: String,
    pub(crate) rate_plan: String,
}
