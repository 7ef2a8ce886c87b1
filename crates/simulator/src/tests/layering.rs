//! Data runs one way: a folder uses only the folders that it is meant to, and no file uses one that uses it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Folder → folders that it may use.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("world", &[]),
    ("faults", &[]),
    ("webhooks", &["world"]),
    ("http", &["faults", "webhooks", "world"]),
    ("api", &["http", "world"]),
    ("control", &["faults", "http", "webhooks", "world"]),
];

/// Files that every folder may use. They use nothing.
const TOOLS: [&str; 4] = ["duration_text", "kinds", "lock", "tasks"];

/// Crates that `world` must not name.
const TRANSPORT: [&str; 5] = ["axum", "http", "hyper", "hyper_util", "tower"];

/// Modules by their paths, such as `world::stock::sim`, with the code of their files.
fn modules() -> BTreeMap<String, String> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    files
        .iter()
        .filter(|path| !path.starts_with("src/tests"))
        .map(|path| {
            let name = path.strip_prefix("src").unwrap().with_extension("");
            let name = name.to_str().unwrap().replace('/', "::");
            let name = name.strip_suffix("::mod").unwrap_or(&name).to_owned();
            (name, code(path))
        })
        .collect()
}

/// The code of a file without its comments and its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with("//"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Every path that starts with `crate::`, with the braces of `use` taken apart.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        expand("", &code[at + start.len()..], &mut paths);
    }
    paths
}

/// Adds the paths that `text` starts with, and gives what follows them.
fn expand<'a>(prefix: &str, text: &'a str, paths: &mut Vec<String>) -> &'a str {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let end = text.find(|letter| !is_part(letter)).unwrap_or(text.len());
    let (path, mut rest) = text.split_at(end);
    let path = format!("{prefix}{path}");
    if !path.is_empty() && !path.ends_with("::") {
        paths.push(path);
        return rest;
    }
    while let Some(inner) = rest.strip_prefix(['{', ',']) {
        let inner = inner.trim_start();
        rest = if inner.starts_with('}') {
            inner
        } else {
            expand(&path, inner, paths).trim_start()
        };
        // What is renamed is still used under its own name.
        if let Some(renamed) = rest.strip_prefix("as ") {
            rest = renamed.trim_start_matches(is_part).trim_start();
        }
    }
    rest.strip_prefix('}').unwrap_or(rest)
}

/// Module → modules that it uses.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules();
    let module_of = |path: &str| {
        let mut path = path.trim_end_matches("::self");
        while !modules.contains_key(path) {
            path = path.rsplit_once("::")?.0;
        }
        Some(path.to_owned())
    };
    modules
        .iter()
        .map(|(name, code)| {
            let used = paths(code)
                .iter()
                .map(|path| {
                    module_of(path).unwrap_or_else(|| panic!("{name}: crate::{path} is in no module"))
                })
                .filter(|used| used != name)
                .collect();
            (name.clone(), used)
        })
        .collect()
}

fn folder(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// Modules that use each other, in a row that ends where it starts.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit<'a>(
        module: &'a str,
        uses: &'a BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|passed| *passed == module) {
            let row = way[start..].iter().chain([&module]);
            return Some(row.map(|module| (*module).to_owned()).collect());
        }
        if !done.insert(module) {
            return None;
        }
        way.push(module);
        let found = uses[module].iter().find_map(|used| visit(used, uses, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    uses.keys()
        .find_map(|module| visit(module, uses, &mut Vec::new(), &mut done))
}

#[test]
fn no_folder_uses_one_that_it_must_not() {
    let uses = uses();
    let folders: BTreeSet<_> = ALLOWED.iter().map(|(folder, _)| *folder).collect();
    for (module, used) in &uses {
        let own = folder(module);
        let allowed = match ALLOWED.iter().find(|(folder, _)| *folder == own) {
            Some((_, allowed)) => *allowed,
            None if TOOLS.contains(&own) => &[],
            None if own == "lib" || own == "main" => continue,
            None if own == "options" => &["webhooks"],
            None if own == "environment" => &["options", "webhooks"],
            None => panic!("{module} is in no folder"),
        };
        for used in used.iter().map(|used| folder(used)).filter(|used| *used != own) {
            let tool = folders.contains(own) && TOOLS.contains(&used);
            assert!(
                tool || allowed.contains(&used),
                "{module}: {own} must not use {used}"
            );
        }
    }
    let seen: BTreeSet<_> = uses.keys().map(|module| folder(module)).collect();
    for name in folders.iter().chain(&TOOLS) {
        assert!(seen.contains(name), "{name} does not exist");
    }
}

#[test]
fn no_files_use_each_other() {
    let circle = circle(&uses());
    assert_eq!(circle, None);
}

#[test]
fn what_is_in_another_file_is_named_from_the_crate_on() {
    for (module, code) in modules() {
        // Its modules are inside the file.
        if !matches!(module.as_str(), "lib" | "duration_text") {
            let relative = code.contains("super::") || code.contains(" self::");
            assert!(!relative, "{module}: say crate::, so that circles can be seen");
        }
    }
}

#[test]
fn the_world_knows_no_http() {
    for (module, code) in modules() {
        for name in TRANSPORT {
            let named = [" ", "(", "<", "&"].map(|before| format!("{before}{name}::"));
            let found = folder(&module) == "world" && named.iter().any(|text| code.contains(text));
            assert!(!found, "{module} must not know {name}");
        }
    }
}

#[test]
fn a_circle_is_found() {
    let uses = |pairs: &[(&str, &[&str])]| {
        pairs
            .iter()
            .map(|(module, used)| {
                let used = used.iter().map(|used| (*used).to_owned()).collect();
                ((*module).to_owned(), used)
            })
            .collect()
    };
    assert_eq!(
        circle(&uses(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])),
        None
    );
    let found = circle(&uses(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]));
    assert_eq!(found.unwrap(), ["b", "c", "b"]);
}

#[test]
fn braces_of_a_use_are_taken_apart() {
    let code = "use crate::{a::{b as c, d::E, self}, f}; fn g() { crate::h::i(crate::j) }";
    let found = paths(code);
    assert_eq!(found, ["a::b", "a::d::E", "a::self", "f", "h::i", "j"]);
}
