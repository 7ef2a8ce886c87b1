//! Countries as ISO 3166-1 names them, and Kosovo, which it does not.

use std::fmt;
use std::sync::LazyLock;

use fixedbitset::FixedBitSet;

/// A country, kept as its alpha-2 code. Ordered by that code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// Letters of the alphabet.
const LETTERS: usize = 26;

/// Every code, indexed by its position in a dictionary of all texts of up to
/// three letters. A product names hundreds of countries and is read live: a
/// look-up here takes a tenth of the time of one in the crate's tables.
static CODES: LazyLock<Box<[Option<Country>]>> = LazyLock::new(|| {
    let mut codes = vec![None; (LETTERS + 1).pow(3)];
    let listed = celes::Country::get_countries();
    let listed = listed.iter().map(|country| (country.alpha2, country.alpha3));
    for (alpha2, alpha3) in listed.chain([("XK", "XKX")]) {
        let country = <[u8; 2]>::try_from(alpha2.as_bytes()).ok().map(Country);
        for text in [alpha2, alpha3] {
            if let Some(code) = place(text).and_then(|place| codes.get_mut(place)) {
                *code = country;
            }
        }
    }
    codes.into()
});

/// The index of a code in [`CODES`].
fn place(text: &str) -> Option<usize> {
    let letters = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' => Some(usize::from(byte - b'A') + 1),
        b'a'..=b'z' => Some(usize::from(byte - b'a') + 1),
        _ => None,
    });
    let mut place = 0;
    for letter in letters {
        place = place * (LETTERS + 1) + letter?;
    }
    (2..=3).contains(&text.len()).then_some(place)
}

impl Country {
    /// Reads an ISO 3166-1 alpha-2 or alpha-3 code in any letter case, or the
    /// user-assigned `XK` and `XKX`. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 3 {
            return None;
        }
        CODES.get(place(text)?).copied().flatten()
    }

    /// Reads an alpha-2 code in any letter case.
    pub fn from_alpha2(text: &str) -> Option<Self> {
        Self::parse(text).filter(|_| text.len() == 2)
    }

    /// These countries, sorted and unique. Without a sort: there are few
    /// countries and the lists are long.
    pub fn set_of(countries: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut found = FixedBitSet::with_capacity((LETTERS + 1).pow(2));
        for country in countries {
            found.insert(place(country.alpha2()).unwrap_or_default());
        }
        let countries = found
            .ones()
            .filter_map(|place| CODES.get(place).copied().flatten());
        countries.collect()
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
    fn every_listed_country_has_both_its_codes() {
        for listed in celes::Country::get_countries() {
            let country = Country::parse(listed.alpha2).unwrap();
            assert_eq!(country.alpha2(), listed.alpha2);
            assert_eq!(Country::parse(listed.alpha3), Some(country));
        }
    }

    #[test]
    fn a_set_has_each_country_once_and_in_order() {
        let set =
            Country::set_of(["ZW", "fr", "AD", "FRA", "XK", "DE"].map(|code| Country::parse(code).unwrap()));
        assert!(set.is_sorted());
        let codes: Vec<&str> = set.iter().map(Country::alpha2).collect();
        assert_eq!(codes, ["AD", "DE", "FR", "XK", "ZW"]);
    }

    #[test]
    fn an_unknown_code_is_refused() {
        for code in [
            "",
            "F",
            "ZZ",
            "UK",
            "F\0",
            "FR ",
            "FRAN",
            "WALLED_GARDEN",
            "é",
            "日",
            "日本",
        ] {
            assert_eq!(Country::parse(code), None, "{code}");
        }
    }
}
