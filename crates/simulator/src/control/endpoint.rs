//! One call of the HTTP control API: how it is routed and what the help page says of it.

use axum::{
    handler::Handler,
    routing::{self, MethodRouter},
};

use crate::control::handle::Control;

/// A method of a path. The router, the help page and the documentation are compared by these.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    /// Under the prefix of the control API.
    pub(crate) path: &'static str,
    /// Its body, or its query.
    pub(crate) takes: &'static str,
    /// What it does or answers.
    pub(crate) does: &'static str,
    pub(super) handler: MethodRouter<Control>,
}

macro_rules! constructor {
    ($name:ident, $method:literal) => {
        pub(super) fn $name<H, T>(
            path: &'static str,
            takes: &'static str,
            does: &'static str,
            handler: H,
        ) -> Endpoint
        where
            H: Handler<T, Control>,
            T: 'static,
        {
            Endpoint {
                method: $method,
                path,
                takes,
                does,
                handler: routing::$name(handler),
            }
        }
    };
}

constructor!(get, "GET");
constructor!(post, "POST");
constructor!(delete, "DELETE");
