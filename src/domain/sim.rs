//! How a SIM is named. Identifiers are personal data: neither `Debug` nor any
//! other formatting prints them.

use std::fmt;

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

identifier! {
    /// Integrated circuit card identifier: 13 to 20 digits, as the provider's
    /// SIM management and connectivity APIs take it (there called `simSerial`).
    Iccid, 13, 20
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
