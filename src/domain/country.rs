//! Countries as ISO 3166-1 names them, and Kosovo, which it does not.

use std::fmt;

/// A country, kept as its alpha-2 code. Ordered by that code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads an ISO 3166-1 alpha-2 or alpha-3 code in any letter case, or the
    /// user-assigned `XK` and `XKX`. `None` for anything else.
    pub fn parse(code: &str) -> Option<Self> {
        match code.len() {
            2 => Self::from_alpha2(code),
            3 => Self::from_alpha3(code),
            _ => None,
        }
    }

    /// Reads an alpha-2 code in any letter case.
    pub fn from_alpha2(code: &str) -> Option<Self> {
        if code.eq_ignore_ascii_case("XK") {
            return Some(Self(*b"XK"));
        }
        celes::Country::from_alpha2(code)
            .ok()
            .and_then(|country| Self::of(country.alpha2))
    }

    /// Reads an alpha-3 code in any letter case.
    pub fn from_alpha3(code: &str) -> Option<Self> {
        if code.eq_ignore_ascii_case("XKX") {
            return Some(Self(*b"XK"));
        }
        celes::Country::from_alpha3(code)
            .ok()
            .and_then(|country| Self::of(country.alpha2))
    }

    fn of(alpha2: &str) -> Option<Self> {
        <[u8; 2]>::try_from(alpha2.as_bytes()).ok().map(Self)
    }

    /// The alpha-2 code in capitals.
    pub fn alpha2(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpha2())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpha2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_codes_name_the_same_country_in_any_letter_case() {
        for (alpha2, alpha3) in [("FR", "fra"), ("us", "USA"), ("Xk", "xkx"), ("GB", "GBR")] {
            let country = Country::parse(alpha2).unwrap();
            assert_eq!(Some(country), Country::parse(alpha3));
            assert_eq!(country.alpha2(), alpha2.to_uppercase());
        }
    }

    #[test]
    fn what_is_no_country_is_refused() {
        for code in ["", "F", "ZZ", "UK", "FRAN", "WALLED_GARDEN", "é", "日本"] {
            assert_eq!(Country::parse(code), None, "{code}");
        }
    }
}
