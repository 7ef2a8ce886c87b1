//! What a gateway takes before anyone calls: memory, and time to get ready.
//!
//! `cargo bench --bench footprint [-- --write]`
//!
//! The simulated provider is another process and has answered before, so that
//! only the gateway's own start is measured: process, settings, ports, token,
//! catalog, index.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_docs)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::calls;
use support::load::{Generator, Shape};
use support::process::{GATEWAY, Gateway, Simulator};
use support::report::{self, Surroundings, Table, median, quantile};

/// Starts that are timed.
const STARTS: usize = 21;
/// Idle is this long after the start: longer than any work that the start
/// leaves behind.
const IDLE_AFTER: Duration = Duration::from_secs(5);

fn main() {
    let watch = Surroundings::watch();
    let simulator = Simulator::start(Path::new(GATEWAY));
    let start = || Gateway::start(Command::new(GATEWAY), &simulator);
    start().ready();

    let starts: Vec<f64> = (0..STARTS).map(|_| start().ready().as_secs_f64() * 1e3).collect();
    let mut gateway = start();
    gateway.ready();
    let memory = |name: &str| gateway.process.memory(name) as f64 / f64::from(1 << 20);
    let at_start = memory("VmRSS");
    pause(IDLE_AFTER);
    let (idle, own) = (memory("VmRSS"), memory("RssAnon"));
    let generator = Generator::new();
    let busy = Shape {
        name: "busy",
        connections: 8,
        streams: 32,
        core: 1,
    };
    for call in [calls::get_product(), calls::list_products()] {
        generator.run(gateway.grpc, &call, busy, 50_000);
    }
    pause(IDLE_AFTER);
    let (after, peak) = (memory("VmRSS"), memory("VmHWM"));

    let mut table = Table::new(&["figure", "measured", "wanted"]);
    let mut row = |figure: &str, measured: String, wanted: &str| table.row(&[figure, &measured, wanted]);
    row(
        &format!("start to ready, ms: median [least, most] of {STARTS}"),
        format!(
            "{:.0} [{:.0}, {:.0}]",
            median(&starts),
            quantile(&starts, 0.0),
            quantile(&starts, 1.0)
        ),
        "< 200",
    );
    row("resident memory when ready, MiB", format!("{at_start:.1}"), "");
    row(
        "resident memory idle after 5 s, MiB (of it private)",
        format!("{idle:.1} ({own:.1})"),
        "< 25",
    );
    row(
        "resident memory idle after 100,000 calls, 256 at once, MiB (peak)",
        format!("{after:.1} ({peak:.1})"),
        "",
    );
    report::publish(
        "footprint",
        &format!("{}\n{}", report::circumstances(&watch), table.text()),
    );
}

#[allow(clippy::disallowed_methods, reason = "being idle is waiting for nothing")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
