//! Reads the caller's name from a proxy's header.

use crate::domain::Caller;

/// Envoy's header, which Istio and others use too. Its documentation, "HTTP
/// header manipulation", gives the format: elements separated by commas, one
/// per proxy on the path, the nearest last; in each, pairs of `Key=value`
/// separated by semicolons, with a value in double quotes where needed.
const ENVOY: &str = "x-forwarded-client-cert";

/// The caller. Any header but Envoy's holds only the name.
pub fn caller(header: &str, value: &str) -> Option<Caller> {
    if header == ENVOY {
        return envoy(value);
    }
    Caller::parse(value.trim())
}

/// The same rule as for a certificate: the only SPIFFE ID, else the first DNS
/// name.
fn envoy(value: &str) -> Option<Caller> {
    let element = split(value, ',')?.pop()?;
    let pairs: Vec<(&str, &str)> = split(element, ';')?
        .into_iter()
        .filter_map(|pair| pair.trim().split_once('='))
        .collect();
    let of = |key: &'static str| {
        let named = pairs
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(key));
        named.map(|(_, value)| unquoted(value))
    };
    match (of("URI").next(), of("URI").nth(1)) {
        (Some(identity), None) => Caller::parse(identity),
        (Some(_), Some(_)) => None,
        (None, _) => of("DNS").find_map(Caller::parse),
    }
}

/// Parts between separators outside of double quotes. `None` when a quote is
/// not closed: with a quote of its own a caller could hide what the proxy
/// appends.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut quoted = false;
    let mut escaped = false;
    let separated = text.split(|character| {
        let separates = character == separator && !quoted;
        match character {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = character == '\\' && !escaped;
        separates
    });
    let parts = separated.collect();
    (!quoted).then_some(parts)
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_the_caller() {
        const SHOP: &str = "spiffe://company.example/shop";
        for (header, value, expected) in [
            ("l5d-client-id", "web.shop.internal", Some("web.shop.internal")),
            ("x-caller", SHOP, Some(SHOP)),
            ("x-caller", " shop ", Some("shop")),
            ("x-caller", "", None),
            ("x-caller", "shop, admin", None),
            ("x-caller", "URI=spiffe://company.example/shop", None),
            (
                ENVOY,
                "By=spiffe://company.example/gateway;Hash=00ff;Subject=\"CN=a,O=b;URI=spiffe://company.example/evil\";URI=spiffe://company.example/shop",
                Some(SHOP),
            ),
            (
                ENVOY,
                "Hash=1;Subject=\"\\\"quoted\\\";URI=x\";DNS=shop.internal;DNS=other",
                Some("shop.internal"),
            ),
            (
                ENVOY,
                "URI=spiffe://company.example/first,URI=spiffe://company.example/shop",
                Some(SHOP),
            ),
            (
                ENVOY,
                "URI=spiffe://company.example/shop;URI=spiffe://company.example/other",
                None,
            ),
            (ENVOY, "URI=\"spiffe://company.example/shop\"", Some(SHOP)),
            (
                ENVOY,
                "URI=spiffe://company.example/evil;Subject=\",Hash=1;URI=spiffe://company.example/shop",
                None,
            ),
            (ENVOY, "Hash=00ff", None),
            (ENVOY, "URI=", None),
            (ENVOY, "", None),
            (ENVOY, SHOP, None),
        ] {
            let caller = caller(header, value);
            assert_eq!(caller.as_ref().map(Caller::as_str), expected, "{header}: {value}");
        }
    }
}
