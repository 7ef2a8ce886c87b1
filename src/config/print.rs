//! Shows the effective settings as TOML that `--config` would read again.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::reader::Shown;

/// One table per section, keys sorted; unset settings are comments, secrets
/// are `"<redacted>"`.
pub fn to_toml(shown: &BTreeMap<String, Shown>) -> String {
    let mut sections: BTreeMap<&str, Vec<(&str, &Shown)>> = BTreeMap::new();
    for (key, value) in shown {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        sections.entry(section).or_default().push((name, value));
    }
    let mut text = String::new();
    for (section, settings) in sections {
        let _ = writeln!(text, "{}[{section}]", if text.is_empty() { "" } else { "\n" });
        for (name, value) in settings {
            let _ = match value {
                Shown::Unset => writeln!(text, "# {name} ="),
                Shown::Secret => writeln!(text, "{name} = \"<redacted>\""),
                Shown::Value(value) => writeln!(text, "{name} = {value}"),
            };
        }
    }
    text
}
