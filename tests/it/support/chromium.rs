//! A real browser: headless Chromium, as Debian has it.
//!
//! Without it the tests that need it say so and pass; with `REQUIRE_CHROMIUM=1` they
//! fail.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// The browser's start takes a second; a busy machine's much longer.
const LONGEST: Duration = Duration::from_secs(90);

/// One at a time: a browser takes every core, and other tests have deadlines.
static ONE: Semaphore = Semaphore::const_new(1);

/// The browser, without anything that it does by itself.
pub struct Chromium(PathBuf);

/// A page as the browser shows it.
pub struct Shown {
    /// Its elements, as they are after it was loaded.
    pub dom: String,
    /// What the browser has to say about it: violations of its policy, errors.
    pub console: Vec<String>,
    /// A picture of it, PNG.
    pub picture: Vec<u8>,
}

/// How a page is laid out.
#[derive(Debug)]
pub struct Layout {
    /// The width that it takes.
    pub width: u64,
    /// Elements that stick out of their section.
    pub sticking_out: u64,
    /// The colour behind it.
    pub background: String,
    /// What it asked for beside itself.
    pub requests: u64,
}

impl Chromium {
    /// `None` when there is none and none is required.
    pub fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .map(|folder| folder.join("chromium"))
            .find(|file| file.exists());
        if found.is_none() {
            let required = std::env::var("REQUIRE_CHROMIUM").is_ok_and(|value| value == "1");
            assert!(!required, "REQUIRE_CHROMIUM=1, and there is no chromium on PATH");
            eprintln!("no chromium on PATH: not tested with it");
        }
        found.map(Self)
    }

    /// Opens a page in a window of this size, light or dark.
    pub async fn show(&self, url: &str, size: (u32, u32), dark: bool) -> Shown {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("picture.png");
        let size = format!("--window-size={},{}", size.0, size.1);
        let screenshot = format!("--screenshot={}", picture.display());
        let (dom, log) = self.run(folder.path(), &[&size, &screenshot, url], dark).await;
        let console = log.lines().filter(|line| line.contains(":CONSOLE"));
        Shown {
            dom,
            console: console.map(str::to_owned).collect(),
            picture: std::fs::read(picture).unwrap(),
        }
    }

    /// Lays a page out in a frame of this width. A script around the frame
    /// measures it, for the page itself must not run any; so the policy that comes
    /// with the page does not apply here, and cannot hide what it asks for.
    pub async fn lay_out(&self, page: &str, width: u32, dark: bool) -> Layout {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("frame.html");
        let page = page.replace('&', "&amp;").replace('"', "&quot;");
        let frame = format!(
            "<!doctype html><iframe width={width} height=900 style=\"border:0\" srcdoc=\"{page}\"></iframe><pre></pre>\
             <script>onload = () => {{ const view = frames[0]; const root = view.document.documentElement; \
             const right = (element) => element.getBoundingClientRect().right; \
             const inner = [...view.document.querySelectorAll('section *')]; \
             document.querySelector('pre').textContent = JSON.stringify({{ width: root.scrollWidth, \
             sticking_out: inner.filter((part) => right(part) > right(part.closest('section'))).length, \
             background: view.getComputedStyle(view.document.body).backgroundColor, \
             requests: view.performance.getEntriesByType('resource').length }}); }}</script>"
        );
        std::fs::write(&file, frame).unwrap();
        let url = format!("file://{}", file.display());
        let (dom, log) = self.run(folder.path(), &[&url], dark).await;
        let measured = dom
            .split("<pre>")
            .nth(1)
            .and_then(|rest| rest.split("</pre>").next());
        let measured = measured.unwrap_or_else(|| panic!("nothing was measured: {log}"));
        let measured: Value = serde_json::from_str(measured).unwrap();
        Layout {
            width: measured["width"].as_u64().unwrap(),
            sticking_out: measured["sticking_out"].as_u64().unwrap(),
            background: measured["background"].as_str().unwrap().to_owned(),
            requests: measured["requests"].as_u64().unwrap(),
        }
    }

    /// Runs it to the end of the page's load; the elements, and its log.
    async fn run(&self, folder: &Path, arguments: &[&str], dark: bool) -> (String, String) {
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
        let _one = ONE.acquire().await.unwrap();
        let run = Command::new("nice")
            .arg(&self.0)
            .args(["--headless=new", "--dump-dom", "--enable-logging=stderr", "--v=0"])
            // Containers have no user namespaces, and a small /dev/shm.
            .args([
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args([&profile, &scheme])
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LONGEST, run).await.unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    }
}
