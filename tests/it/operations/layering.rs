//! Data runs one way: a room may use only the rooms that it is meant to, and
//! no files use each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Room → rooms it may use. `telemetry` and `config` are under everybody's
/// feet; `app` and `commands` know every part.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("domain", &[]),
    ("listener", &["telemetry"]),
    ("cache", &["telemetry"]),
    ("config", &["domain"]),
    ("telemetry", &["config"]),
    ("transatel", &["cache", "config", "domain", "telemetry"]),
    ("store", &["config", "domain"]),
    (
        "service",
        &["cache", "config", "domain", "store", "telemetry", "transatel"],
    ),
    (
        "grpc",
        &["config", "domain", "listener", "pb", "service", "telemetry"],
    ),
    ("doctor", &["config", "domain", "telemetry", "transatel"]),
    // It reads events by the provider's own JSON.
    (
        "webhook",
        &[
            "config",
            "domain",
            "listener",
            "service",
            "telemetry",
            "transatel",
        ],
    ),
    ("admin", &["config", "grpc", "listener", "telemetry"]),
    // Not in the gateway: what fuzz targets call.
    ("fuzzing", &["config", "grpc", "service", "transatel", "webhook"]),
    (
        "app",
        &[
            "admin",
            "config",
            "domain",
            "grpc",
            "service",
            "store",
            "telemetry",
            "transatel",
            "webhook",
        ],
    ),
    (
        "commands",
        &[
            "app",
            "config",
            "doctor",
            "domain",
            "grpc",
            "service",
            "store",
            "telemetry",
        ],
    ),
];

/// Crates that only one room may name.
const OWNED: [(&str, &[&str]); 10] = [
    ("tonic", &["grpc", "commands"]),
    ("prost", &["grpc", "commands"]),
    ("reqwest", &["transatel"]),
    ("sqlx", &["store"]),
    (
        "serde_json",
        &["transatel", "doctor", "grpc", "store", "telemetry"],
    ),
    ("moka", &["cache"]),
    ("rustls", &["config", "grpc", "telemetry", "transatel"]),
    ("tokio_rustls", &["grpc"]),
    ("webpki", &["grpc"]),
    ("transatel_simulator", &["commands"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code of a file without its comments and its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_test(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with("tests.rs") || name.contains("/tests/")
}

fn room(path: &Path) -> String {
    let relative = path.strip_prefix("src").unwrap();
    let first = relative
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn no_room_uses_one_that_it_must_not() {
    let rooms: BTreeSet<&str> = ALLOWED
        .iter()
        .map(|(room, _)| *room)
        .chain(["pb", "client"])
        .collect();
    let mut seen = BTreeSet::new();
    for path in sources(Path::new("src"))
        .into_iter()
        .filter(|path| !is_test(path))
    {
        let own = room(&path);
        if matches!(own.as_str(), "lib" | "main") {
            continue;
        }
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(room, _)| *room == own)
            .unwrap_or_else(|| panic!("{own} has no place in the layers"));
        seen.insert(own.clone());
        for (at, _) in code(&path).match_indices("crate::") {
            let rest = &code(&path)[at + "crate::".len()..];
            let used: String = rest
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            let known = rooms.contains(used.as_str());
            assert!(
                known,
                "{}: crate::{used} is no room: import rooms one by one",
                path.display()
            );
            assert!(
                used == own || allowed.contains(&used.as_str()),
                "{}: {own} must not use {used}",
                path.display()
            );
        }
    }
    assert_eq!(
        seen.len(),
        ALLOWED.len(),
        "the table names rooms that do not exist"
    );
}

#[test]
fn what_belongs_to_one_room_is_named_in_no_other() {
    for path in sources(Path::new("src"))
        .into_iter()
        .filter(|path| !is_test(path))
    {
        let own = room(&path);
        let code = code(&path);
        for (name, rooms) in OWNED {
            let used = [
                format!("use {name}::"),
                format!(" {name}::"),
                format!("({name}::"),
                format!("<{name}::"),
            ];
            if !rooms.contains(&own.as_str()) {
                let found = used.iter().any(|text| code.contains(text));
                assert!(!found, "{}: {own} must not know {name}", path.display());
            }
        }
    }
}

/// The first names of what is imported from a module: `a` and `b` of
/// `{a::X, b::{Y, Z}}`, or `a` of `a::X`.
fn first_names(imported: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim()
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect()
    };
    let Some(group) = imported.strip_prefix('{') else {
        return vec![name(imported)];
    };
    let (mut names, mut depth, mut part) = (Vec::new(), 0, String::new());
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&part));
                part.clear();
                continue;
            }
            _ => {}
        }
        part.push(letter);
    }
    names.push(name(&part));
    names
}

/// The file of a module below a folder, if it has one of its own.
fn file_of(folder: &Path, module: &str) -> Option<PathBuf> {
    let own = folder.join(format!("{module}.rs"));
    let inner = folder.join(module).join("mod.rs");
    [own, inner].into_iter().find(|path| path.is_file())
}

/// The files that a file imports from. What it takes from the module around it
/// is not counted: a module and its parts are one.
fn imports(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let code = code(path);
    // Where the modules beside this one are.
    let around = path.parent().unwrap();
    let is_mod = path.file_name().is_some_and(|name| name == "mod.rs");
    let beside = if is_mod { around.parent().unwrap() } else { around };
    for (prefix, folder) in [
        ("use super::super::", beside.parent().unwrap_or(beside)),
        ("use super::", beside),
        ("use crate::", Path::new("src")),
    ] {
        for (at, _) in code.match_indices(prefix) {
            let mut rest = &code[at + prefix.len()..];
            let mut folder = folder.to_path_buf();
            // Down a path of folders, to the file that defines something.
            loop {
                let names = first_names(rest);
                let inner = folder.join(&names[0]);
                let goes_on = rest
                    .strip_prefix(names[0].as_str())
                    .and_then(|rest| rest.strip_prefix("::"));
                match goes_on {
                    Some(next) if names.len() == 1 && inner.is_dir() && !rest.starts_with('{') => {
                        let deeper = first_names(next);
                        if deeper.iter().any(|name| file_of(&inner, name).is_some()) {
                            folder = inner;
                            rest = next;
                            continue;
                        }
                        found.extend(file_of(&folder, &names[0]));
                    }
                    _ => found.extend(names.iter().filter_map(|name| file_of(&folder, name))),
                }
                break;
            }
        }
    }
    found.remove(path);
    // A part of the module that this file is.
    let own_folder = if is_mod {
        around.to_path_buf()
    } else {
        path.with_extension("")
    };
    found.retain(|other| !other.starts_with(&own_folder));
    found
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let files = sources(Path::new("src"))
        .into_iter()
        .filter(|path| !is_test(path));
    let uses: BTreeMap<PathBuf, BTreeSet<PathBuf>> =
        files.map(|path| (path.clone(), imports(&path))).collect();
    let edges: usize = uses.values().map(BTreeSet::len).sum();
    assert!(edges > 300, "only {edges} imports were found");
    for start in uses.keys() {
        // Whatever can be reached from a file must not reach it.
        let mut way = vec![(start.clone(), vec![start.clone()])];
        let mut seen = BTreeSet::new();
        while let Some((at, path)) = way.pop() {
            for next in uses.get(&at).into_iter().flatten() {
                assert!(next != start, "a circle: {path:?} and back to {next:?}");
                if seen.insert(next.clone()) {
                    way.push((next.clone(), [path.clone(), vec![next.clone()]].concat()));
                }
            }
        }
    }
}
