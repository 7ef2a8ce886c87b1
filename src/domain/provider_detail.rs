//! What the provider said about a failure.

/// What the provider said, for error metadata: codes, never its texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderDetail {
    /// The provider's machine-readable code (`title`), when it gave one.
    pub code: Option<String>,
    /// `X-TSL-Request-Id`, which the provider's support asks for.
    pub request_id: Option<String>,
}

impl ProviderDetail {
    /// The code, or `otherwise`.
    pub fn code_or<'a>(&'a self, otherwise: &'a str) -> &'a str {
        self.code.as_deref().unwrap_or(otherwise)
    }
}
