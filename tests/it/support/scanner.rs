//! Finds secrets in whatever a process gave away, also where they are
//! written in another form.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Shorter texts would be found by accident.
const SHORTEST: usize = 6;

/// What must not be found, and in which forms.
pub struct Scanner {
    finder: AhoCorasick,
    /// By the number of the pattern.
    names: Vec<String>,
}

impl Scanner {
    /// Looks for these secrets, each with what it is.
    pub fn new(secrets: &[(&'static str, String)]) -> Self {
        let mut patterns = BTreeMap::new();
        for (what, secret) in secrets {
            assert!(secret.len() >= SHORTEST, "{what} {secret:?} is found by accident");
            for (form, pattern) in forms(secret) {
                patterns.insert(pattern, format!("{what} {secret:?} {form}"));
            }
        }
        let (patterns, names): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        let finder = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(patterns)
            .unwrap();
        Self { finder, names }
    }

    /// What is found, with what stands around it.
    pub fn scan(&self, text: &[u8]) -> Vec<String> {
        let found = self.finder.find_iter(text).map(|found| {
            let around = text[found.start().saturating_sub(160)..]
                .iter()
                .copied()
                .take(400);
            let around: Vec<u8> = around.collect();
            let name = &self.names[found.pattern().as_usize()];
            format!("{name} in …{}…", String::from_utf8_lossy(&around))
        });
        found.collect()
    }
}

/// The ways in which a text may be written.
fn forms(secret: &str) -> Vec<(String, Vec<u8>)> {
    let hex = |byte: &u8| format!("{byte:02x}");
    let percent = |byte: &u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let each = |write: &dyn Fn(&u8) -> String| secret.as_bytes().iter().map(write).collect::<String>();
    let mut forms = vec![
        ("as it is".to_owned(), secret.as_bytes().to_vec()),
        ("in hexadecimal".to_owned(), each(&hex).into_bytes()),
        (
            "as a list of bytes".to_owned(),
            list_of_bytes(secret).into_bytes(),
        ),
        ("percent-encoded".to_owned(), each(&percent).into_bytes()),
    ];
    // Wherever it stands in what is encoded: the letters that depend on its
    // neighbours left out.
    for before in 0..3 {
        let padded = [&vec![0; before], secret.as_bytes()].concat();
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for (alphabet, encoded) in [
            ("base64", STANDARD.encode(&padded)),
            ("url-safe base64", URL_SAFE.encode(&padded)),
        ] {
            let inner = encoded.as_bytes()[first..last].to_vec();
            forms.push((format!("in {alphabet}, {before} behind a boundary"), inner));
        }
    }
    forms
}

/// As `Debug` writes bytes, without the brackets: they may stand in others.
fn list_of_bytes(secret: &str) -> String {
    let bytes: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
    bytes.join(", ")
}

#[test]
fn a_secret_is_found_in_every_form_and_nothing_else_is() {
    let secrets = [
        ("ICCID", "8988247000000000019".to_owned()),
        ("activation code", "LPA:1$rsp.example$ID-1".to_owned()),
        ("secret", "a secret".to_owned()),
    ];
    let scanner = Scanner::new(&secrets);
    for (_, secret) in &secrets {
        for text in [
            secret.clone(),
            secret.to_uppercase(),
            format!("{{\"message\":\"see {secret}.\"}}"),
            secret.bytes().map(|byte| format!("{byte:02X}")).collect(),
            format!("{:?}", format!("..{secret}..").into_bytes()),
            url::form_urlencoded::byte_serialize(secret.as_bytes())
                .collect::<String>()
                .replace('+', "%20"),
            STANDARD.encode(secret),
            STANDARD.encode(format!("x{secret}y")),
            STANDARD.encode(format!("Basic: {secret} and more")),
            URL_SAFE.encode(format!("??{secret}>>>>")),
        ] {
            assert!(!scanner.scan(text.as_bytes()).is_empty(), "{secret} in {text}");
        }
    }
    for clean in ["8988247000000000020", "LPA:1$rsp.example$ID-2", "secret a", ""] {
        assert_eq!(scanner.scan(clean.as_bytes()), Vec::<String>::new());
    }
}
