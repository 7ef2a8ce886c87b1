//! One call of the HTTP control API: how it is routed and what the help page says of it.

use axum::{
    extract::{Path, State},
    handler::Handler,
    response::IntoResponse,
    routing::{self, MethodRouter},
};
use serde::de::DeserializeOwned;

use crate::{
    control::{body::Body, handle::Control},
    world::impossible::Impossible,
};

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

/// A POST about the SIM in its path: `call` gets the name of the SIM and the body.
pub(super) fn post_on_sim<B, A>(
    path: &'static str,
    takes: &'static str,
    does: &'static str,
    call: fn(&Control, &str, B) -> Result<A, Impossible>,
) -> Endpoint
where
    B: DeserializeOwned + Send + 'static,
    A: IntoResponse + 'static,
{
    let handler = move |State(control): State<Control>, Path(sim): Path<String>, Body(body): Body<B>| async move {
        call(&control, &sim, body)
    };
    post(path, takes, does, handler)
}
