//! How a SIM is named. Identifiers are personal data: neither `Debug` nor any
//! other formatting prints them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $shortest:literal, $longest:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses the digits; `None` when there are too few or too many, or
            /// a character is not an ASCII digit.
            pub fn parse(text: &str) -> Option<Self> {
                let fits = ($shortest..=$longest).contains(&text.len());
                (fits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| Self(text.into()))
            }

            /// The digits. Not for logs.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    };
}

/// Integrated circuit card identifier: 13 to 20 digits, as the provider's SIM
/// management and connectivity APIs take it (there called `simSerial`).
///
/// One card is written in several ways: with the padding `F` of its storage on
/// the card, in groups, and with or without the check digit at its end. All of
/// them are read, and are equal; [`as_str`](Self::as_str) has the digits that
/// were given. A card of 20 digits that is written without its check digit is
/// not recognized in one case of ten: its 19 digits then end in what looks like
/// one.
#[derive(Clone)]
pub struct Iccid {
    digits: Box<str>,
    /// How many of them name the card: all, or all but the check digit.
    card_length: u8,
}

impl Iccid {
    /// Reads the digits; `None` when there are too few, too many, or anything
    /// else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches(['F', 'f']);
        let digits: String = text
            .chars()
            .filter(|symbol| !matches!(symbol, ' ' | '-'))
            .collect();
        let fits = (13..=20).contains(&digits.len());
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let has_check_digit = digits.len() >= 19 && is_valid_luhn(&digits);
        let card_length = digits.len() - usize::from(has_check_digit);
        Some(Self {
            card_length: u8::try_from(card_length).ok()?,
            digits: digits.into(),
        })
    }

    /// The digits as they were given. Not for logs.
    pub fn as_str(&self) -> &str {
        &self.digits
    }

    /// What names the card: the digits without the check digit. Not for logs.
    pub fn card(&self) -> &str {
        self.digits
            .get(..usize::from(self.card_length))
            .unwrap_or_default()
    }
}

/// Whether the last digit is the check digit of the others (ISO/IEC 7812-1).
fn is_valid_luhn(digits: &str) -> bool {
    let values = digits.bytes().rev().map(|byte| u32::from(byte - b'0'));
    let sum: u32 = values
        .enumerate()
        .map(|(place, value)| match (place % 2, value) {
            (0, value) => value,
            (_, value) if value > 4 => 2 * value - 9,
            (_, value) => 2 * value,
        })
        .sum();
    sum.is_multiple_of(10)
}

impl PartialEq for Iccid {
    fn eq(&self, other: &Self) -> bool {
        self.card() == other.card()
    }
}

impl Eq for Iccid {}

impl Ord for Iccid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.card().cmp(other.card())
    }
}

impl PartialOrd for Iccid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Iccid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.card().hash(state);
    }
}

impl fmt::Debug for Iccid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iccid(<redacted>)")
    }
}

identifier! {
    /// Telephone number in international form without `+`: 6 to 15 digits, as
    /// the provider's OCS APIs take it. A `+` would be refused there.
    Msisdn, 6, 15
}

impl Msisdn {
    /// Parses a number as people write it: one leading `+` is dropped.
    pub fn parse_international(text: &str) -> Option<Self> {
        Self::parse(text.strip_prefix('+').unwrap_or(text))
    }
}

/// One SIM, named by either identifier.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SimRef {
    /// By its card.
    Iccid(Iccid),
    /// By its number.
    Msisdn(Msisdn),
}

/// Which identifier is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identifier {
    /// The card's.
    Iccid,
    /// The number.
    Msisdn,
}

impl Identifier {
    /// As it appears in error metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iccid => "iccid",
            Self::Msisdn => "msisdn",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_digits_are_checked() {
        assert!(Iccid::parse("8988247000000").is_some());
        assert!(Iccid::parse("89882470000000000012").is_some());
        for text in [
            "",
            "898824700000",
            "898824700000000000123",
            "89882470000000x0012",
            "+8988247000000",
        ] {
            assert!(Iccid::parse(text).is_none(), "{text}");
        }
        assert!(Msisdn::parse("123456").is_some());
        for text in [
            "",
            "12345",
            "1234567890123456",
            "+123456",
            "12 3456",
            "１２３４５６",
        ] {
            assert!(Msisdn::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn one_card_is_equal_in_every_spelling() {
        let iccid = |text: &str| Iccid::parse(text).unwrap();
        let card = iccid("8988247000000000019");
        for text in [
            "8988247000000000019F",
            "8988247000000000019f",
            " 8988 2470 0000 0000 019 ",
            "8988-2470-0000-0000-019",
            "898824700000000001",
        ] {
            assert_eq!(iccid(text), card, "{text}");
        }
        // 20 digits with the check digit, and 19 without.
        assert_eq!(iccid("89882470000000000022"), iccid("8988247000000000002"));
        for text in ["8988247000000000027", "8988247000000000018", "898824700000000002"] {
            assert_ne!(iccid(text), card, "{text}");
        }
        // What is sent is what was given.
        assert_eq!(iccid("8988247000000000019F").as_str(), "8988247000000000019");
        for text in [
            "F",
            "8988247000000000019G",
            "8988247F000000000019",
            "898824700000000001900",
        ] {
            assert!(Iccid::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn one_plus_is_dropped_from_a_number() {
        let number = Msisdn::parse_international("+882470000000001").unwrap();
        assert_eq!(number.as_str(), "882470000000001");
        assert!(Msisdn::parse_international("++882470000000001").is_none());
    }

    #[test]
    fn debug_prints_no_digits() {
        let sim = SimRef::Msisdn(Msisdn::parse("882470000000001").unwrap());
        assert!(!format!("{sim:?}").contains(|letter: char| letter.is_ascii_digit()));
    }
}
