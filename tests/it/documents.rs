//! The documents are true where that can be checked: what they name exists,
//! and what they say of settings, logs, tests and commands is so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use transatel_gateway::config::DEFAULTS;

use crate::markdown::pages;

/// Files below a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| match path.is_dir() {
            true => files(path.to_str().unwrap()),
            false => vec![path],
        })
        .collect()
}

fn sources(folders: &[&str]) -> String {
    let files = folders.iter().flat_map(|folder| files(folder));
    let rust = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let mut links = 0;
    for page in pages() {
        for link in page.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => PathBuf::from(&page.path),
                file => page.target(file),
            };
            assert!(target.exists(), "{}: {link} leads nowhere", page.path);
            if !anchor.is_empty() {
                let target = crate::markdown::page(target.to_str().unwrap());
                assert!(
                    target.anchors().contains(anchor),
                    "{}: {link}: there is no such heading",
                    page.path
                );
            }
            links += 1;
        }
    }
    assert!(links > 40, "{links}");
}

/// Pages whose settings belong to something else.
const OTHER_SETTINGS: [&str; 2] = ["docs/simulator.md", "helm/transatel-gateway/README.md"];

/// Values of the chart whose names look like settings of the gateway.
const OF_THE_CHART: [&str; 3] = ["webhook.secretKeys", "webhook.ingress", "store.type"];

/// Every setting of `default.toml`, those without a default included.
fn settings() -> BTreeSet<String> {
    let mut settings = BTreeSet::new();
    let mut section = String::new();
    for line in DEFAULTS.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            settings.insert(section.clone());
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            settings.insert(format!("{section}.{key}"));
        }
    }
    settings
}

#[test]
fn settings_that_a_page_names_exist() {
    let settings = settings();
    let sections: BTreeSet<&str> = settings
        .iter()
        .filter_map(|name| name.split('.').next())
        .collect();
    let mut named = 0;
    for page in pages() {
        if OTHER_SETTINGS.contains(&page.path.as_str()) {
            continue;
        }
        for word in page.code_words() {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_');
            let Some((section, _)) = word.split_once('.').filter(|_| word.chars().all(plain)) else {
                continue;
            };
            // Names of metrics and files have points too.
            let is_file = Path::new(&word).exists();
            if !sections.contains(section) || is_file || OF_THE_CHART.contains(&word.as_str()) {
                continue;
            }
            assert!(settings.contains(&word), "{}: {word} is not a setting", page.path);
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}

#[test]
fn log_lines_that_a_page_quotes_are_logged() {
    let sources = sources(&["src"]);
    // Long lines are continued in the source.
    let sources = sources.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut quoted = 0;
    for page in pages() {
        let flat = page.prose().split_whitespace().collect::<Vec<_>>().join(" ");
        for (at, said) in flat.match_indices("log line \"") {
            let line = flat[at + said.len()..].split('"').next().unwrap();
            assert!(sources.contains(line), "{}: nothing logs {line:?}", page.path);
            quoted += 1;
        }
    }
    assert!(quoted >= 12, "{quoted}");
}

/// Folders and files of the root, by which a path is recognised.
fn roots() -> BTreeSet<String> {
    let entries = std::fs::read_dir(".").unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "target")
        .collect()
}

/// Whether a word between backticks is meant as a path of this repository.
fn is_path(word: &str, roots: &BTreeSet<String>) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '.' | '_' | '-');
    let source = [".rs", ".proto", ".py", ".sql", ".md"]
        .iter()
        .any(|extension| word.ends_with(extension));
    let first = word.split('/').next().unwrap();
    word.chars().all(plain) && (source || roots.contains(first))
}

#[test]
fn paths_that_a_page_names_exist() {
    let roots = roots();
    let mut paths = 0;
    for page in pages() {
        for word in page.code_words().iter().filter(|word| is_path(word, &roots)) {
            // A page in a folder may name its neighbours.
            let beside = page.target(word);
            assert!(
                Path::new(word).exists() || beside.exists(),
                "{}: there is no {word}",
                page.path
            );
            paths += 1;
        }
    }
    assert!(paths > 10, "{paths}");
}

/// Words that say too little, or something else than is meant. `bundle` is a
/// subscription here.
const AVOIDED: [&str; 14] = [
    "bundle", "bundles", "mend", "mends", "mended", "told", "heard", "wish", "wishes", "wished", "hurry",
    "whoever", "Whoever", "nobody's",
];

#[test]
fn pages_use_the_words_of_the_trade() {
    for page in pages() {
        let text = page.words();
        let words: BTreeSet<&str> = text
            .split(|letter: char| !letter.is_alphanumeric() && letter != '\'')
            .collect();
        for word in AVOIDED {
            assert!(!words.contains(word), "{} says {word:?}", page.path);
        }
    }
}
