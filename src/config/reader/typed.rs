//! Values of every type that a setting may have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::{Given, Origin, PREFIX, Reader, Shown};
use crate::config::secret::secret_in;

/// The longest duration.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

impl Reader {
    /// Text that may be unset. Empty counts as unset.
    pub fn optional_text(&mut self, key: &str) -> Option<String> {
        let text = self.value(key, "text", |value| {
            value.as_str().map(|text| (text.to_owned(), value.clone()))
        });
        if text.as_deref() == Some("") {
            self.shown.insert(key.to_owned(), Shown::Unset);
            return None;
        }
        text
    }

    /// Text that has to be there.
    pub fn text(&mut self, key: &str) -> String {
        let value = self.optional_text(key);
        self.required(key, value, String::new())
    }

    /// A secret, from `key` or from the file that `{key}_file` names.
    pub fn secret(&mut self, key: &str) -> SecretString {
        let file_key = format!("{key}_file");
        let from_file = self.optional_text(&file_key);
        let mut direct = self.optional_text(key);
        let default = self
            .given
            .get(key)
            .is_some_and(|given| given.origin == Origin::Default);
        if default && from_file.is_some() {
            direct = None;
            self.shown.insert(key.to_owned(), Shown::Unset);
        }
        if direct.is_some() {
            self.shown.insert(key.to_owned(), Shown::Secret);
        }
        let secret = match (direct, from_file) {
            (Some(_), Some(_)) => {
                self.problem(key, format!("set either {key} or {file_key}, not both"));
                None
            }
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(secret_in(&text).to_owned()),
                Err(error) => {
                    self.absence(&file_key, format!("cannot read {path}: {error}"));
                    None
                }
            },
            (Some(secret), None) => Some(secret),
            (None, None) => {
                let variable = format!("{PREFIX}{}", file_key.to_ascii_uppercase().replace('.', "__"));
                self.absence(key, format!("required: set it, or {file_key}, or {variable}"));
                None
            }
        };
        SecretString::from(secret.unwrap_or_default())
    }

    /// Shows the part of a secret that is not secret, if it was given in the
    /// settings themselves.
    pub fn show_secret_as(&mut self, key: &str, text: Option<String>) {
        if let (Some(shown @ Shown::Secret), Some(text)) = (self.shown.get_mut(key), text) {
            *shown = Shown::Value(text.into());
        }
    }

    /// One of a fixed set of words.
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)], otherwise: T) -> T {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
        let chosen = self.value(key, &format!("one of {}", words.join(", ")), |value| {
            let text = value.as_str()?;
            let (_, choice) = choices.iter().find(|(word, _)| *word == text)?;
            Some((*choice, value.clone()))
        });
        self.required(key, chosen, otherwise)
    }

    /// An integer within bounds.
    pub fn number(&mut self, key: &str, smallest: u32, largest: u32) -> u32 {
        let wanted = format!("an integer from {smallest} to {largest}");
        let number = self.value(key, &wanted, |value| {
            let number = match value {
                toml::Value::Integer(number) => *number,
                toml::Value::String(text) => text.trim().parse().ok()?,
                _ => return None,
            };
            let number = u32::try_from(number).ok()?;
            (smallest..=largest)
                .contains(&number)
                .then(|| (number, toml::Value::Integer(i64::from(number))))
        });
        self.required(key, number, smallest)
    }

    /// A share between 0 and 1.
    pub fn ratio(&mut self, key: &str) -> f64 {
        let ratio = self.value(key, "a number from 0 to 1", |value| {
            let ratio = match value {
                toml::Value::Float(ratio) => *ratio,
                toml::Value::Integer(0) => 0.0,
                toml::Value::Integer(1) => 1.0,
                toml::Value::String(text) => text.trim().parse().ok()?,
                _ => return None,
            };
            (0.0..=1.0)
                .contains(&ratio)
                .then_some((ratio, toml::Value::Float(ratio)))
        });
        self.required(key, ratio, 0.0)
    }

    /// A length of time, at least `shortest`. One that is longer than ten
    /// years is a mistake, and could not be added to the clock.
    pub fn duration(&mut self, key: &str, shortest: Duration) -> Duration {
        let least = humantime::format_duration(shortest);
        let wanted = format!("a duration of at least {least} (such as 30s or 5m), and at most ten years");
        let duration = self.value(key, &wanted, |value| {
            // Shown as it is written: 90 days would become 2 months, 29 days and
            // some hours.
            let written = value.as_str()?.trim();
            let duration = humantime::parse_duration(written).ok()?;
            (shortest..=LONGEST)
                .contains(&duration)
                .then(|| (duration, toml::Value::from(written)))
        });
        self.required(key, duration, shortest)
    }

    /// An address and port to listen on.
    pub fn socket_address(&mut self, key: &str) -> SocketAddr {
        let address = self.value(key, "an address with a port (such as 127.0.0.1:50051)", |value| {
            Some((value.as_str()?.trim().parse().ok()?, value.clone()))
        });
        self.required(key, address, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// An http or https address that may be unset.
    pub fn optional_url(&mut self, key: &str) -> Option<Url> {
        self.optional_text(key)?;
        self.value(key, "an http or https address", |value| {
            let url: Url = value.as_str()?.trim().parse().ok()?;
            let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
            usable.then(|| (url, value.clone()))
        })
    }

    /// An http or https address that has to be there; `None` is a problem
    /// already recorded.
    pub fn url(&mut self, key: &str) -> Option<Url> {
        let url = self.optional_url(key);
        self.required(key, url.map(Some), None)
    }

    /// A list of texts; comma-separated in the environment.
    pub fn list(&mut self, key: &str) -> Vec<String> {
        let list = self.value(key, "a list of texts", |value| {
            let items: Vec<String> = match value {
                toml::Value::Array(items) => items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned))
                    .collect::<Option<_>>()?,
                toml::Value::String(text) => text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(str::to_owned)
                    .collect(),
                _ => return None,
            };
            let shown = toml::Value::from(items.clone());
            Some((items, shown))
        });
        self.required(key, list, Vec::new())
    }

    /// Lists of texts by names that the operator chooses; `None` when there is none.
    /// In the environment an inline table.
    pub fn lists(&mut self, key: &str) -> Option<BTreeMap<String, Vec<String>>> {
        let lists = self.entries(key, r#"{ "name" = ["a", "b"] }"#, Self::list);
        (!lists.is_empty()).then_some(lists)
    }

    /// Whole numbers by names that the operator chooses. In the environment an
    /// inline table.
    pub fn numbers(&mut self, key: &str) -> BTreeMap<String, u32> {
        self.entries(key, r#"{ "name" = 5 }"#, |reader, name| {
            reader.number(name, 0, 1_000_000_000)
        })
    }

    /// Texts by names that the operator chooses. In the environment an inline
    /// table.
    pub fn texts(&mut self, key: &str) -> BTreeMap<String, String> {
        self.entries(key, r#"{ "name" = "text" }"#, |reader, name| {
            reader.optional_text(name).unwrap_or_default()
        })
    }

    fn entries<T: Clone + Into<toml::Value>>(
        &mut self,
        key: &str,
        example: &str,
        read: impl Fn(&mut Self, &str) -> T,
    ) -> BTreeMap<String, T> {
        self.inline_table(key, example);
        let prefix = format!("{key}.");
        let names: Vec<String> = self
            .given
            .range(prefix.clone()..)
            .map_while(|(name, _)| name.strip_prefix(&prefix).map(str::to_owned))
            .collect();
        let mut entries = BTreeMap::new();
        for name in names {
            let full = format!("{prefix}{name}");
            let entry = read(self, &full);
            self.given.remove(&full);
            self.shown.remove(&full);
            entries.insert(name, entry);
        }
        let shown = match entries.is_empty() {
            true => Shown::Unset,
            false => {
                let table = entries
                    .iter()
                    .map(|(name, entry)| (name.clone(), entry.clone().into()));
                Shown::Value(toml::Value::Table(table.collect()))
            }
        };
        self.shown.insert(key.to_owned(), shown);
        entries
    }

    /// Splits a table that was given as text into its entries.
    fn inline_table(&mut self, key: &str, example: &str) {
        let Some(Given { value, origin }) = self.given.remove(key) else {
            return;
        };
        let document = value.as_str().map(|text| format!("table = {text}"));
        let table = document.and_then(|document| document.parse::<toml::Table>().ok());
        match table.as_ref().and_then(|document| document.get("table")) {
            Some(toml::Value::Table(table)) => self.flatten(key, table, &origin),
            _ => self.problem(
                key,
                format!("{value} is not a table such as {example} (from {origin})"),
            ),
        }
    }
}
