//! What the provider's gateway checks before an API sees a request.
//!
//! The order is fixed: token, URL, method, permission, `Accept`, content type.
//! A caller without a token finds out nothing about URLs.

use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use crate::{
    api::{catalog, connectivity, inventory, orders, sim_management, sim_search, token},
    http::{problem::Problem, reply::Reply, request::Call, routes, routes::Operation},
    world::provider::Provider,
};

/// Carries a request out. Whatever it changes has changed when this returns.
pub(crate) fn answer(provider: &Provider, call: &Call) -> Reply {
    provider.catch_up();
    if call.path == routes::TOKEN && call.method == Method::POST {
        return token::issue_token(provider, call);
    }
    match admit(provider, call).and_then(|admitted| match admitted {
        Admitted::Options(reply) => Ok(reply),
        Admitted::Operation(operation) => carry_out(provider, call, operation),
    }) {
        Ok(reply) => reply,
        Err(problem) if problem.status == StatusCode::METHOD_NOT_ALLOWED => problem
            .into_reply(&call.path)
            .with(header::ALLOW, allow(provider, call)),
        Err(problem) => problem.into_reply(&call.path),
    }
}

enum Admitted {
    Options(Reply),
    Operation(Operation),
}

fn admit(provider: &Provider, call: &Call) -> Result<Admitted, Problem> {
    if call.path != routes::TOKEN {
        token::require_token(provider, call)?;
    }
    let found = call.found.as_ref().ok_or_else(Problem::not_found)?;
    if call.method == Method::OPTIONS {
        let reply = Reply::empty(StatusCode::NO_CONTENT).with(header::ALLOW, allow(provider, call));
        return Ok(Admitted::Options(reply));
    }
    let operation = found
        .route
        .operation(&call.method)
        .ok_or_else(|| Problem::method_not_allowed(&call.method))?;
    let template = found.route.template;
    if !provider
        .settings
        .load()
        .permits(call.method.as_str(), &call.path, template)
    {
        return Err(Problem::insufficient_permission(
            "This account may not use this operation",
        ));
    }
    if !accepts_json(call) {
        return Err(Problem::not_acceptable());
    }
    let has_body = matches!(call.method, Method::POST | Method::PUT | Method::PATCH);
    if has_body && !is_json(call.header(header::CONTENT_TYPE).unwrap_or_default()) {
        return Err(Problem::unsupported_media_type());
    }
    Ok(Admitted::Operation(operation))
}

fn carry_out(provider: &Provider, call: &Call, operation: Operation) -> Result<Reply, Problem> {
    match operation {
        Operation::IssueToken => Ok(token::issue_token(provider, call)),
        Operation::ListProducts => catalog::list_products(provider, call),
        Operation::GetProducts => catalog::get_products(provider, call),
        Operation::ListCosOptions => catalog::list_options(provider, call),
        Operation::GetCosOption => catalog::get_option(provider, call),
        Operation::OrderProduct => orders::order_product(provider, call),
        Operation::ListSubscriptions => inventory::list_subscriptions(provider, call),
        Operation::GetSubscription => inventory::get_subscription(provider, call),
        Operation::ListSubscriberOptions => inventory::list_options(provider, call),
        Operation::GetSubscriberOption => inventory::get_option(provider, call),
        Operation::GetEsim => sim_management::get_esim(provider, call),
        Operation::ReleaseEsim => sim_management::release_esim(provider, call),
        Operation::SearchSims => sim_search::search_sims(provider, call),
        Operation::GetSubscriberBySerial => connectivity::get_by_serial(provider, call),
        Operation::GetSubscriberByMsisdn => connectivity::get_by_msisdn(provider, call),
        Operation::ChangeSubscriber(change) => connectivity::begin(provider, call, change),
        Operation::GetTransaction => connectivity::get_transaction(provider, call),
    }
}

/// The methods that this account may use on the URL of `call`. `OPTIONS` is always one.
fn allow(provider: &Provider, call: &Call) -> HeaderValue {
    let settings = provider.settings.load();
    let (template, operations) = call.found.as_ref().map_or(("", &[][..]), |found| {
        (found.route.template, found.route.operations)
    });
    let permitted = operations
        .iter()
        .map(|(method, _)| *method)
        .filter(|method| settings.permits(method, &call.path, template));
    let methods: Vec<_> = permitted.chain(["OPTIONS"]).collect();
    HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Whether `Accept` leaves room for JSON. A missing one does.
fn accepts_json(call: &Call) -> bool {
    let mut ranges = values(call, header::ACCEPT).peekable();
    ranges.peek().is_none() || ranges.any(|range| admits_json(&range))
}

fn admits_json(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let refused = parts.any(|parameter| {
        parameter
            .strip_prefix("q=")
            .is_some_and(|quality| quality.parse::<f32>().is_ok_and(|quality| quality <= 0.0))
    });
    !refused && matches!(essence.as_str(), "*/*" | "application/*" | "application/json")
}

/// The elements of a comma-separated header, over all its lines.
fn values(call: &Call, name: HeaderName) -> impl Iterator<Item = String> {
    call.headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|element| element.trim().to_owned())
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_refused_only_when_it_excludes_json() {
        for (range, admitted) in [
            ("*/*", true),
            ("application/json", true),
            ("Application/JSON;charset=utf-8", true),
            ("application/*; q=0.1", true),
            ("application/json;q=0", false),
            ("text/html", false),
            ("application/xml", false),
        ] {
            assert_eq!(admits_json(range), admitted, "{range}");
        }
    }

    #[test]
    fn json_may_carry_a_charset() {
        assert!(is_json("application/json; charset=utf-8"));
        assert!(!is_json("text/json"));
        assert!(!is_json(""));
    }
}
