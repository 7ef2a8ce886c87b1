//! Defaults that the contract's comments give are those of `default.toml`.

use std::path::Path;
use std::time::Duration;

use transatel_gateway::config::DEFAULTS;

const CONTRACT: &str = "proto/connectivity/v1";

/// The comments of a file as one text, without their line breaks.
fn comments(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("//"));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

fn default_of(setting: &str) -> Duration {
    let defaults: toml::Table = DEFAULTS.parse().unwrap();
    let (section, key) = setting.split_once('.').unwrap();
    let value = defaults[section][key].as_str().unwrap();
    humantime::parse_duration(value).unwrap()
}

/// They read "`section.key`, 90 days by default".
#[test]
fn a_default_in_a_comment_names_its_setting_and_has_its_value() {
    let mut settings = Vec::new();
    for entry in std::fs::read_dir(CONTRACT).unwrap() {
        let file = entry.unwrap().path();
        let comments = comments(&file);
        assert!(
            !comments.contains("configured otherwise"),
            "{}: a default that names no setting",
            file.display()
        );
        for (before, _) in comments.match_indices(" by default") {
            let (before, _) = comments.split_at(before);
            let (_, words) = before.rsplit_once(['(', ':', '.']).unwrap();
            // Of a page, which is no setting; a setting has a dot in its name.
            let named = before
                .rsplit_once("`, ")
                .filter(|(_, value)| words.ends_with(*value));
            let Some((name, value)) = named else {
                assert!(words.trim().parse::<u32>().is_ok(), "{}: {words}", file.display());
                continue;
            };
            let (_, setting) = name.rsplit_once('`').unwrap();
            let given = format!("{setting}, {value}");
            assert_eq!(
                humantime::parse_duration(value).unwrap(),
                default_of(setting),
                "{}: {given}",
                file.display()
            );
            settings.push(setting.to_owned());
        }
    }
    let of = |setting: &str| settings.iter().filter(|named| *named == setting).count();
    assert_eq!(of("orders.keep_for"), 7, "{settings:?}");
    assert_eq!(of("events.keep_for"), 1, "{settings:?}");
    assert_eq!(of("catalog.fresh_for"), 1, "{settings:?}");
    assert_eq!(of("catalog.keep_versions_for"), 1, "{settings:?}");
    assert_eq!(of("stock.reserve_for"), 1, "{settings:?}");
}
