//! The contract as a descriptor set, for tools that cannot use reflection and
//! for code generators. Beside the contract it has the details of errors, which
//! no message of the contract names.

use std::io;

use prost::{DecodeError, Message as _};
use prost_types::FileDescriptorSet;

use super::DESCRIPTORS;

/// Where Google publishes the details of errors; our copy has another name.
const ERROR_DETAILS: &str = "google/rpc/error_details.proto";

/// The package of the rules that fields are annotated with. Code generated with
/// them needs their classes, which callers have no use for.
const RULES: &str = "buf.validate";

/// The contract with every option, as reflection serves it.
pub fn whole() -> Result<Vec<u8>, io::Error> {
    // A message's bytes followed by those of another are both merged.
    let details = error_details().map_err(io::Error::other)?;
    Ok([DESCRIPTORS, &details.encode_to_vec()].concat())
}

/// The same messages and services with standard options only: a `protoc` before
/// version 22 refuses `debug_redact`.
pub fn plain() -> Result<Vec<u8>, io::Error> {
    // prost-types knows the standard options, and drops what it does not know.
    let mut set = FileDescriptorSet::decode(&*whole()?).map_err(io::Error::other)?;
    let rules = set.file.extract_if(.., |file| file.package() == RULES);
    let rules: Vec<String> = rules.filter_map(|file| file.name).collect();
    for file in &mut set.file {
        file.dependency.retain(|import| !rules.contains(import));
    }
    Ok(set.encode_to_vec())
}

fn error_details() -> Result<FileDescriptorSet, DecodeError> {
    let mut set = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
    set.file.retain(|file| file.name() == "error_details.proto");
    for file in &mut set.file {
        file.name = Some(ERROR_DETAILS.to_owned());
    }
    Ok(set)
}
