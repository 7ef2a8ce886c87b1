//! An eSIM profile and the code that installs it.
//!
//! The code is a bearer secret: who has it has the profile. Nothing here
//! prints it, and [`Esim`] can be shown to support staff as it is.

use std::fmt;

use jiff::Timestamp;

use super::opaque::Opaque;
use super::{EsimStatus, Iccid, Msisdn};

/// An eSIM without its activation material.
#[derive(Clone, Debug, PartialEq)]
pub struct Esim {
    /// Its card.
    pub iccid: Iccid,
    /// Its number, when the caller named it.
    pub msisdn: Option<Msisdn>,
    /// The profile's status; `None` when the provider's value is not known.
    pub status: Option<EsimStatus>,
    /// The status as the provider gives it.
    pub raw_status: String,
    /// When the status last changed.
    pub status_changed_at: Option<Timestamp>,
    /// The device that holds it, or that it is reserved for.
    pub eid: Option<Eid>,
    /// Whether any device can download it now.
    pub installable: bool,
    /// Whether it can be downloaded again; `None` when that is not known, or it
    /// was never on a device.
    pub reinstallable: Option<Reinstallable>,
    /// Its history, in the provider's order and format. Empty unless requested.
    pub history: Vec<Opaque>,
}

/// Why a profile that has a code cannot be downloaded by any device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is on a device.
    OnDevice,
    /// It was deleted from its device.
    Deleted,
    /// It is bound to one device, which can download it.
    BoundToDevice,
    /// The provider's word for its status is not known.
    StatusUnknown,
}

/// Whether a profile that was on a device can be downloaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reinstallable {
    /// Deleted from its device.
    Usually,
    /// On a device: it has to be deleted there first.
    NotWhileOnDevice,
    /// Deleted, and downloaded as often as is usual.
    DownloadsUsedUp,
}

/// Downloads of one profile, the first included, that the provider's documents
/// call usual. It differs between eSIM products.
const USUAL_DOWNLOADS: usize = 5;

impl Reinstallable {
    /// By the status of the profile, and by its downloads where those are known.
    pub fn of(status: Option<EsimStatus>, downloads: Option<usize>) -> Option<Self> {
        match status? {
            EsimStatus::Available | EsimStatus::Allocated | EsimStatus::Released => None,
            EsimStatus::Downloaded | EsimStatus::Installed | EsimStatus::Enabled | EsimStatus::Disabled => {
                Some(Self::NotWhileOnDevice)
            }
            EsimStatus::Deleted => match downloads {
                Some(USUAL_DOWNLOADS..) => Some(Self::DownloadsUsedUp),
                Some(_) | None => Some(Self::Usually),
            },
        }
    }
}

/// Identifies the chip that profiles are installed on. Personal data: `Debug`
/// does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Eid(Box<str>);

impl Eid {
    /// Reads the provider's value, usually 32 digits; `None` when it is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// As the provider gives it. Not for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Eid(<redacted>)")
    }
}

/// What a device needs to download a profile, in the form of SGP.22 section
/// 4.1: `1$<SM-DP+ address>$<matching id>`, optionally followed by the SM-DP+'s
/// object identifier and a flag for a confirmation code.
///
/// Kept without the `LPA:` that makes it a link; a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ActivationCode {
    code: Box<str>,
    address_end: usize,
    matching_id_end: usize,
}

/// The link prefix of an activation code.
const SCHEME: &str = "LPA:";

/// The only format that SGP.22 defines, and the separator after it.
const FORMAT: &str = "1$";

/// Longest code that SGP.22 allows.
const LONGEST: usize = 255;

/// Format, address, matching id, object identifier, flag.
const MOST_PARTS: usize = 5;

/// Index of the flag for a confirmation code. The object identifier before it
/// may be empty.
const CONFIRMATION_FLAG: usize = 4;

/// The only value of the flag that asks for the code.
const CONFIRMATION_REQUIRED: &str = "1";

impl ActivationCode {
    /// Parses a code with any number of `LPA:` prefixes in any letter case.
    /// `None` when a part is missing or no device would accept it.
    pub fn parse(text: &str) -> Option<Self> {
        let code = without_scheme(text.trim());
        let parts = code.strip_prefix(FORMAT)?;
        let mut fields = parts.split('$');
        let (address, matching_id) = (fields.next()?, fields.next()?);
        let further = fields.count();
        let fits = !address.is_empty()
            && !matching_id.is_empty()
            && further + 3 <= MOST_PARTS
            && code.len() <= LONGEST
            && code.bytes().all(|byte| byte.is_ascii_graphic());
        let address_end = FORMAT.len() + address.len();
        fits.then(|| Self {
            code: code.into(),
            address_end,
            matching_id_end: address_end + 1 + matching_id.len(),
        })
    }

    /// Builds a code from its two parts.
    pub fn of_parts(smdp_address: &str, matching_id: &str) -> Option<Self> {
        let (address, id) = (smdp_address.trim(), matching_id.trim());
        let whole = !address.contains('$') && !id.contains('$');
        whole
            .then(|| Self::parse(&format!("{FORMAT}{address}${id}")))
            .flatten()
    }

