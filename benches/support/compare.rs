//! Servers that answer the same call, in turns.

use std::net::SocketAddr;

use super::calls::Call;
use super::load::{Generator, Shape};
use super::process::Running;
use super::report::{grouped, median, quantile};

/// Many short rounds: what disturbs one hits all servers of it.
const ROUNDS: usize = 15;

/// The head of the rows below.
pub const HEAD: [&str; 9] = [
    "call (reply body)",
    "load",
    "server",
    "req/s median [best]",
    "× bare",
    "server CPU µs/req median [least]",
    "× bare",
    "p50 / p99 µs",
    "wanted",
];

/// Figures of one server, one per round.
#[derive(Default)]
pub struct Runs {
    per_second: Vec<f64>,
    microseconds: Vec<f64>,
    latencies: Vec<u32>,
    reply_bytes: u64,
}

/// Makes the call on each server in turns, `count` times a turn.
pub fn measure<const SERVERS: usize>(
    generator: &Generator,
    servers: &[(Running, SocketAddr); SERVERS],
    call: &Call,
    shape: Shape,
    count: u32,
) -> [Runs; SERVERS] {
    let mut runs = std::array::from_fn(|_| Runs::default());
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
    // The moment at which the catalog was read is a few bytes shorter in one
    // process than in another.
    assert!(
        sizes.iter().all(|size| size.abs_diff(sizes[0]) <= 4),
        "the servers answer differently: {sizes:?}"
    );
    runs
}

/// One server's row; `wanted` is the least ratio to the yardstick's requests
/// a second.
pub fn row(
    mine: &Runs,
    yardstick: &Runs,
    name: &str,
    call: &Call,
    shape: Shape,
    wanted: Option<f64>,
) -> [String; 9] {
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
        wanted.map_or_else(String::new, |wanted| format!("≥ {wanted} req/s")),
    ]
}
