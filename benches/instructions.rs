//! User instructions per request, which repeat where times wander.
//!
//! `cargo bench --profile dev --bench instructions -- --check` fails when a
//! hot call costs more than the committed figure allows; `-- --update` commits
//! to the present figures. Only this driver is built with the `dev` profile.
//! What it counts is the shipped code: the very binary of the image.
//!
//! One gateway runs under callgrind on one core. For each call it answers a
//! short and a long run of requests, one at a time on one connection, and
//! callgrind writes what each run took; the difference is free of what a
//! connection costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::Deserialize;
use support::calls::{self, Call};
use support::load::{Generator, Shape};
use support::process::{GATEWAY, Gateway, Simulator, on_core, output_of};
use support::report::{Table, grouped};

/// The calls that the gate watches. A new hot call is added here; `--update`
/// then writes its figure.
fn watched() -> Vec<Call> {
    vec![calls::get_product(), calls::list_products()]
}

/// Growth that is not noise: runs differ by less than a tenth of this.
const ALLOWED_GROWTH: f64 = 0.05;

const ONE_BY_ONE: Shape = Shape {
    name: "one by one",
    connections: 1,
    streams: 1,
    core: 1,
};
/// Until caches, buffers and hash tables have their size.
const WARM_UP: u32 = 300;
const SHORT: u32 = 500;
const LONG: u32 = 2_500;

const COMMITTED: &str = "benches/instructions.toml";
const UPDATE: &str = "cargo bench --profile dev --bench instructions -- --update";

/// The committed figures.
#[derive(Deserialize)]
struct Committed {
    rustc: String,
    instructions: BTreeMap<String, f64>,
}

fn main() -> ExitCode {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let figures = count();
    let rustc = output_of(Command::new("rustc").arg("--version"))
        .trim()
        .to_owned();
    if asked("--update") {
        std::fs::write(committed_file(), document(&figures, &rustc)).expect("it can be written");
        println!("wrote {COMMITTED}");
    }
    let text = std::fs::read_to_string(committed_file()).expect("the committed figures");
    let committed: Committed = toml::from_str(&text).expect("the committed figures can be read");
    if committed.rustc != rustc {
        println!(
            "note: the committed figures are from {}, these from {rustc}",
            committed.rustc
        );
    }
    let verdicts = compare(&figures, &committed.instructions);
    let mut table = Table::new(&["call", "instructions per request", "committed", "growth"]);
    for (name, verdict) in &verdicts {
        let growth = verdict
            .growth()
            .map_or_else(|| "new".to_owned(), |growth| format!("{:+.2} %", growth * 100.0));
        table.row(&[
            name.clone(),
            grouped(verdict.now),
            verdict.committed.map(grouped).unwrap_or_default(),
            growth,
        ]);
    }
    println!("{}", table.text());
    if !asked("--check") {
        return ExitCode::SUCCESS;
    }
    let mut passed = true;
    for (name, verdict) in &verdicts {
        match verdict.growth() {
            None => {
                println!("{name} has no committed figure: {UPDATE}");
                passed = false;
            }
            Some(growth) if growth > ALLOWED_GROWTH => {
                println!(
                    "{name} takes {:.1} % more instructions than committed. If it must: {UPDATE}",
                    growth * 100.0
                );
                passed = false;
            }
            Some(growth) if growth < -ALLOWED_GROWTH => {
                println!(
                    "{name} got {:.1} % cheaper. Keep it so: {UPDATE}",
                    -growth * 100.0
                );
            }
            Some(_) => {}
        }
    }
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn committed_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(COMMITTED)
}

fn document(figures: &BTreeMap<String, f64>, rustc: &str) -> String {
    let mut text = format!(
        "# User instructions per request of the hot calls. `.ci/run` fails when one\n\
         # grows by more than {:.0} %. Written by\n#     {UPDATE}\nrustc = \"{rustc}\"\n\n[instructions]\n",
        ALLOWED_GROWTH * 100.0
    );
    for (name, figure) in figures {
        let _ = writeln!(text, "\"{name}\" = {figure:.0}");
    }
    text
}

/// A call's figure beside the committed one.
struct Verdict {
    now: f64,
    committed: Option<f64>,
}

impl Verdict {
    fn growth(&self) -> Option<f64> {
        self.committed.map(|committed| self.now / committed - 1.0)
    }
}

fn compare(figures: &BTreeMap<String, f64>, committed: &BTreeMap<String, f64>) -> BTreeMap<String, Verdict> {
    let verdict = |(name, now): (&String, &f64)| {
        (
            name.clone(),
            Verdict {
                now: *now,
                committed: committed.get(name).copied(),
            },
        )
    };
    figures.iter().map(verdict).collect()
}

/// Instructions per request of every watched call.
fn count() -> BTreeMap<String, f64> {
    let gateway_binary = build();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let counts = folder.path().join("counts");
    let mut command = on_core(0, "valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(&gateway_binary);
    let simulator = Simulator::start(Path::new(GATEWAY));
    let mut gateway = Gateway::start(command, &simulator);
    gateway.ready();
    let process = gateway.process.id().to_string();
    let generator = Generator::new();
    let mut dumps = 0;
    // What was executed since the last dump.
    let mut dump = || {
        output_of(Command::new("callgrind_control").args(["--dump", &process]));
        dumps += 1;
        totals(&PathBuf::from(format!("{}.{dumps}", counts.display())))
    };
    let measure = |call: &Call| {
        let mut run = |requests| {
            generator.run(gateway.grpc, call, ONE_BY_ONE, requests);
            dump()
        };
        run(WARM_UP);
        let (short, long) = (run(SHORT), run(LONG));
        (call.name.to_owned(), (long - short) / f64::from(LONG - SHORT))
    };
    watched().iter().map(measure).collect()
}

/// Builds the gateway as it is shipped and returns where it is.
fn build() -> PathBuf {
    println!("building the gateway as it is shipped");
    let mut command = Command::new("bash");
    command.arg(".ci/shipped").current_dir(env!("CARGO_MANIFEST_DIR"));
    PathBuf::from(output_of(&mut command).trim())
}

/// The sum line of one of callgrind's files.
fn totals(file: &Path) -> f64 {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let line = text.lines().find_map(|line| line.strip_prefix("totals: "));
    line.and_then(|number| number.trim().parse().ok())
        .expect("callgrind's total")
}
