//! The caller: another service, by the name in its certificate or the name that
//! its mesh gives it.

use std::fmt;
use std::sync::Arc;

/// Longest SPIFFE ID (its specification, section 2.3).
pub const LONGEST_ID: usize = 2048;
/// Longest DNS name, and longest part of one (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

const SCHEME: &str = "spiffe://";

/// The name of a calling service: a SPIFFE ID (`spiffe://company.example/shop`)
/// or a DNS name (`shop.internal`). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller(Arc<str>);

impl Caller {
    /// Parses a name; `None` when it is neither. Names are compared byte by
    /// byte, so each has one spelling: DNS names are in lowercase. A wildcard
    /// is not a name.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.strip_prefix(SCHEME).map(is_spiffe_id);
        match id {
            Some(true) => Some(Self(text.into())),
            Some(false) => None,
            None => is_dns_name(text).then(|| Self(text.to_ascii_lowercase().into())),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Trust domain and path, by the SPIFFE ID specification, section 2.
fn is_spiffe_id(rest: &str) -> bool {
    let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
    let in_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let segment = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(in_path)
    };
    rest.len() + SCHEME.len() <= LONGEST_ID
        && !domain.is_empty()
        && domain.bytes().all(in_domain)
        && (!rest.contains('/') || path.split('/').all(segment))
}

fn is_dns_name(text: &str) -> bool {
    let in_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(in_label)
    };
    text.len() <= LONGEST_NAME && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_spiffe_id_or_a_dns_name() {
        for name in [
            "spiffe://company.example",
            "spiffe://company.example/ns/shop/sa/web",
            "spiffe://cluster.local/ns/Shop/sa/web_1",
            "shop.internal",
            "shop",
            "web.shop.serviceaccount.identity.linkerd.cluster.local",
        ] {
            assert_eq!(Caller::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(Caller::parse("Shop.Internal").unwrap().as_str(), "shop.internal");
        let long = format!("spiffe://company.example/{}", "a".repeat(2048));
        for text in [
            "",
            "*",
            "*.internal",
            "shop..internal",
            "shop.internal.",
            "-shop",
            "shop internal",
            "shop,internal",
            "https://company.example/shop",
            "spiffe://",
            "spiffe:///shop",
            "spiffe://Company.example/shop",
            "spiffe://company.example/",
            "spiffe://company.example/shop/",
            "spiffe://company.example/a//b",
            "spiffe://company.example/../shop",
            "spiffe://company.example/shop?x=1",
            "spiffe://company.example:8080/shop",
            &long,
            &"a".repeat(254),
            &"a".repeat(64),
        ] {
            assert_eq!(Caller::parse(text), None, "{text}");
        }
    }
}