    /// With exactly one `LPA:`, as devices and QR codes expect it.
    pub fn link(&self) -> String {
        format!("{SCHEME}{}", self.code)
    }

    /// Host name of the server that has the profile.
    pub fn smdp_address(&self) -> &str {
        self.code.get(FORMAT.len()..self.address_end).unwrap_or_default()
    }

    /// Whether a device asks for a confirmation code before the download.
    pub fn needs_confirmation(&self) -> bool {
        self.code.split('$').nth(CONFIRMATION_FLAG) == Some(CONFIRMATION_REQUIRED)
    }

    /// Identifies the profile at its server; the secret part.
    pub fn matching_id(&self) -> &str {
        self.code
            .get(self.address_end + 1..self.matching_id_end)
            .unwrap_or_default()
    }
}

fn without_scheme(mut text: &str) -> &str {
    while let Some((scheme, rest)) = text.split_at_checked(SCHEME.len()) {
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            break;
        }
        text = rest.trim_start();
    }
    text
}

impl fmt::Debug for ActivationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActivationCode(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_normalised_whatever_the_provider_sent() {
        let plain = "1$rsp.example.com$AB-12";
        for text in [
            plain,
            "LPA:1$rsp.example.com$AB-12",
            "lpa:1$rsp.example.com$AB-12",
            " Lpa: 1$rsp.example.com$AB-12\n",
            "LPA:lpa:1$rsp.example.com$AB-12",
        ] {
            let code = ActivationCode::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(code.link(), format!("LPA:{plain}"), "{text}");
            assert_eq!(
                (code.smdp_address(), code.matching_id()),
                ("rsp.example.com", "AB-12"),
                "{text}"
            );
        }
    }

    #[test]
    fn further_parts_stay() {
        for text in [
            "1$a.example$ID$1.3.6.1.4.1.31746",
            "1$a.example$ID$$1",
            "1$a.example$ID$1.3.6.1.4.1.31746$1",
        ] {
            let code = ActivationCode::parse(text).unwrap();
            assert_eq!(code.link(), format!("LPA:{text}"));
            assert_eq!((code.smdp_address(), code.matching_id()), ("a.example", "ID"));
        }
    }

    #[test]
    fn only_the_flag_says_that_a_confirmation_code_is_needed() {
        for (text, needed) in [
            ("1$a.example$ID", false),
            ("1$a.example$1", false),
            ("1$1$1", false),
            ("1$a.example$ID$1", false),
            ("1$a.example$ID$1.3.6.1.4.1.31746", false),
            ("1$a.example$ID$$", false),
            ("1$a.example$ID$$0", false),
            ("1$a.example$ID$$11", false),
            ("1$a.example$ID$$1", true),
            ("1$a.example$ID$1.3.6.1.4.1.31746$1", true),
            ("LPA:1$a.example$ID$1.3.6.1.4.1.31746$1", true),
            ("lpa:LPA: 1$a.example$ID$$1 ", true),
        ] {
            let code = ActivationCode::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(code.needs_confirmation(), needed, "{text}");
        }
        let code = ActivationCode::of_parts("a.example", "1").unwrap();
        assert!(!code.needs_confirmation());
    }

    #[test]
    fn a_code_that_no_device_would_accept_is_refused() {
        let long = format!("1$a.example${}", "A".repeat(244));
        assert_eq!(long.len(), LONGEST + 1);
        for text in [
            "",
            "LPA:",
            "LPA:1",
            "LPA:1$",
            "1$a.example",
            "1$a.example$",
            "1$$ID",
            "2$a.example$ID",
            "1$a.example$I D",
            "1$a.example$ID\u{e9}",
            "1$a$b$c$d$e",
            "https://example.com",
            &long,
        ] {
            assert!(ActivationCode::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn parts_make_a_code() {
        let code = ActivationCode::of_parts(" rsp.example.com", "AB-12 ").unwrap();
        assert_eq!(code.link(), "LPA:1$rsp.example.com$AB-12");
        assert!(ActivationCode::of_parts("rsp.example.com", "").is_none());
        assert!(ActivationCode::of_parts("rsp.example.com$X", "Y").is_none());
    }

    #[test]
    fn debug_prints_no_secret() {
        let code = ActivationCode::parse("1$rsp.example.com$AB-12").unwrap();
        let printed = format!("{code:?}");
        assert!(
            !printed.contains("rsp") && !printed.contains("AB-12"),
            "{printed}"
        );
    }

    proptest! {
        #[test]
        fn reading_never_fails_and_what_is_read_reads_back(text in "(?i)(lpa:)?1?\\$?.{0,40}") {
            if let Some(code) = ActivationCode::parse(&text) {
                prop_assert_eq!(ActivationCode::parse(&code.link()).unwrap(), code.clone());
                prop_assert!(!code.smdp_address().is_empty() && !code.matching_id().is_empty());
            }
        }
    }
}
