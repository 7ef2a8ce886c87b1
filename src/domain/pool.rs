//! The name of a pool of the stock.

use std::fmt;

/// Longest name of a pool, in characters.
pub const LONGEST_POOL: usize = 64;

/// The name of a pool: letters, digits, `.`, `_` and `-`, beginning with a
/// letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pool(Box<str>);

impl Pool {
    /// Reads a name; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=LONGEST_POOL).contains(&text.len());
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric());
        (fits && begins && text.bytes().all(is_name)).then(|| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_a_name_that_fits_everywhere() {
        for name in ["default", "EU-2026.1", "7_days", &"a".repeat(64)] {
            assert_eq!(
                Pool::parse(name).map(|pool| pool.to_string()).as_deref(),
                Some(name)
            );
        }
        for name in ["", "-a", ".", "a b", "a/b", "é", &"a".repeat(65)] {
            assert_eq!(Pool::parse(name), None, "{name}");
        }
    }
}
