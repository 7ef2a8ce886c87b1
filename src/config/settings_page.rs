//! `docs/settings.md` is `default.toml` as a page: `UPDATE_DOCS=1` writes it,
//! and without it a difference is a failure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::DEFAULTS;

const PAGE: &str = "docs/settings.md";

const HEAD: &str = "# Settings

Every setting with its default and the reason for it. The page is written from [`default.toml`](../src/config/default.toml) by
`UPDATE_DOCS=1 cargo test --lib settings_page`; do not edit it. A later source wins:

1. the defaults on this page
2. the file given with `--config`, in TOML: `[orders]`, then `lease = \"2m\"`
3. the environment: `GATEWAY__ORDERS__LEASE=2m`; lists are separated by commas
4. the files that a `*_file` setting names

Durations are written `30s`, `5m`, `1h 30m`. `check-config` names every problem; `print-config` shows the settings that would
take effect, also without credentials.
";

/// One setting; those below one comment share it.
#[derive(Debug, PartialEq)]
struct Setting {
    key: String,
    /// With what it could be, where there is no default.
    default: Option<String>,
    example: Option<String>,
    text: String,
}

/// A section, its own comment, and its settings.
fn sections() -> Vec<(String, Vec<Setting>)> {
    let mut sections: Vec<(String, Vec<Setting>)> = Vec::new();
    let mut comment = String::new();
    for line in DEFAULTS.lines() {
        let (unset, content) = match line.strip_prefix("# ") {
            Some(content) => (true, content),
            None => (false, line),
        };
        if let Some(name) = content.strip_prefix('[').filter(|_| !unset) {
            sections.push((name.trim_end_matches(']').to_owned(), Vec::new()));
            comment.clear();
            continue;
        }
        match content.split_once(" = ") {
            Some((name, value)) if !name.contains(' ') => {
                let (section, settings) = sections.last_mut().unwrap();
                let given = |unset: bool| (unset && value != "\"\"").then(|| value.to_owned());
                // Without a comment of its own: the one above is about both.
                let text = match (comment.is_empty(), settings.last()) {
                    (true, Some(above)) => above.text.clone(),
                    _ => comment.trim().to_owned(),
                };
                settings.push(Setting {
                    key: format!("{section}.{name}"),
                    default: (!unset).then(|| value.to_owned()),
                    example: given(unset),
                    text,
                });
                comment.clear();
            }
            _ if unset => {
                comment.push_str(content);
                comment.push(' ');
            }
            _ => comment.clear(),
        }
    }
    sections
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*").replace('<', "&lt;")
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (section, settings) in sections() {
        let _ = write!(
            page,
            "\n## {section}\n\n| Setting | Default | What it is |\n|---|---|---|\n"
        );
        for setting in settings {
            let default = match (&setting.default, &setting.example) {
                (Some(value), _) => format!("`{value}`"),
                (None, Some(example)) => format!("none; for example `{example}`"),
                (None, None) => "none".to_owned(),
            };
            let _ = writeln!(
                page,
                "| `{}` | {} | {} |",
                setting.key,
                default.replace('|', "\\|"),
                cell(&setting.text)
            );
        }
    }
    page
}

#[test]
fn the_page_of_settings_is_what_the_defaults_say() {
    let wanted = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &wanted).unwrap();
    }
    let page = std::fs::read_to_string(PAGE).unwrap();
    assert!(
        page == wanted,
        "{PAGE} is not up to date: UPDATE_DOCS=1 cargo test --lib settings_page"
    );
}

#[test]
fn every_setting_is_on_the_page_once_with_a_reason() {
    let loaded = super::load(&super::tests::with_credentials(&[])).unwrap();
    let known: BTreeSet<String> = loaded.shown.keys().cloned().collect();
    let settings: Vec<Setting> = sections()
        .into_iter()
        .flat_map(|(_, settings)| settings)
        .collect();
    let listed: BTreeSet<String> = settings.iter().map(|setting| setting.key.clone()).collect();
    assert_eq!(listed, known);
    assert_eq!(settings.len(), known.len());
    for setting in settings {
        assert!(setting.text.ends_with(['.', ')']), "{setting:?}");
    }
}
