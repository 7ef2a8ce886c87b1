//! Every URL of the provider that the simulator knows.
//!
//! One table drives routing, `OPTIONS`, 405, permissions and the counters, so
//! that they cannot disagree. Templates use the provider's parameter names.

use percent_encoding::percent_decode_str;

use crate::world::operations::change::Change;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    IssueToken,
    ListProducts,
    GetProducts,
    ListCosOptions,
    GetCosOption,
    OrderProduct,
    ListSubscriptions,
    GetSubscription,
    ListSubscriberOptions,
    GetSubscriberOption,
    GetEsim,
    ReleaseEsim,
    SearchSims,
    GetSubscriberBySerial,
    GetSubscriberByMsisdn,
    ChangeSubscriber(Change),
    GetTransaction,
}

/// A path template and what each method does there.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) template: &'static str,
    pub(crate) operations: &'static [(&'static str, Operation)],
}

impl Route {
    pub(crate) fn operation(&self, method: &http::Method) -> Option<Operation> {
        self.operations
            .iter()
            .find(|(name, _)| *name == method.as_str())
            .map(|(_, operation)| *operation)
    }
}

/// Where the control API is, which is none of the provider's.
pub(crate) const CONTROL: &str = "/__sandbox";

/// Whether a path is the control API's, which faults do not touch.
pub(crate) fn is_control(path: &str) -> bool {
    path.strip_prefix(CONTROL)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) const TOKEN: &str = "/authentication/api/token";

pub(crate) static ROUTES: &[Route] = &[
    Route {
        template: TOKEN,
        operations: &[("POST", Operation::IssueToken)],
    },
    Route {
        template: "/ocs/catalog/api/cos/{cosRef}/products",
        operations: &[("GET", Operation::ListProducts)],
    },
    Route {
        template: "/ocs/catalog/api/cos/{cosRef}/products/{productId}",
        operations: &[("GET", Operation::GetProducts)],
    },
    Route {
        template: "/ocs/catalog/api/cos/{cosRef}/options",
        operations: &[("GET", Operation::ListCosOptions)],
    },
    Route {
        template: "/ocs/catalog/api/cos/{cosRef}/options/{option}",
        operations: &[("GET", Operation::GetCosOption)],
    },
    Route {
        template: "/ocs/subscriptions/api/orders/products",
        operations: &[("POST", Operation::OrderProduct)],
    },
    Route {
        template: "/ocs/inventory/api/subscriptions/products",
        operations: &[("GET", Operation::ListSubscriptions)],
    },
    Route {
        template: "/ocs/inventory/api/subscriptions/products/{subscriptionId}",
        operations: &[("GET", Operation::GetSubscription)],
    },
    Route {
        template: "/ocs/inventory/api/subscriptions/options",
        operations: &[("GET", Operation::ListSubscriberOptions)],
    },
    Route {
        template: "/ocs/inventory/api/subscriptions/options/{option}",
        operations: &[("GET", Operation::GetSubscriberOption)],
    },
    Route {
        template: "/sim-management/sims/api/esims/sim-serial/{simSerial}",
        operations: &[("GET", Operation::GetEsim), ("PATCH", Operation::ReleaseEsim)],
    },
    Route {
        template: "/sim-search/api/sim/search",
        operations: &[("GET", Operation::SearchSims)],
    },
    Route {
        template: "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}",
        operations: &[("GET", Operation::GetSubscriberBySerial)],
    },
    Route {
        template: "/connectivity-management/subscribers/api/subscribers/msisdn/{msisdn}",
        operations: &[("GET", Operation::GetSubscriberByMsisdn)],
    },
    Route {
        template: "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/activate",
        operations: &[("POST", Operation::ChangeSubscriber(Change::Activate))],
    },
    Route {
        template: "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/modify",
        operations: &[("POST", Operation::ChangeSubscriber(Change::Modify))],
    },
    Route {
        template: "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/suspend",
        operations: &[("POST", Operation::ChangeSubscriber(Change::Suspend))],
    },
    Route {
        template: "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/reactivate",
        operations: &[("POST", Operation::ChangeSubscriber(Change::Reactivate))],
    },
    Route {
        template: "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/terminate",
        operations: &[("POST", Operation::ChangeSubscriber(Change::Terminate))],
    },
    Route {
        template: "/connectivity-management/subscribers/api/subscribers/sim-serial/{simSerial}/sim-swap",
        operations: &[("POST", Operation::ChangeSubscriber(Change::SwapSim))],
    },
    Route {
        template: "/connectivity-management/subscribers/api/transactions/{transactionId}",
        operations: &[("GET", Operation::GetTransaction)],
    },
];

/// The route of a path, with the decoded values of its variable segments in order.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Position in [`ROUTES`].
    pub(crate) index: usize,
    pub(crate) route: &'static Route,
    pub(crate) arguments: Vec<String>,
}

pub(crate) fn find(path: &str) -> Option<Found> {
    ROUTES.iter().enumerate().find_map(|(index, route)| {
        arguments(route.template, path).map(|arguments| Found {
            index,
            route,
            arguments,
        })
    })
}

/// The variable segments of `path` when it follows `template`; a segment is never empty.
fn arguments(template: &str, path: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut given = path.split('/');
    for expected in template.split('/') {
        let segment = given.next()?;
        if expected.starts_with('{') {
            let value = percent_decode_str(segment).decode_utf8().ok()?;
            if value.is_empty() {
                return None;
            }
            values.push(value.into_owned());
        } else if expected != segment {
            return None;
        }
    }
    given.next().is_none().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_segments_are_decoded() {
        let found = find("/ocs/catalog/api/cos/COS%20A/products/P%2C1,P2").unwrap();
        assert_eq!(
            found.route.template,
            "/ocs/catalog/api/cos/{cosRef}/products/{productId}"
        );
        assert_eq!(found.arguments, ["COS A", "P,1,P2"]);
    }

    #[test]
    fn a_path_must_match_whole() {
        for path in [
            "/",
            "/ocs/catalog/api/cos/C",
            "/ocs/catalog/api/cos//products",
            "/ocs/catalog/api/cos/C/products/",
            "/ocs/catalog/api/cos/C/products/P/more",
            "/OCS/catalog/api/cos/C/products",
            "/v1/ocs/catalog/api/cos/C/products",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn templates_are_distinct() {
        let mut templates: Vec<_> = ROUTES.iter().map(|route| route.template).collect();
        templates.sort_unstable();
        templates.dedup();
        assert_eq!(templates.len(), ROUTES.len());
    }
}
