//! Whether a body comes from the provider. `X-TSL-Signature-256` is
//! `sha256=` and the HMAC-SHA256 of the exact bytes in hexadecimal.
//!
//! [`Received`] can only be verified; only [`Verified`] has a body to read.

use bytes::Bytes;
use ring::hmac;

/// Name of the header, as the provider documents it.
pub(super) const HEADER: &str = "x-tsl-signature-256";

/// A body of unknown origin.
pub(super) struct Received {
    body: Bytes,
    header: Option<Vec<u8>>,
}

/// A body with a valid signature, or one that is accepted unchecked.
pub(super) struct Verified(Bytes);

/// A body that was signed with none of the secrets, or not at all. It can be
/// examined, and not read.
pub(super) struct Unverified(Received);

/// Length of a digest.
pub(super) const DIGEST_BYTES: usize = 32;

/// The active keys.
#[derive(Clone)]
pub(super) enum Keys {
    /// These.
    Any(Vec<hmac::Key>),
    /// Signatures are not checked.
    Unchecked,
}

impl Received {
    /// A body and its signature header, if it had a single one.
    pub(super) fn new(body: Bytes, header: Option<&[u8]>) -> Self {
        Self {
            body,
            header: header.map(<[u8]>::to_vec),
        }
    }

    /// Compares with every key in constant time.
    pub(super) fn verify(self, keys: &Keys) -> Result<Verified, Unverified> {
        let keys = match keys {
            Keys::Unchecked => return Ok(Verified(self.body)),
            Keys::Any(keys) => keys,
        };
        let Some(signature) = self.header.as_deref().and_then(read) else {
            return Err(Unverified(self));
        };
        let fits = keys.iter().fold(false, |fits, key| {
            fits | hmac::verify(key, &self.body, &signature).is_ok()
        });
        if fits {
            Ok(Verified(self.body))
        } else {
            Err(Unverified(self))
        }
    }
}

impl Unverified {
    /// Its signature header, if it had a single one.
    pub(super) fn header(&self) -> Option<&[u8]> {
        self.0.header.as_deref()
    }

    /// Whether this is the body's digest with this key.
    pub(super) fn is_signed_with(&self, key: &hmac::Key, digest: &[u8]) -> bool {
        hmac::verify(key, &self.0.body, digest).is_ok()
    }
}

impl Verified {
    /// The body, as received.
    pub(super) fn into_body(self) -> Bytes {
        self.0
    }
}

/// A key from a secret.
pub(super) fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

/// The bytes of `sha256=<64 hex digits>`.
fn read(header: &[u8]) -> Option<Vec<u8>> {
    let digits = header.strip_prefix(b"sha256=")?;
    if digits.len() != 2 * DIGEST_BYTES {
        return None;
    }
    hexadecimal(digits)
}

/// The bytes of an even number of hexadecimal digits.
pub(super) fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?))
        .collect()
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Test case 2 of RFC 4231.
    const BODY: &[u8] = b"what do ya want for nothing?";
    const SIGNATURE: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn verified(header: Option<&str>, secrets: &[&str]) -> bool {
        let keys = Keys::Any(secrets.iter().map(|secret| key(secret.as_bytes())).collect());
        Received::new(Bytes::from_static(BODY), header.map(str::as_bytes))
            .verify(&keys)
            .is_ok()
    }

    #[test]
    fn any_active_secret_is_accepted_and_no_other() {
        assert!(verified(Some(SIGNATURE), &["Jefe"]));
        assert!(verified(Some(&SIGNATURE.replace("5bdc", "5BDC")), &["Jefe"]));
        assert!(verified(Some(SIGNATURE), &["old", "Jefe"]));
        assert!(verified(Some(SIGNATURE), &["Jefe", "next"]));
        assert!(!verified(Some(SIGNATURE), &["jefe"]));
        assert!(!verified(Some(SIGNATURE), &[]));
    }

    #[test]
    fn anything_but_the_documented_form_is_refused() {
        for header in [
            None,
            Some(""),
            Some("sha256="),
            Some(&SIGNATURE[7..]),
            Some(&SIGNATURE[..70]),
            Some(&format!("{SIGNATURE}00")),
            Some(&SIGNATURE.replace("sha256", "sha1")),
            Some(&SIGNATURE.replace('5', "x")),
            Some(&SIGNATURE.replace("sha256=5", "sha256=+")),
        ] {
            assert!(!verified(header, &["Jefe"]), "{header:?}");
        }
    }

    #[test]
    fn one_other_byte_is_another_body() {
        let keys = Keys::Any(vec![key(b"Jefe")]);
        let mut body = BODY.to_vec();
        body[0] ^= 1;
        let received = Received::new(body.into(), Some(SIGNATURE.as_bytes()));
        assert!(received.verify(&keys).is_err());
    }
}
