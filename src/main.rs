//! The gateway's process. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use transatel_gateway::commands::{self, Arguments};

/// A tenth fewer instructions per call than the system's allocator, measured
/// on a bare tonic server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::run(Arguments::parse())
}
