//! Reads the repository's Markdown: pages, code blocks, links and headings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// One file.
pub struct Page {
    /// From the root of the repository.
    pub path: String,
    pub text: String,
}

/// Every Markdown file of the repository.
pub fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    collect(Path::new("."), &mut pages);
    pages.sort_by(|one, other| one.path.cmp(&other.path));
    pages
}

fn collect(folder: &Path, pages: &mut Vec<Page>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                collect(&path, pages);
            }
        } else if name.ends_with(".md") {
            pages.push(Page {
                path: path.strip_prefix(".").unwrap().to_str().unwrap().to_owned(),
                text: std::fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

/// The page at this path.
pub fn page(path: &str) -> Page {
    Page {
        path: path.to_owned(),
        text: std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}")),
    }
}

impl Page {
    /// Code blocks of a language, each with the text behind it.
    pub fn blocks(&self, language: &str) -> Vec<(&str, &str)> {
        let fence = format!("```{language}\n");
        self.text
            .match_indices(&fence)
            .map(|(at, _)| self.text[at + fence.len()..].split_once("```").unwrap())
            .collect()
    }

    /// The lines that are not in a code block.
    pub fn prose(&self) -> String {
        let mut in_code = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            } else if !in_code {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        assert!(!in_code, "{} leaves a code block open", self.path);
        prose
    }

    /// What stands between backticks in the prose.
    pub fn code_words(&self) -> Vec<String> {
        let prose = self.prose();
        let words = prose.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect()
    }

    /// The prose without what stands between backticks.
    pub fn words(&self) -> String {
        self.prose().split('`').step_by(2).collect()
    }

    /// The section under a heading, up to the next one of the same level.
    pub fn section(&self, heading: &str) -> &str {
        let (_, rest) = self
            .text
            .split_once(&format!("\n{heading}\n"))
            .unwrap_or_else(|| panic!("{} has no {heading:?}", self.path));
        let level = heading.split(' ').next().unwrap();
        rest.split(&format!("\n{level} ")).next().unwrap()
    }

    /// Targets of the links that lead to a place in this repository.
    pub fn links(&self) -> Vec<String> {
        let words = self.words();
        words
            .match_indices("](")
            .map(|(at, _)| words[at + 2..].split_once(')').unwrap().0.to_owned())
            .filter(|link| !link.contains("://"))
            .collect()
    }

    /// What links into this page can name.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        let mut anchors = BTreeSet::new();
        let prose = self.prose();
        for line in prose.lines().filter(|line| line.starts_with('#')) {
            let slug: String = line
                .trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect();
            let times = seen.entry(slug.clone()).or_default();
            anchors.insert(match *times {
                0 => slug,
                again => format!("{slug}-{again}"),
            });
            *times += 1;
        }
        anchors
    }

    /// The path that a link of this page leads to, from the root.
    pub fn target(&self, link: &str) -> PathBuf {
        let mut path = Path::new(&self.path).parent().unwrap().to_path_buf();
        for part in Path::new(link).components() {
            match part {
                Component::ParentDir => assert!(path.pop(), "{}: {link} leaves the repository", self.path),
                Component::CurDir => {}
                part => path.push(part),
            }
        }
        path
    }
}

/// The first cells of the rows of the table in a section, without backticks.
pub fn first_cells(section: &str) -> Vec<String> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

#[test]
fn anchors_are_made_as_the_repositorys_host_makes_them() {
    let page = Page {
        path: "x.md".into(),
        text: "# Add an RPC (9 files)\n## A: b, `c_d`\n## Same\n```sh\n# no heading\n```\n## Same\n".into(),
    };
    let anchors: Vec<String> = page.anchors().into_iter().collect();
    assert_eq!(anchors, ["a-b-c_d", "add-an-rpc-9-files", "same", "same-1"]);
}
