//! The signature of an event: HMAC-SHA256 over the bytes of its body.

use std::fmt::Write as _;

use ring::hmac;

/// The value of `X-TSL-Signature-256`.
pub(crate) fn of(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut value = "sha256=".to_owned();
    for byte in hmac::sign(&key, body).as_ref() {
        // Writing to a text cannot fail.
        let _ = write!(value, "{byte:02x}");
    }
    value
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_signature_is_the_published_one() {
        // Test case 2 of RFC 4231.
        assert_eq!(
            super::of("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
