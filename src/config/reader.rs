//! Reads settings from layers and keeps every problem it meets.
//!
//! No crate of the field reports all of an operator's mistakes at once
//! (deserializers stop at the first), so this one is ours: a value that cannot
//! be used is recorded as a problem and replaced by a harmless one, and
//! [`Reader::finish`] gives either no problem or all of them. The keys that
//! were asked for are the keys that exist: anything else in a layer is
//! unknown.
//!
//! This file keeps what was given and what was asked for; `typed` reads values
//! of every type.

mod typed;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Bounds of durations.
pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Environment variables of the gateway begin with this.
const PREFIX: &str = "GATEWAY__";

/// Where a value came from, for error messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The embedded `default.toml`.
    Default,
    /// A configuration file.
    File(String),
    /// An environment variable.
    Environment(String),
    /// Set by a command line option.
    Option(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Option(name) => write!(f, "option {name}"),
        }
    }
}

/// One mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Dotted key.
    pub key: String,
    /// What is wrong and how to fix it.
    pub text: String,
    /// Only something that a running gateway has is missing: a required setting,
    /// or a file with a secret.
    pub is_absence: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

/// A setting as it took effect, for `print-config`.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Not set, and there is no default.
    Unset,
    /// Set; never printed.
    Secret,
    /// Set to this.
    Value(toml::Value),
}

#[derive(Clone, Debug)]
struct Given {
    value: toml::Value,
    origin: Origin,
}

/// Settings from layers: a later layer wins.
#[derive(Debug, Default)]
pub struct Reader {
    given: BTreeMap<String, Given>,
    shown: BTreeMap<String, Shown>,
    problems: Vec<Problem>,
}

impl Reader {
    /// Adds a TOML document.
    pub fn toml(&mut self, text: &str, origin: &Origin) {
        match text.parse::<toml::Table>() {
            Ok(table) => self.flatten("", &table, origin),
            Err(error) => {
                let line = error
                    .span()
                    .map_or(1, |span| text.get(..span.start).map_or(1, line_count));
                self.problem(&origin.to_string(), format!("line {line}: {}", error.message()));
            }
        }
    }

    /// Adds the variables that carry our prefix. Their values are text and
    /// are read as what the setting needs.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (name, value) in variables {
            if let Some(path) = name.strip_prefix(PREFIX) {
                let key = path.to_ascii_lowercase().replace("__", ".");
                let origin = Origin::Environment(name.clone());
                self.given.insert(
                    key,
                    Given {
                        value: toml::Value::String(value),
                        origin,
                    },
                );
            }
        }
    }

    /// Sets one value from a command line option.
    pub fn option(&mut self, key: &str, value: impl Into<toml::Value>, option: &'static str) {
        self.given.insert(
            key.to_owned(),
            Given {
                value: value.into(),
                origin: Origin::Option(option),
            },
        );
    }

    fn flatten(&mut self, prefix: &str, table: &toml::Table, origin: &Origin) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            match value {
                toml::Value::Table(inner) => self.flatten(&key, inner, origin),
                value => {
                    self.given.insert(
                        key,
                        Given {
                            value: value.clone(),
                            origin: origin.clone(),
                        },
                    );
                }
            }
        }
    }

    /// Records a problem found by a rule across settings.
    pub fn problem(&mut self, key: &str, text: impl Into<String>) {
        self.problems.push(Problem {
            key: key.to_owned(),
            text: text.into(),
            is_absence: false,
        });
    }

    /// Records that something is missing which only a running gateway needs.
    pub(super) fn absence(&mut self, key: &str, text: impl Into<String>) {
        self.problems.push(Problem {
            key: key.to_owned(),
            text: text.into(),
            is_absence: true,
        });
    }

    /// Ends the reading: unknown keys are problems too. Gives every key that
    /// was asked for, with its value, and all problems, sorted by key.
    pub fn finish(mut self) -> (BTreeMap<String, Shown>, Vec<Problem>) {
        let known: Vec<&String> = self.shown.keys().collect();
        for (key, given) in &self.given {
            if !self.shown.contains_key(key) {
                let near = known
                    .iter()
                    .map(|name| (strsim::damerau_levenshtein(name, key), name))
                    .filter(|(distance, _)| *distance <= 3)
                    .min();
                let hint = near
                    .map(|(_, name)| format!(", did you mean {name}?"))
                    .unwrap_or_default();
                self.problems.push(Problem {
                    key: key.clone(),
                    text: format!("unknown setting (from {}){hint}", given.origin),
                    is_absence: false,
                });
            }
        }
        self.problems.sort_by(|a, b| a.key.cmp(&b.key));
        (self.shown, self.problems)
    }

    /// Reads a value with `read`, which gets TOML or, from the environment,
    /// text. `wanted` completes "is not …".
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&toml::Value) -> Option<(T, toml::Value)>,
    ) -> Option<T> {
        let Some(given) = self.given.get(key).cloned() else {
            self.shown.insert(key.to_owned(), Shown::Unset);
            return None;
        };
        self.shown
            .insert(key.to_owned(), Shown::Value(given.value.clone()));
        if let Some((value, shown)) = read(&given.value) {
            self.shown.insert(key.to_owned(), Shown::Value(shown));
            return Some(value);
        }
        self.problem(
            key,
            format!("{} is not {wanted} (from {})", given.value, given.origin),
        );
        None
    }

    pub(super) fn required<T>(&mut self, key: &str, value: Option<T>, otherwise: T) -> T {
        if value.is_none() && self.shown.get(key) == Some(&Shown::Unset) {
            let variable = format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"));
            self.absence(key, format!("required: set it in a file or as {variable}"));
        }
        value.unwrap_or(otherwise)
    }
}

fn line_count(before: &str) -> usize {
    before.matches('\n').count() + 1
}
