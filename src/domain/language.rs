//! Languages of names and descriptions.

use std::fmt;

/// Longest tag that is accepted, the bound that BCP 47 gives implementers.
pub const LONGEST_TAG: usize = 35;

/// A well-formed BCP 47 language tag in canonical letter case, so that `fr_fr`
/// and `fr-FR` are one language. Whether the provider has texts in it is not
/// checked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(Box<str>);

impl Language {
    /// Reads a tag with `-` or `_` between its parts; `None` when malformed.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST_TAG {
            return None;
        }
        let mut canonical = String::with_capacity(text.len());
        for (position, part) in text.split(['-', '_']).enumerate() {
            let letters = part.bytes().all(|byte| byte.is_ascii_alphabetic());
            let well_formed = if position == 0 {
                letters && (2..=8).contains(&part.len())
            } else {
                part.bytes().all(|byte| byte.is_ascii_alphanumeric()) && (1..=8).contains(&part.len())
            };
            if !well_formed {
                return None;
            }
            if position > 0 {
                canonical.push('-');
            }
            match part.len() {
                2 if position > 0 => canonical.push_str(&part.to_ascii_uppercase()),
                4 if position > 0 && letters => {
                    let (first, rest) = part.split_at(1);
                    canonical.push_str(&first.to_ascii_uppercase());
                    canonical.push_str(&rest.to_ascii_lowercase());
                }
                _ => canonical.push_str(&part.to_ascii_lowercase()),
            }
        }
        Some(Self(canonical.into()))
    }

    /// US English, the provider's own default.
    pub fn english() -> Self {
        Self("en-US".into())
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_language_are_equal() {
        for (text, canonical) in [
            ("fr", "fr"),
            ("FR_fr", "fr-FR"),
            ("en-us", "en-US"),
            ("zh_hans_cn", "zh-Hans-CN"),
            ("es-419", "es-419"),
        ] {
            assert_eq!(Language::parse(text).unwrap().as_str(), canonical);
        }
    }

    #[test]
    fn malformed_tags_are_refused() {
        for text in [
            "",
            "f",
            "12",
            "fr-",
            "-fr",
            "fr--FR",
            "fr FR",
            "fr;q=1",
            "français",
            "a-b",
            "en-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd",
        ] {
            assert!(Language::parse(text).is_none(), "{text}");
        }
    }
}
