//! Settings: what they are, where they come from, and what is wrong with them.
//!
//! Owns the order of precedence (`default.toml` < file < environment < secret
//! files) and the rules across settings. Guarantees that a [`Config`] which
//! exists is complete and valid, and that a report of problems is complete.

mod address_range;
mod esim;
mod events;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod identity;
mod limits;
mod log_filter;
mod methods;
mod orders;
mod postgres_address;
mod postgres_files;
pub mod prices;
mod print;
mod provider;
mod reader;
mod scopes;
mod secret;
mod stock;
mod store;
mod telemetry;
mod types;
mod whom;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use address_range::AddressRange;
pub use esim::Esim;
pub use events::{Events, Trust, Wake, Webhook};
pub use identity::{Callers, Forwarded, Policy, Tls};
pub use limits::Limits;
pub use log_filter::log_filter;
pub use methods::{Grant, METHODS};
pub use orders::Orders;
pub use postgres_address::{PostgresAddress, PostgresServer};
pub use prices::Prices;
pub use provider::{Outbound, Transatel};
pub use reader::{Origin, Problem, Shown};
pub use secret::secret_in;
pub use stock::{Search as StockSearch, Stock};
pub use store::{Store, StoreUrl};
pub use telemetry::{LogFormat, Telemetry};
pub use types::{Admin, AdminPage, Catalog, Config, Grpc, Inventory, Sandbox, Shutdown};

use reader::Reader;

/// Every setting with its default and its reason.
pub const DEFAULTS: &str = include_str!("default.toml");

/// Where settings are read from.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file given with `--config`.
    pub file: Option<PathBuf>,
    /// The environment; only variables that begin with `GATEWAY__` count.
    pub environment: Vec<(String, String)>,
    /// TOML that replaces some defaults, for commands that differ in them.
    pub defaults: Option<&'static str>,
    /// Values that a command line option sets: key, value, option.
    pub options: Vec<(String, toml::Value, &'static str)>,
}

impl Sources {
    /// The process's own environment and a file.
    pub fn from_process(file: Option<PathBuf>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            file,
            environment,
            defaults: None,
            options: Vec::new(),
        }
    }
}

/// Everything that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        writeln!(
            f,
            "the configuration has {count} problem{}:",
            if count == 1 { "" } else { "s" }
        )?;
        self.0.iter().try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}

impl std::error::Error for Problems {}

/// A configuration and how each setting reads.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    shown: BTreeMap<String, Shown>,
}

impl Loaded {
    /// The effective settings as TOML; secrets are redacted, unset ones are
    /// comments.
    pub fn to_toml(&self) -> String {
        print::to_toml(&self.shown)
    }
}

/// Reads all layers.
///
/// # Errors
/// Every problem of every layer at once.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    finish(layers(sources))
}

/// The settings that would take effect, as [`Loaded::to_toml`] gives them, and
/// what is missing to start with them: credentials need not be here to look.
///
/// # Errors
/// Every problem, if there is any but what is missing.
pub fn preview(sources: &Sources) -> Result<(String, Vec<Problem>), Problems> {
    let mut reader = layers(sources);
    Config::read(&mut reader);
    let (shown, problems) = reader.finish();
    if problems.iter().all(|problem| problem.is_absence) {
        Ok((print::to_toml(&shown), problems))
    } else {
        Err(Problems(problems))
    }
}

fn layers(sources: &Sources) -> Reader {
    let mut reader = Reader::default();
    reader.toml(DEFAULTS, &Origin::Default);
    if let Some(defaults) = sources.defaults {
        reader.toml(defaults, &Origin::Default);
    }
    if let Some(path) = &sources.file {
        read_file(&mut reader, path);
    }
    reader.environment(sources.environment.iter().cloned());
    for (key, value, option) in &sources.options {
        reader.option(key, value.clone(), option);
    }
    reader
}

/// The configuration that the layers make.
fn finish(mut reader: Reader) -> Result<Loaded, Problems> {
    let config = Config::read(&mut reader);
    let (shown, problems) = reader.finish();
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded { config, shown }),
        _ => Err(Problems(problems)),
    }
}

fn read_file(reader: &mut Reader, path: &Path) {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => reader.toml(
            text.strip_prefix('\u{FEFF}').unwrap_or(&text),
            &Origin::File(name),
        ),
        Err(error) => reader.problem("--config", format!("cannot read {name}: {error}")),
    }
}

#[cfg(test)]
mod settings_page;
#[cfg(test)]
mod tests;
