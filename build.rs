//! Writes three things:
//!
//! * `contract.rs`, the server's view. Messages that are answered from the
//!   catalog cache are declared as `bytes` there: on the wire an embedded
//!   message and a bytes field are the same, so a product is encoded once per
//!   catalog refresh and copied into every answer.
//! * `descriptor.bin`, the contract itself for server reflection.
//! * `methods.rs`, the names of its methods, for rooms that must not know
//!   protobuf.

use std::path::PathBuf;
use std::{env, error, fs};

use prost_types::field_descriptor_proto::Type;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use protox::Compiler;
use protox::prost_reflect::prost::Message as _;
use protox::prost_reflect::prost::encoding::{WireType, encode_key, encode_varint};
use protox::prost_reflect::{DynamicMessage, ReflectMessage as _};

#[path = "build/contract.rs"]
mod contract;

/// Fields that the server fills with already encoded messages.
const PREPARED: [&str; 5] = [
    "EligibleProduct.product",
    "GetProductResponse.product",
    "ListProductsResponse.products",
    "StreamEventsResponse.event",
    "ListEventsResponse.events",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    let compiler = contract::compile(".")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), descriptors(&compiler)?)?;
    let contract = compiler.file_descriptor_set();
    fs::write(out.join("methods.rs"), methods(&contract))?;
    contract::generate(
        tonic_prost_build::configure().build_client(false),
        prepared(contract),
        &compiler.descriptor_pool(),
    )
}

/// The contract with what it imports, for reflection. Encoded with every option:
/// prost-types knows the standard ones only.
fn descriptors(compiler: &Compiler) -> Result<Vec<u8>, Box<dyn error::Error>> {
    let mut set = Vec::new();
    for file in compiler.descriptor_pool().files() {
        let mut content = file.encode_to_vec();
        if file.package_name() == contract::RULES {
            // Its comments are four fifths of it, and nobody asks us for them.
            let kind = FileDescriptorProto::default().descriptor();
            let mut file = DynamicMessage::decode(kind, content.as_slice())?;
            file.clear_field_by_name("source_code_info");
            content = file.encode_to_vec();
        }
        encode_key(1, WireType::LengthDelimited, &mut set);
        encode_varint(content.len() as u64, &mut set);
        set.extend(content);
    }
    Ok(set)
}

/// The services and the names of their methods, as a constant expression.
fn methods(set: &FileDescriptorSet) -> String {
    let files = set.file.iter().filter(|file| file.package() == contract::PACKAGE);
    let services = files.flat_map(|file| &file.service).map(|service| {
        let methods = service.method.iter().map(|method| method.name());
        let methods: Vec<&str> = methods.collect();
        format!("({:?}, &{methods:?} as &[&str])", service.name())
    });
    format!("&[{}]", services.collect::<Vec<_>>().join(", "))
}

/// The same contract on the wire, with the `PREPARED` fields as `bytes`.
fn prepared(mut set: FileDescriptorSet) -> FileDescriptorSet {
    let mut found = 0;
    for message in set.file.iter_mut().flat_map(|file| &mut file.message_type) {
        for field in &mut message.field {
            let name = format!("{}.{}", message.name.as_deref().unwrap_or(""), field.name());
            if PREPARED.contains(&name.as_str()) {
                field.set_type(Type::Bytes);
                field.type_name = None;
                found += 1;
            }
        }
    }
    assert_eq!(found, PREPARED.len(), "a prepared field is not in the contract");
    set
}
