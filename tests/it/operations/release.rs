//! `.ci/release`: what it refuses before it makes anything, and what it makes. The
//! script is the real one; what it calls is replaced, since that compiles.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const CHANGES: &str = "- Something that callers notice.\n";

/// Of many commits: more than a pipe holds.
fn changes() -> String {
    CHANGES.repeat(4_000)
}

/// A repository with the files that the script looks at.
struct Tree(tempfile::TempDir);

impl Tree {
    /// Of a version whose section the changelog has, and which is tagged.
    fn released() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for folder in [
            ".ci",
            "helm/transatel-gateway",
            "bin",
            "python/bin",
            "target/reference",
        ] {
            fs::create_dir_all(tree.path().join(folder)).unwrap();
        }
        fs::copy(".ci/release", tree.path().join(".ci/release")).unwrap();
        for (file, script) in [
            (
                ".ci/images",
                "echo one >\"$1/transatel-gateway.tar\"; echo two >\"$1/transatel-gateway-simulator.tar\"",
            ),
            (".ci/shipped", "echo echo"),
            (
                ".ci/sbom",
                "echo \"bill ${1:-transatel-gateway}, offline: ${CARGO_NET_OFFLINE:-no}\"",
            ),
            ("python/bin/python", ":"),
            ("bin/helm", "echo chart >\"$4/transatel-gateway-9.8.7.tgz\""),
        ] {
            let path = tree.path().join(file);
            fs::write(&path, format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        tree.write("Cargo.toml", "[workspace.package]\nversion = \"9.8.7\"\n");
        tree.write("target/reference/index.html", "reference");
        tree.write(".gitignore", "target\nout\n");
        tree.chart("9.8.7", "9.8.7");
        let changes = changes();
        tree.changelog(&format!(
            "## Unreleased\n\n## 9.8.7 (2026-12-01)\n\n{changes}\n## 9.8.7-rc1\n\n- Old.\n"
        ));
        tree.git(&["init", "--quiet"]);
        tree.commit();
        tree.git(&["tag", "v9.8.7"]);
        tree
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path().join(file), text).unwrap();
    }

    fn chart(&self, version: &str, app_version: &str) {
        let text = format!("name: transatel-gateway\nversion: {version}\nappVersion: \"{app_version}\"\n");
        self.write("helm/transatel-gateway/Chart.yaml", &text);
    }

    fn changelog(&self, sections: &str) {
        self.write("CHANGELOG.md", &format!("# Changelog\n\n{sections}"));
    }

    fn git(&self, words: &[&str]) {
        let own = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
        let mut git = Command::new("git");
        // Nothing of the machine's: it might sign commits and tags.
        git.env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        let done = git
            .args(own)
            .args(words)
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a commit"]);
    }

    /// Commits what was changed, with the tag.
    fn tagged(self) -> Self {
        self.commit();
        self.git(&["tag", "--force", "v9.8.7"]);
        self
    }

    fn release(&self, arguments: &[&str]) -> Result<(), String> {
        let path = std::env::var("PATH").unwrap();
        let own = self.path().join("bin");
        let output = Command::new("bash")
            .arg(".ci/release")
            .args(arguments)
            .current_dir(self.path())
            .env("PATH", format!("{}:{path}", own.display()))
            .env("CI_TOOLS", self.path())
            .env_remove("CARGO_NET_OFFLINE")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(said)
        }
    }

    /// Refused with this, before anything was made.
    fn refuses(&self, arguments: &[&str], reason: &str) {
        let said = self.release(arguments).expect_err(reason);
        assert_eq!(said, format!("release: {reason}\n"));
        assert!(!self.path().join("out").exists(), "{reason}");
    }
}

#[test]
fn a_release_is_refused_when_its_versions_its_changelog_or_its_tree_are_not_of_the_tag() {
    let tree = Tree::released();
    tree.git(&["tag", "--delete", "v9.8.7"]);
    tree.refuses(&["out"], "HEAD is not the tag v9.8.7, the version of Cargo.toml");
    tree.git(&["tag", "v9.8.6"]);
    tree.refuses(&["out"], "HEAD is not the tag v9.8.7, the version of Cargo.toml");

    for (version, app_version, stated) in [("9.8.6", "9.8.7", "9.8.6"), ("9.8.7", "9.9.0", "9.9.0")] {
        let tree = Tree::released();
        tree.chart(version, app_version);
        let reason = format!("Chart.yaml says {stated}, and Cargo.toml 9.8.7");
        let tree = tree.tagged();
        tree.refuses(&["out"], &reason);
        tree.refuses(&["--trial", "out"], &reason);
    }

    let tree = Tree::released();
    tree.write("forgotten", "");
    tree.refuses(&["out"], "there are changes that are not committed");

    let tree = Tree::released();
    tree.changelog(&format!("## Unreleased\n\n{CHANGES}\n## 9.8.7\n\n{CHANGES}"));
    let reason = "CHANGELOG.md still has entries under Unreleased: name the section 9.8.7";
    tree.tagged().refuses(&["out"], reason);

    for sections in [
        "## Unreleased\n\n## 9.8.6\n\n- Old.\n",
        "## 9.8.7\n\n## 9.8.6\n\n- Old.\n",
    ] {
        let tree = Tree::released();
        tree.changelog(sections);
        tree.tagged()
            .refuses(&["out"], "CHANGELOG.md has nothing under \"9.8.7\"");
    }
}

#[test]
fn a_release_is_one_folder_with_the_changes_and_a_checksum_of_every_file() {
    let tree = Tree::released();
    tree.release(&["out"]).unwrap();
    let out = tree.path().join("out");
    let mut files: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let expected = [
        "CHANGES.md",
        "SHA256SUMS",
        "connectivity-v1.binpb",
        "reference.tar.gz",
        "transatel-gateway-9.8.7.tgz",
        "transatel-gateway-simulator.cdx.json",
        "transatel-gateway-simulator.tar",
        "transatel-gateway.cdx.json",
        "transatel-gateway.tar",
    ];
    assert_eq!(files, expected);
    let read = |file: &str| fs::read_to_string(out.join(file)).unwrap();
    assert_eq!(read("CHANGES.md").trim(), changes().trim());
    assert_eq!(
        read("transatel-gateway-simulator.cdx.json"),
        "bill transatel-simulator, offline: true\n"
    );
    let listed: Vec<String> = read("SHA256SUMS")
        .lines()
        .map(|line| line.split("  ").nth(1).unwrap().to_owned())
        .collect();
    let others: Vec<&String> = files.iter().filter(|file| *file != "SHA256SUMS").collect();
    assert_eq!(listed.iter().collect::<Vec<_>>(), others);
    let mut check = Command::new("sha256sum");
    check.args(["--quiet", "--check", "SHA256SUMS"]).current_dir(&out);
    assert!(check.status().unwrap().success());
    // Nothing is put into a folder that holds something.
    let said = tree.release(&["out"]).unwrap_err();
    assert_eq!(said, "release: out is not empty\n");
}

#[test]
fn a_trial_is_of_any_commit_and_of_what_is_not_released() {
    let tree = Tree::released();
    tree.git(&["tag", "--delete", "v9.8.7"]);
    tree.changelog(&format!("## Unreleased\n\n{}", changes()));
    tree.release(&["--trial", "out"]).unwrap();
    let written = fs::read_to_string(tree.path().join("out/CHANGES.md")).unwrap();
    assert_eq!(written.trim(), changes().trim());
}
