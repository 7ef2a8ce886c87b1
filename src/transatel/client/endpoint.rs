//! The one table of the provider's endpoints: method, path, API, and whether
//! a request may be sent again. Calls, spans, metrics and `doctor` all read
//! it.
//!
//! The provider does not publish which OAuth scope an endpoint needs, so the
//! table has none: `doctor` shows what came with the token.

use http::Method;

use super::error::Need;
use crate::domain::change::OptionalOperation;

/// The provider's APIs: a closed set, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// `/authentication`
    Authentication,
    /// `/sim-management`
    SimManagement,
    /// `/ocs/subscriptions`
    Orders,
    /// `/ocs/catalog`
    Catalog,
    /// `/ocs/inventory`
    Inventory,
    /// `/sim-search`
    SimSearch,
    /// `/connectivity-management`
    Connectivity,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Authentication,
        Self::SimManagement,
        Self::Orders,
        Self::Catalog,
        Self::Inventory,
        Self::SimSearch,
        Self::Connectivity,
    ];

    /// As it appears in metrics and spans.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::SimManagement => "sim_management",
            Self::Orders => "orders",
            Self::Catalog => "catalog",
            Self::Inventory => "inventory",
            Self::SimSearch => "sim_search",
            Self::Connectivity => "connectivity",
        }
    }
}

/// What a request does at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes nothing: may be sent again.
    Read,
    /// Changes something, and the provider does not notice a repeat: sent
    /// once, on a connection of its own.
    Write,
}

/// A URL of the provider with the method that it is used with.
#[derive(Debug)]
pub struct Endpoint {
    /// What it is for, as `doctor` shows it.
    pub name: &'static str,
    /// The API it belongs to.
    pub api: Api,
    /// The method that the account has to have there.
    pub method: Method,
    /// The path with placeholders: its name in spans and metrics.
    pub template: &'static str,
    /// Whether a request may be sent again.
    pub kind: Kind,
    /// Whether the gateway can do without it.
    pub need: Need,
}

impl Endpoint {
    /// The names of the placeholders, in the order of the path.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.segments().filter_map(parameter)
    }

    /// The segments of the path, not yet escaped, with these values for the
    /// placeholders.
    pub fn path<'a>(&self, values: &[&'a str]) -> Vec<&'a str> {
        debug_assert_eq!(self.parameters().count(), values.len(), "{}", self.template);
        let mut values = values.iter().copied();
        self.segments()
            .map(|segment| match parameter(segment) {
                Some(_) => values.next().unwrap_or(segment),
                None => segment,
            })
            .collect()
    }

    fn segments(&self) -> impl Iterator<Item = &'static str> {
        self.template.trim_start_matches('/').split('/')
    }
}

fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// An access token. A repeat costs nothing but another token.
pub static TOKEN: Endpoint = Endpoint {
    name: "token",
    api: Api::Authentication,
    method: Method::POST,
    template: "/authentication/api/token",
    kind: Kind::Read,
    need: Need::Required,
};

/// The whole catalog.
pub static CATALOG: Endpoint = read(
    Need::Required,
    "catalog",
    Api::Catalog,
    "/ocs/catalog/api/cos/{cosRef}/products",
);

/// Products, separated by commas, and whether a subscriber may get them.
pub static ELIGIBILITY: Endpoint = read(
    Need::Required,
    "eligibility",
    Api::Catalog,
    "/ocs/catalog/api/cos/{cosRef}/products/{productId}",
);

/// Orders of products, of whichever type.
pub static ORDERS: Endpoint = Endpoint {
    name: "orders",
    api: Api::Orders,
    method: Method::POST,
    template: "/ocs/subscriptions/api/orders/products",
    kind: Kind::Write,
    need: Need::Required,
};

/// The subscriptions of a SIM.
pub static INVENTORY: Endpoint = read(
    Need::Required,
    "inventory",
    Api::Inventory,
    "/ocs/inventory/api/subscriptions/products",
);

/// The profile of an eSIM.
pub static ESIM: Endpoint = read(
    Need::Required,
    "eSIM",
    Api::SimManagement,
    "/sim-management/sims/api/esims/sim-serial/{simSerial}",
);

/// SIM Search.
pub static SIM_SEARCH: Endpoint = read(
    Need::Optional,
    "SIM search",
    Api::SimSearch,
    "/sim-search/api/sim/search",
);

/// The subscriber on a SIM, by ICCID.
pub static SUBSCRIBER_BY_ICCID: Endpoint = read(
    Need::Optional,
    "subscriber by ICCID",
    Api::Connectivity,
    "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}",
);

/// The subscriber on a SIM, by MSISDN.
pub static SUBSCRIBER_BY_MSISDN: Endpoint = read(
    Need::Optional,
    "subscriber by MSISDN",
    Api::Connectivity,
    "/connectivity-management/subscribers/api/subscribers/msisdn/{msisdn}",
);

/// The transaction that carries out a change of a SIM.
pub static SIM_TRANSACTION: Endpoint = read(
    Need::Optional,
    "SIM transaction",
    Api::Connectivity,
    "/connectivity-management/subscribers/api/transactions/{transactionId}",
);

