//! Countries as the provider writes them: ISO 3166-1, and what is in use
//! beside it.

use crate::domain::Country;

/// Codes that are not, or no longer, in ISO 3166-1.
const ALIASES: [(&str, &str); 8] = [
    ("XKS", "XK"),
    ("KOS", "XK"),
    ("KSV", "XK"),
    ("UK", "GB"),
    ("EL", "GR"),
    ("ROM", "RO"),
    ("ZAR", "CD"),
    ("TMP", "TL"),
];

/// The country of a code in any letter case.
pub fn country(code: &str) -> Option<Country> {
    let code = code.trim();
    Country::parse(code).or_else(|| {
        let mut known = ALIASES.iter();
        let (_, listed) = known.find(|(alias, _)| alias.eq_ignore_ascii_case(code))?;
        Country::parse(listed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_beside_the_standard_are_understood() {
        for (code, expected) in [("XKS", "XK"), ("uk", "GB"), (" FRA ", "FR"), ("rom", "RO")] {
            assert_eq!(
                country(code).map(|country| country.to_string()).as_deref(),
                Some(expected)
            );
        }
        for (_, listed) in ALIASES {
            assert!(Country::parse(listed).is_some(), "{listed}");
        }
        for code in ["", "ZZZ", "WORLD", "EUROPE"] {
            assert_eq!(country(code), None, "{code}");
        }
    }
}
