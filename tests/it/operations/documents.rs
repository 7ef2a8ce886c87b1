//! The documents are true where that can be checked: what they name exists,
//! and what they say of settings, logs, tests and commands is so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use transatel_gateway::config::DEFAULTS;

use crate::support::markdown::{Page, page, pages};

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
                let target = crate::support::markdown::page(target.to_str().unwrap());
                assert!(
                    target.anchors().contains(anchor),
                    "{}: {link}: there is no such heading",
                    page.path
                );
            }
            links += 1;
        }
    }
    assert!(links > 60, "{links}");
}

/// Pages whose settings belong to something else.
const OTHER_SETTINGS: [&str; 3] = [
    "docs/kubernetes.md",
    "docs/simulator.md",
    "helm/transatel-gateway/README.md",
];

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
    assert!(named > 60, "{named}");
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

/// Rows of the tables below a line of a page, up to the next heading.
fn rows<'a>(section: &'a str, above: &str) -> Vec<Vec<&'a str>> {
    let (_, rest) = section
        .split_once(above)
        .unwrap_or_else(|| panic!("no {above:?}"));
    let table = rest.trim_start().lines().take_while(|line| line.starts_with('|'));
    table
        .skip(2)
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn log_lines_of_the_next_release_are_logged() {
    let sources = sources(&["src"]);
    let sources = sources.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = page("CHANGELOG.md");
    let section = page.section("## Unreleased");
    let replaced = rows(section, "Log lines that are gone, and what replaces them:");
    let new = rows(section, "New log lines:");
    assert!(!replaced.is_empty() && !new.is_empty());
    for row in replaced.iter().chain(&new) {
        for line in row.last().unwrap().split('`').skip(1).step_by(2) {
            assert!(sources.contains(&format!("\"{line}\"")), "nothing logs {line:?}");
        }
    }
    for line in replaced
        .iter()
        .flat_map(|row| row[0].split('`').skip(1).step_by(2))
    {
        assert!(
            !sources.contains(&format!("\"{line}\"")),
            "{line:?} is still logged"
        );
    }
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
    assert!(paths > 150, "{paths}");
}

#[test]
fn tests_that_a_page_names_exist() {
    let sources = sources(&["src", "tests"]);
    let mut named = 0;
    for page in [page("ARCHITECTURE.md"), page("CONTRIBUTING.md")] {
        for word in page.code_words() {
            let plain =
                |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
            // Sentences: settings and functions have fewer words.
            if word.chars().all(plain) && word.matches('_').count() >= 4 {
                assert!(
                    sources.contains(&format!("fn {word}(")),
                    "{}: there is no test {word}",
                    page.path
                );
                named += 1;
            }
        }
    }
    assert!(named >= 12, "{named}");
}

#[test]
fn every_room_is_explained() {
    let page = page("ARCHITECTURE.md");
    let rooms = page.section("## Modules");
    for entry in std::fs::read_dir("src").unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        // `app.rs` and `app/` are one room.
        if path.is_dir() && path.with_extension("rs").exists() {
            continue;
        }
        assert!(rooms.contains(&format!("`{name}`")), "{name} is not explained");
    }
}

#[test]
fn a_recipe_has_as_many_files_as_its_heading_says() {
    let page = page("ARCHITECTURE.md");
    let mut recipes = 0;
    for heading in page.text.lines().filter(|line| line.starts_with("### Add ")) {
        let (_, stated) = heading.split_once('(').unwrap();
        let stated: usize = stated.split(' ').next().unwrap().parse().unwrap();
        let section = page.section(heading);
        let section = section.split("\n## ").next().unwrap();
        let steps = section.lines().filter(|line| {
            line.trim_start()
                .split_once(". ")
                .is_some_and(|(number, _)| number.parse::<u32>().is_ok())
        });
        let roots = roots();
        let files: BTreeSet<String> = steps
            .flat_map(|step| step.split('`').skip(1).step_by(2))
            .filter(|word| is_path(word, &roots))
            .map(str::to_owned)
            .collect();
        assert_eq!(files.len(), stated, "{heading}: {files:#?}");
        recipes += 1;
    }
    assert_eq!(recipes, 6);
}

/// The commands of a page's code blocks.
fn commands(page: &Page) -> Vec<String> {
    let blocks = page.blocks("sh");
    let lines = blocks.iter().flat_map(|(code, _)| code.lines());
    lines
        .map(|line| line.split(" #").next().unwrap().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

fn ci_steps() -> Vec<String> {
    let listed = Command::new("bash").args([".ci/run", "--list"]).output().unwrap();
    assert!(listed.status.success());
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn commands_of_the_contributors_guide_exist() {
    let steps = ci_steps();
    let integration = sources(&["tests"]);
    let is_in_it = |name: &str| {
        integration.contains(&format!("mod {name};")) || integration.contains(&format!("fn {name}("))
    };
    let unit = sources(&["src"]);
    let commands = commands(&page("CONTRIBUTING.md"));
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command
            .split_whitespace()
            .skip_while(|word| word.contains('=') || *word == "RUSTDOCFLAGS")
            .collect();
        match words[..] {
            ["bash", ".ci/run", ref chosen @ ..] => {
                for step in chosen.iter().filter(|word| **word != "--list") {
                    assert!(steps.iter().any(|known| known == step), "{command}: no such step");
                }
            }
            ["cargo", "test", "--test", "it", "--", ref names @ ..] => {
                assert!(names.iter().all(|name| is_in_it(name)), "{command}: no such test");
            }
            ["cargo", "test", "--test", "it", name] => {
                assert!(is_in_it(name), "{command}: no such test");
            }
            ["cargo", "test", "--lib", name] => {
                let found = unit.contains(&format!("mod {name}")) || unit.contains(&format!("fn {name}("));
                assert!(found, "{command}: no such test");
            }
            ["cargo", "bench", "--bench", name, ..] => {
                let is_file = Path::new(&format!("benches/{name}.rs")).exists();
                assert!(
                    is_file || Path::new(&format!("benches/{name}")).exists(),
                    "{command}"
                );
            }
            ["cargo", "test"]
            | ["cargo", "build"]
            | ["cargo", "check"]
            | ["cargo", "fmt"]
            | ["cargo", "clippy", ..]
            | ["cargo", "run", "--", "serve", "--sandbox"]
            | ["cargo", "run", "--", "doctor", "--sandbox"] => {}
            _ => panic!("it is not known how to check {command:?}"),
        }
    }
}

#[test]
fn every_step_of_ci_is_explained_in_its_order() {
    let page = page("CONTRIBUTING.md");
    let explained = crate::support::markdown::first_cells(page.section("## What CI runs"));
    assert_eq!(explained, ci_steps());
}

/// Words that say too little, or something else than is meant. `bundle` is a
/// subscription here.
const AVOIDED: [&str; 14] = [
    "bundle", "bundles", "mend", "mends", "mended", "told", "heard", "wish", "wishes", "wished", "hurry",
    "whoever", "Whoever", "nobody's",
];

/// The catalog's fee is a list price: nobody may take it for what the account
/// is charged, nor a cost for a list price.
#[test]
fn the_contract_tells_every_amount_of_money_from_a_list_price_or_calls_it_one() {
    let mut amounts = 0;
    for file in files("proto/connectivity") {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut comment = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(words) = line.strip_prefix("//") {
                comment.push_str(words);
                continue;
            }
            if line.starts_with("google.type.Money ") {
                assert!(comment.contains("list price"), "{}: {line}", file.display());
                amounts += 1;
            }
            comment.clear();
        }
    }
    assert_eq!(amounts, 14);
}

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
