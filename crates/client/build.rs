//! Writes `contract.rs`: the messages of the contract and a client for every
//! service; and `repeatable.rs`, which requests may be sent again.

use std::path::PathBuf;
use std::{env, error, fs};

use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;

#[path = "../../build/contract.rs"]
mod contract;

fn main() -> Result<(), Box<dyn error::Error>> {
    let compiler = contract::compile("../..")?;
    let mut set = compiler.file_descriptor_set();
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("repeatable.rs"),
        repeatable(&set)?,
    )?;
    fence_commands(&mut set);
    contract::generate(
        tonic_prost_build::configure().build_server(false),
        set,
        &compiler.descriptor_pool(),
    )
}

/// The requests of all methods: those that have no effect, or the same effect
/// when they are repeated, and those that a `request_id` makes so.
fn repeatable(set: &FileDescriptorSet) -> Result<String, String> {
    let ours = || set.file.iter().filter(|file| file.package() == contract::PACKAGE);
    let messages = ours().flat_map(|file| &file.message_type);
    let with_request_id: Vec<&str> = messages
        .filter(|message| message.field.iter().any(|field| field.name() == "request_id"))
        .map(|message| message.name())
        .collect();
    let (mut always, mut by_request_id) = (String::new(), String::new());
    for method in ours()
        .flat_map(|file| &file.service)
        .flat_map(|service| &service.method)
    {
        let request = method.input_type().rsplit('.').next().unwrap_or_default();
        let level = method
            .options
            .as_ref()
            .map_or(0, |options| options.idempotency_level.unwrap_or(0));
        let list = match IdempotencyLevel::try_from(level) {
            Ok(IdempotencyLevel::NoSideEffects) => &mut always,
            Ok(IdempotencyLevel::Idempotent) if with_request_id.contains(&request) => &mut by_request_id,
            Ok(IdempotencyLevel::Idempotent) => &mut always,
            _ => return Err(format!("{} has no idempotency_level", method.name())),
        };
        *list += &format!("{request} ");
    }
    Ok(format!(
        "repeatable! {{ always: {always}; with_a_request_id: {by_request_id}; }}"
    ))
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
