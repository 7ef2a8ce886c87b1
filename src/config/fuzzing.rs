//! See [`crate::fuzzing`].

use std::time::Instant;

use super::reader::Reader;
use super::{Config, DEFAULTS, Loaded, Origin, Problems};

/// What has no default.
const ACCOUNT: &str = "transatel.client_id = \"fuzz\"\ntransatel.client_secret = \"fuzz\"\n";

fn read(text: &str) -> Result<Loaded, Problems> {
    let mut reader = Reader::default();
    reader.toml(DEFAULTS, &Origin::Default);
    reader.toml(ACCOUNT, &Origin::Default);
    reader.toml(text, &Origin::File("fuzz.toml".to_owned()));
    super::finish(reader)
}

/// Whether a setting names a file: which files a machine has is not what is
/// tried here.
fn names_a_file(table: &toml::Table) -> bool {
    table.iter().any(|(name, value)| match value {
        toml::Value::Table(inner) => names_a_file(inner),
        _ => name.contains("_file"),
    })
}

/// Times are added to each other, multiplied and added to the clock.
fn assert_reckonable(config: &Config) {
    let outbound = &config.outbound;
    let load = (outbound.attempt_timeout + outbound.retry_longest_wait) * outbound.read_attempts * 2;
    for wait in [
        load,
        outbound.catalog_timeout + outbound.attempt_timeout * 2,
        config.grpc.max_deadline,
        config.orders.lease,
        config.catalog.usable_for,
        config.catalog.keep_versions_for,
        config.events.keep_for,
    ] {
        assert!(Instant::now().checked_add(wait).is_some(), "{wait:?}");
    }
}

/// A configuration file. What is accepted is printed, and what is printed is
/// accepted and means the same; what is not accepted has a reason.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if text
        .parse::<toml::Table>()
        .is_ok_and(|table| names_a_file(&table))
    {
        return;
    }
    match read(text) {
        Err(Problems(problems)) => assert!(!problems.is_empty(), "refused without a reason"),
        Ok(loaded) => {
            let printed = loaded.to_toml();
            let again = read(&printed).map(|again| again.to_toml());
            assert_eq!(again.as_deref(), Ok(printed.as_str()));
            assert_reckonable(&loaded.config);
        }
    }
}