/// Activates a SIM.
pub static ACTIVATE_SIM: Endpoint = sim_change(
    "ActivateSim",
    "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/activate",
);

/// Suspends a SIM.
pub static SUSPEND_SIM: Endpoint = sim_change(
    "SuspendSim",
    "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/suspend",
);

/// Takes a SIM out of its suspension.
pub static REACTIVATE_SIM: Endpoint = sim_change(
    "ReactivateSim",
    "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/reactivate",
);

/// Ends a SIM permanently.
pub static TERMINATE_SIM: Endpoint = sim_change(
    "TerminateSim",
    "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/terminate",
);

/// Changes the labels of a SIM.
pub static UPDATE_SIM: Endpoint = sim_change(
    "UpdateSim",
    "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/modify",
);

/// Moves a number to another SIM.
pub static SWAP_SIM: Endpoint = sim_change(
    "SwapSim",
    "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/sim-swap",
);

/// What is used whatever the settings enable, but for the token.
pub static ALWAYS: [&Endpoint; 9] = [
    &CATALOG,
    &ELIGIBILITY,
    &ORDERS,
    &INVENTORY,
    &ESIM,
    &SIM_SEARCH,
    &SUBSCRIBER_BY_ICCID,
    &SUBSCRIBER_BY_MSISDN,
    &SIM_TRANSACTION,
];

/// Where an operation is sent that not every account has.
pub fn of_operation(operation: OptionalOperation) -> &'static Endpoint {
    match operation {
        // The URL of every order: which types it takes cannot be asked.
        OptionalOperation::CancelRenewal | OptionalOperation::TerminateSubscription => &ORDERS,
        OptionalOperation::ActivateSim => &ACTIVATE_SIM,
        OptionalOperation::SuspendSim => &SUSPEND_SIM,
        OptionalOperation::ReactivateSim => &REACTIVATE_SIM,
        OptionalOperation::TerminateSim => &TERMINATE_SIM,
        OptionalOperation::UpdateSim => &UPDATE_SIM,
        OptionalOperation::SwapSim => &SWAP_SIM,
    }
}

const fn read(need: Need, name: &'static str, api: Api, template: &'static str) -> Endpoint {
    Endpoint {
        name,
        api,
        method: Method::GET,
        template,
        kind: Kind::Read,
        need,
    }
}

const fn sim_change(name: &'static str, template: &'static str) -> Endpoint {
    Endpoint {
        name,
        api: Api::Connectivity,
        method: Method::POST,
        template,
        kind: Kind::Write,
        need: Need::Optional,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use url::Url;

    use super::*;
    use crate::transatel::client::request::Request;

    fn all() -> impl Iterator<Item = &'static Endpoint> {
        let operations = OptionalOperation::ALL.map(of_operation);
        [&TOKEN].into_iter().chain(ALWAYS).chain(operations)
    }

    #[test]
    fn every_path_is_filled_from_its_template_and_escaped() {
        const ODD: &str = "a b/c?d#e%f,é+";
        const ESCAPED: &str = "a%20b%2Fc%3Fd%23e%25f,%C3%A9+";
        let base = Url::parse("https://provider.example/base/").unwrap();
        for endpoint in all() {
            let template = endpoint.template;
            let names: Vec<_> = endpoint.parameters().collect();
            assert_eq!(names.len(), template.matches('{').count(), "{template}");
            let distinct: BTreeSet<_> = names.iter().collect();
            assert_eq!(distinct.len(), names.len(), "{template}");
            let expected = names.iter().fold(template.to_owned(), |path, name| {
                path.replace(&format!("{{{name}}}"), ESCAPED)
            });
            let url = Request::new(endpoint, &vec![ODD; names.len()]).url(&base);
            assert_eq!(url.path(), format!("/base{expected}"));
        }
    }

    #[test]
    fn each_template_has_the_parameters_that_its_calls_give() {
        for (endpoint, names) in [
            (&TOKEN, &[][..]),
            (&CATALOG, &["cosRef"]),
            (&ELIGIBILITY, &["cosRef", "productId"]),
            (&ORDERS, &[]),
            (&INVENTORY, &[]),
            (&ESIM, &["simSerial"]),
            (&SIM_SEARCH, &[]),
            (&SUBSCRIBER_BY_ICCID, &["simSerial"]),
            (&SUBSCRIBER_BY_MSISDN, &["msisdn"]),
            (&SIM_TRANSACTION, &["transactionId"]),
            (&SWAP_SIM, &["simSerial"]),
        ] {
            assert!(endpoint.parameters().eq(names.iter().copied()), "{endpoint:?}");
        }
    }

    #[test]
    fn only_orders_and_changes_of_sims_are_never_sent_again() {
        for endpoint in all() {
            let changes = endpoint.method == Method::POST && endpoint.api != Api::Authentication;
            assert_eq!(endpoint.kind == Kind::Write, changes, "{endpoint:?}");
        }
    }
}
