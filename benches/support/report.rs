//! Tables in Markdown, and the file that they are committed in.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use super::process::output_of;

/// Prints one bench's section and, with `--write`, puts it in place of its
/// last one in `docs/benchmarks.md`.
pub fn publish(bench: &str, section: &str) {
    println!("{section}");
    if std::env::args().any(|argument| argument == "--write") {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
        let file = std::fs::read_to_string(&path).expect("docs/benchmarks.md is there");
        let (begin, end) = (
            format!("<!-- begin {bench} -->\n"),
            format!("<!-- end {bench} -->"),
        );
        let (head, rest) = file.split_once(&begin).expect("it has a place for this bench");
        let (_, tail) = rest.split_once(&end).expect("the place ends");
        let section = section.trim_end();
        std::fs::write(&path, format!("{head}{begin}{section}\n{end}{tail}")).expect("it can be written");
    }
}

/// The machine, the compiler, the day, and how disturbed the run was.
pub fn circumstances(watch: &Surroundings) -> String {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = output_of(Command::new("rustc").arg("--version"));
    let commit = output_of(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"]));
    format!(
        "{}, {cores} cores, Linux {}, {}, {}, commit {}; {}\n",
        model.map_or("unknown processor", |(_, name)| name),
        kernel.trim(),
        rustc.trim(),
        jiff::Timestamp::now().strftime("%F"),
        commit.trim(),
        watch.disturbance(),
    )
}

/// Watches what else the machine did.
pub struct Surroundings {
    counters: Vec<u64>,
    load: String,
}

impl Surroundings {
    /// Begins to watch.
    pub fn watch() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        Self {
            counters: Self::counters(),
            load,
        }
    }

    /// How many processes wanted a core in the minute before, and the share of
    /// processor time since then that went to the hypervisor's other guests.
    fn disturbance(&self) -> String {
        let now = Self::counters();
        let since: Vec<u64> = now
            .iter()
            .zip(&self.counters)
            .map(|(now, then)| now.saturating_sub(*then))
            .collect();
        let (all, stolen) = (
            since.iter().take(8).sum::<u64>(),
            since.get(7).copied().unwrap_or_default(),
        );
        let stolen = 100.0 * stolen as f64 / all.max(1) as f64;
        format!("load average before {}, stolen {stolen:.1} %", self.load)
    }

    fn counters() -> Vec<u64> {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default();
        line.split_whitespace()
            .skip(1)
            .filter_map(|count| count.parse().ok())
            .collect()
    }
}

/// A table, row by row.
pub struct Table(String);

impl Table {
    /// Begins with its head.
    pub fn new(head: &[&str]) -> Self {
        let mut table = Self(String::new());
        table.row(head);
        table.row(&vec!["---"; head.len()]);
        table
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[impl AsRef<str>]) {
        for cell in cells {
            let _ = write!(self.0, "| {} ", cell.as_ref());
        }
        self.0.push_str("|\n");
    }

    /// The table.
    pub fn text(self) -> String {
        self.0
    }
}

/// The value that a share of all values does not exceed, by nearest rank.
pub fn quantile<T: Copy + PartialOrd>(values: &[T], share: f64) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|left, right| left.partial_cmp(right).expect("comparable figures"));
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The middle value.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    quantile(values, 0.5)
}

/// A whole number with its thousands apart.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
