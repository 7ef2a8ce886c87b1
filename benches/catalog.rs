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

use std::path::Path;

use bare::Answers;
use support::calls::{self, Call};
use support::compare;
use support::load::{BUSY, CALM, Generator, Shape};
use support::process::{GATEWAY, Gateway, Simulator, on_core};
use support::report::{self, Surroundings, Table};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The names in the table; the second is the yardstick.
const SERVERS: [&str; 3] = ["gateway", "bare", "bare, prost"];
const YARDSTICK: usize = 1;

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
        answers.serve("bytes"),
        answers.serve("prost"),
    ];
    let generator = Generator::new();
    let mut table = Table::new(&compare::HEAD);
    for (call, shape, count, wanted) in cases() {
        let runs = compare::measure(&generator, &servers, &call, shape, count);
        for (server, name) in SERVERS.iter().enumerate() {
            let wanted = wanted.filter(|_| server == 0);
            let yardstick = &runs[YARDSTICK];
            table.row(&compare::row(
                &runs[server],
                yardstick,
                name,
                &call,
                shape,
                wanted,
            ));
        }
    }
    let section = format!("{}\n{}", report::circumstances(&watch), table.text());
    report::publish("catalog", &section);
}
