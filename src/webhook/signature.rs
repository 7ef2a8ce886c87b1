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
    signature: Option<Vec<u8>>,
}

/// A body with a valid signature, or one that is accepted unchecked.
pub(super) struct Verified(Bytes);

/// The body was signed with none of the secrets, or not at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotSigned;

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
            signature: header.and_then(read),
        }
    }

    /// Compares with every key in constant time.
    pub(super) fn verify(self, keys: &Keys) -> Result<Verified, NotSigned> {
        let keys = match keys {
            Keys::Unchecked => return Ok(Verified(self.body)),
            Keys::Any(keys) => keys,
        };
        let signature = self.signature.ok_or(NotSigned)?;
        let fits = keys.iter().fold(false, |fits, key| {
            fits | hmac::verify(key, &self.body, &signature).is_ok()
        });
        if fits {
            Ok(Verified(self.body))
        } else {
            Err(NotSigned)
        }
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
    if digits.len() != 64 {
        return None;
    }
    let (pairs, _) = digits.as_chunks::<2>();
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
        assert_eq!(received.verify(&keys).err(), Some(NotSigned));
    }
}
