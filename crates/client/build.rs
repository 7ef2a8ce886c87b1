//! Writes `contract.rs`: the messages of the contract and a client for every
//! service.

use std::error;

use prost_types::FileDescriptorSet;

#[path = "../../build/contract.rs"]
mod contract;

fn main() -> Result<(), Box<dyn error::Error>> {
    let compiler = contract::compile("../../proto")?;
    let mut set = compiler.file_descriptor_set();
    fence_commands(&mut set);
    contract::generate(
        tonic_prost_build::configure().build_server(false),
        set,
        &compiler.descriptor_pool(),
    )
}

/// Marks the indented `grpcurl` lines of comments as shell: rustdoc takes an
/// indented block for Rust and would compile it.
fn fence_commands(set: &mut FileDescriptorSet) {
    let locations = set
        .file
        .iter_mut()
        .filter_map(|file| file.source_code_info.as_mut())
        .flat_map(|info| &mut info.location);
    for comment in locations.filter_map(|location| location.leading_comments.as_mut()) {
        let fenced = comment.lines().map(|line| match line.strip_prefix("     ") {
            Some(command) if command.starts_with("grpcurl ") => {
                format!(" ```sh\n {command}\n ```\n")
            }
            _ => format!("{line}\n"),
        });
        *comment = fenced.collect();
    }
}
