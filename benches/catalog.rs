//! What the gateway costs over a bare tonic server.
//!
//! `cargo bench --bench catalog [-- --write]`
//!
//! Three servers answer the same call with the same bytes, each in a process
//! of its own on core 0, in interleaved rounds:
//!
//! * the gateway, from its cache;
//! * `bare`, tonic with a codec that copies constant bytes and does not look
//!   at the request: the fastest fair server, and what the gateway is judged
//!   against;
//! * `bare, prost`, tonic as it is generated: it decodes the request, clones a
//!   constant message and encodes it.
//!
//! All three have the same allocator and the same build. Loads: *busy*, eight
//! connections with 32 calls in flight each, from the other core; *calm*, one
//! call at a time from the same core, so that no wake-up of a sleeping core is
//! measured. Requests per second may be bound by the client, so the table also
//! has the server's own processor time per request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_docs)]

mod bare;
mod support;

use std::net::SocketAddr;
use std::path::Path;

use bare::Answers;
use support::calls::{self, Call};
use support::load::{Generator, Shape};
use support::process::{GATEWAY, Gateway, Running, Simulator, announced, on_core};
use support::report::{self, Surroundings, Table, grouped, median, quantile};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BUSY: Shape = Shape {
    name: "busy (-c8 -m32)",
    connections: 8,
    streams: 32,
    core: 1,
};
const CALM: Shape = Shape {
    name: "calm (-c1 -m1)",
    connections: 1,
    streams: 1,
    core: 0,
};

/// The names in the table; the second is the yardstick.
const SERVERS: [&str; 3] = ["gateway", "bare", "bare, prost"];
const YARDSTICK: usize = 1;

/// Many short rounds: what disturbs one hits all servers of it.
const ROUNDS: usize = 15;

/// Every measured case: the call, the load, requests per run (about half a
/// second), and the least ratio that is wanted.
fn cases() -> Vec<(Call, Shape, u32, Option<f64>)> {
    vec![
        (calls::get_product(), BUSY, 25_000, Some(0.9)),
        (calls::get_product(), CALM, 5_000, Some(0.9)),
        (calls::list_products(), BUSY, 10_000, Some(0.7)),
        (calls::list_products(), CALM, 4_000, Some(0.7)),
    ]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("bare") {
        return bare::serve(&arguments.collect::<Vec<_>>());
    }
    let watch = Surroundings::watch();
    let simulator = Simulator::start(Path::new(GATEWAY));
    let mut gateway = Gateway::start(on_core(0, GATEWAY), &simulator);
    gateway.ready();

    let answers = Answers::ask(gateway.grpc, &[calls::get_product(), calls::list_products()]);
    let servers = [
        (gateway.process, gateway.grpc),
        start_bare("bytes", &answers),
        start_bare("prost", &answers),
    ];
    let generator = Generator::new();
    let mut table = Table::new(&[
        "call (reply body)",
        "load",
        "server",
        "req/s median [best]",
        "× bare",
        "server CPU µs/req median [least]",
        "× bare",
        "p50 / p99 µs",
        "wanted",
    ]);
    for (call, shape, count, wanted) in cases() {
        let runs = measure(&generator, &servers, &call, shape, count);
        for (server, name) in SERVERS.iter().enumerate() {
            table.row(&row(&runs, server, name, &call, shape, wanted));
        }
    }
    let section = format!("{}\n{}", report::circumstances(&watch), table.text());
    report::publish("catalog", &section);
}

fn start_bare(kind: &str, answers: &Answers) -> (Running, SocketAddr) {
    let mut command = on_core(0, std::env::current_exe().expect("this program"));
    announced(command.args(["bare", kind]).args(answers.files()))
}

/// Figures of one server, one per round.
#[derive(Default)]
struct Runs {
    per_second: Vec<f64>,
    microseconds: Vec<f64>,
    latencies: Vec<u32>,
    reply_bytes: u64,
}

fn measure(
    generator: &Generator,
    servers: &[(Running, SocketAddr); 3],
    call: &Call,
    shape: Shape,
    count: u32,
) -> [Runs; 3] {
    let mut runs: [Runs; 3] = Default::default();
    for round in 0..=ROUNDS {
        for turn in 0..servers.len() {
            // Nobody always follows the same neighbour.
            let server = (turn + round) % servers.len();
            let (process, address) = &servers[server];
            let before = process.processor_time();
            let outcome = generator.run(*address, call, shape, count);
            let spent = process.processor_time() - before;
            // The first round warms up.
            if round > 0 {
                let of_server = &mut runs[server];
                of_server.per_second.push(outcome.per_second);
                of_server
                    .microseconds
                    .push(spent.as_secs_f64() * 1e6 / f64::from(count));
                of_server.latencies.extend(outcome.latencies);
                of_server.reply_bytes = outcome.reply_bytes;
            }
        }
    }
    let sizes: Vec<u64> = runs.iter().map(|runs| runs.reply_bytes).collect();
    assert!(
        sizes.iter().all(|size| *size == sizes[0]),
        "the servers answer differently: {sizes:?}"
    );
    runs
}

fn row(
    runs: &[Runs; 3],
    server: usize,
    name: &str,
    call: &Call,
    shape: Shape,
    wanted: Option<f64>,
) -> [String; 9] {
    let (mine, yardstick) = (&runs[server], &runs[YARDSTICK]);
    let ratio = |mine: &[f64], other: &[f64]| {
        let ratios: Vec<f64> = mine.iter().zip(other).map(|(mine, other)| mine / other).collect();
        format!("{:.2}", median(&ratios))
    };
    [
        format!("{} ({} B)", call.name, grouped(mine.reply_bytes as f64)),
        shape.name.to_owned(),
        name.to_owned(),
        format!(
            "{} [{}]",
            grouped(median(&mine.per_second)),
            grouped(quantile(&mine.per_second, 1.0))
        ),
        ratio(&mine.per_second, &yardstick.per_second),
        format!(
            "{:.1} [{:.1}]",
            median(&mine.microseconds),
            quantile(&mine.microseconds, 0.0)
        ),
        ratio(&mine.microseconds, &yardstick.microseconds),
        format!(
            "{} / {}",
            grouped(f64::from(median(&mine.latencies))),
            grouped(f64::from(quantile(&mine.latencies, 0.99)))
        ),
        wanted
            .filter(|_| server == 0)
            .map_or_else(String::new, |wanted| format!("≥ {wanted} req/s")),
    ]
}
