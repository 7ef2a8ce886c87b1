//! `telemetry.log_level`: which lines the log has.

use tracing_subscriber::filter::{LevelFilter, Targets};

/// A filter of the log, from directives such as `info,transatel_gateway=debug`.
///
/// # Errors
/// What is wrong with them. A word that is neither a level nor a target with
/// one is refused: taken as a target, as `tracing` does, a misspelt level
/// would switch the whole log off.
pub fn log_filter(directives: &str) -> Result<Targets, String> {
    let directives: Vec<&str> = directives.split(',').map(str::trim).collect();
    for directive in &directives {
        if directive.is_empty() || !directive.contains('=') && directive.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "{directive:?} is neither a level (off, error, warn, info, debug, trace) nor TARGET=LEVEL"
            ));
        }
    }
    directives
        .join(",")
        .parse::<Targets>()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_no_target() {
        for directives in [
            "info",
            "INFO",
            "off",
            "info,h2=off",
            "a::b=debug, warn",
            "a=trace",
        ] {
            assert!(log_filter(directives).is_ok(), "{directives}");
        }
        let spaced = log_filter("h2=off, warn").unwrap();
        assert_eq!(spaced.default_level(), Some(LevelFilter::WARN));
        for directives in ["", "debgu", "info,", "info,h2", "a=loud", "a=b=c"] {
            assert!(log_filter(directives).is_err(), "{directives}");
        }
    }
}
