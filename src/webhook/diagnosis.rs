//! Why a signature is not valid, for operators: a secret that was entered in
//! another form is otherwise noticed only when no event has arrived for long.
//! Nothing is accepted here, and nothing of a secret or a signature is logged.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::signature::{DIGEST_BYTES, Unverified, hexadecimal, key};
use crate::telemetry::LogLimit;

/// So many are examined and logged a minute: each costs some digests of a body
/// that anyone can send.
const A_MINUTE: u32 = 3;

/// Limits how many invalid signatures are examined.
pub(super) struct Diagnosis(Mutex<LogLimit>);

impl Default for Diagnosis {
    fn default() -> Self {
        Self(Mutex::new(LogLimit::a_minute(A_MINUTE)))
    }
}

impl Diagnosis {
    /// Whether one more is to be examined and logged; if so, how many were not
    /// since the last one.
    pub(super) fn is_due(&self) -> Option<u64> {
        let mut limit = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limit.add(Instant::now()).map(|count| count - 1)
    }
}

impl Unverified {
    /// What is wrong with the signature, and which form of a secret would have
    /// matched.
    pub(super) fn reason(&self, secrets: &[SecretString]) -> String {
        let Some(header) = self.header() else {
            return "it has no X-TSL-Signature-256, or several".into();
        };
        let Some((digest, written)) = digest(header) else {
            return "its X-TSL-Signature-256 holds no SHA-256 digest".into();
        };
        let mut forms = secrets.iter().flat_map(|secret| forms(secret.expose_secret()));
        match forms.find(|(_, key)| self.is_signed_with(key, &digest)) {
            Some((used, _)) => format!("the signature is {written}, and would match the secret {used}"),
            None => format!(
                "the signature is {written}, and matches no form of the configured secrets: \
                 another secret is registered at the provider, or something in between changes the body"
            ),
        }
    }
}

/// The digest in a header, and how it is written.
fn digest(header: &[u8]) -> Option<(Vec<u8>, &'static str)> {
    const PREFIX: &str = "sha256=";
    let text = std::str::from_utf8(header).ok()?;
    let trimmed = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '"');
    let (prefix, rest) = match trimmed.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => (Some(prefix), rest),
        _ => (None, trimmed),
    };
    if let Some(digest) = hexadecimal(rest.as_bytes()).filter(|digest| digest.len() == DIGEST_BYTES) {
        let written = match prefix {
            Some(PREFIX) if trimmed == text => "written as documented",
            Some(PREFIX) => "surrounded by blanks or quotation marks",
            Some(_) => "written with \"sha256=\" in capitals",
            None => "written without \"sha256=\"",
        };
        return Some((digest, written));
    }
    let digest = from_base64(rest).filter(|digest| digest.len() == DIGEST_BYTES)?;
    Some((digest, "written in base64 instead of hexadecimal digits"))
}

/// The ways in which a secret may have been understood elsewhere.
fn forms(secret: &str) -> Vec<(&'static str, hmac::Key)> {
    let mut forms = vec![
        ("as configured", key(secret.as_bytes())),
        ("followed by a line feed", key(format!("{secret}\n").as_bytes())),
        (
            "followed by a carriage return and a line feed",
            key(format!("{secret}\r\n").as_bytes()),
        ),
    ];
    let trimmed = secret.trim();
    if trimmed != secret {
        forms.push(("without the blanks around it", key(trimmed.as_bytes())));
    }
    if let Some(decoded) = hexadecimal(trimmed.as_bytes()) {
        forms.push(("decoded from hexadecimal digits", key(&decoded)));
    }
    if let Some(decoded) = from_base64(trimmed) {
        forms.push(("decoded from base64", key(&decoded)));
    }
    forms
}

/// Both alphabets, with or without padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, ANY_PADDING).decode(text).ok())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use bytes::Bytes;

    use super::super::signature::{Keys, Received};
    use super::*;

    const BODY: &[u8] = b"{\"header\":{}}";

    fn tag(secret: &[u8]) -> Vec<u8> {
        hmac::sign(&key(secret), BODY).as_ref().to_vec()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn reason(header: Option<&str>, secrets: &[&str]) -> String {
        let keys = secrets.iter().map(|secret| key(secret.as_bytes())).collect();
        let received = Received::new(Bytes::from_static(BODY), header.map(str::as_bytes));
        let unverified = received.verify(&Keys::Any(keys)).err().expect("it is accepted");
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        unverified.reason(&secrets)
    }

    #[test]
    fn the_form_that_would_have_matched_is_named_and_not_accepted() {
        const SECRET: &str = "c2VjcmV0IG9mIDMy";
        let documented = |secret: &[u8]| format!("sha256={}", hex(&tag(secret)));
        let own = tag(SECRET.as_bytes());
        for (header, configured, parts) in [
            (hex(&own), SECRET, ["without \"sha256=\"", "as configured"]),
            (
                format!("SHA256={}", hex(&own)),
                SECRET,
                ["in capitals", "as configured"],
            ),
            (
                format!("\"sha256={}\"", hex(&own)),
                SECRET,
                ["quotation marks", "as configured"],
            ),
            (STANDARD.encode(&own), SECRET, ["in base64", "as configured"]),
            (
                format!("sha256={}", URL_SAFE_NO_PAD.encode(&own)),
                SECRET,
                ["in base64", "as configured"],
            ),
            (
                documented(b"secret of 32"),
                SECRET,
                ["as documented", "decoded from base64"],
            ),
            (
                documented(&[0xca, 0xfe]),
                "cafe",
                ["as documented", "from hexadecimal"],
            ),
            (
                documented(b"pa55w0rd\n"),
                "pa55w0rd",
                ["as documented", "followed by a line feed"],
            ),
            (
                documented(b"pa55w0rd"),
                " pa55w0rd ",
                ["as documented", "without the blanks"],
            ),
            (
                STANDARD.encode(tag(b"secret of 32")),
                SECRET,
                ["in base64 instead", "decoded from base64"],
            ),
            (
                documented(b"another"),
                SECRET,
                ["as documented", "matches no form of the configured secrets"],
            ),
        ] {
            // Whichever of the secrets it is.
            let reason = reason(Some(&header), &["other", configured]);
            for part in parts {
                assert!(reason.contains(part), "{part} not in {reason}");
            }
            assert!(
                !reason.contains(configured) && !reason.contains(&hex(&own)[..8]),
                "{reason}"
            );
        }
        assert!(reason(None, &[SECRET]).contains("has no X-TSL-Signature-256"));
        for no_digest in ["", "sha256=", "sha256=00", "v1=x"] {
            assert!(
                reason(Some(no_digest), &[SECRET]).contains("no SHA-256 digest"),
                "{no_digest}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_in_a_minute_are_examined_and_the_others_counted() {
        let diagnosis = Diagnosis::default();
        let due = || (0..100).filter_map(|_| diagnosis.is_due()).collect::<Vec<_>>();
        assert_eq!(due(), [0, 0, 0]);
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        assert_eq!(due(), [97, 0, 0]);
    }
}
