//! Where events are sent, and which.

use http::Uri;
use serde::{Deserialize, Serialize};

/// Where events are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Receiver, plain HTTP: `http://127.0.0.1:8080/webhooks/transatel`.
    pub url: String,
    /// Key of the signature. Without one events are not signed.
    #[serde(default)]
    pub secret: Option<String>,
    /// Event types that are sent, or beginnings of them that end in `/`; all when empty.
    #[serde(default)]
    pub events: Vec<String>,
}

impl Webhook {
    /// All events to `url`, signed with `secret`.
    pub fn new(url: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            secret: Some(secret.into()),
            events: Vec::new(),
        }
    }

    /// The receiver, if events can be sent there at all.
    pub(crate) fn uri(&self) -> Option<Uri> {
        let uri: Uri = self.url.parse().ok()?;
        (uri.scheme_str() == Some("http") && uri.host().is_some()).then_some(uri)
    }

    pub(crate) fn wants(&self, event_type: &str) -> bool {
        let fits = |wanted: &String| {
            wanted == event_type || (wanted.ends_with('/') && event_type.starts_with(wanted.as_str()))
        };
        self.events.is_empty() || self.events.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_chooses_whole_types_or_beginnings() {
        let webhook = Webhook {
            events: vec!["OCS/PRODUCT/".to_owned(), "A/ACTIVATED".to_owned()],
            ..Webhook::new("http://127.0.0.1:1/x", "s")
        };
        assert!(webhook.wants("OCS/PRODUCT/EXPIRED"));
        assert!(webhook.wants("A/ACTIVATED"));
        assert!(!webhook.wants("A/ACTIVATED/AGAIN"));
        assert!(!webhook.wants("A/REACTIVATED"));
    }

    #[test]
    fn a_receiver_is_plain_http() {
        for (url, fit) in [
            ("http://127.0.0.1:8080/webhooks", true),
            ("https://127.0.0.1/webhooks", false),
            ("/webhooks", false),
            ("127.0.0.1:8080", false),
        ] {
            assert_eq!(Webhook::new(url, "s").uri().is_some(), fit, "{url}");
        }
    }
}
