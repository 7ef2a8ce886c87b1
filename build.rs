//! Compiles the contract in pure Rust (protox), so that `cargo build` needs no
//! protoc, and writes three things:
//!
//! * `pb.rs`, the server's view. Messages that are answered from the catalog
//!   cache are declared as `bytes` there: on the wire an embedded message and
//!   a bytes field are the same, so a product is encoded once per catalog
//!   refresh and copied into every answer.
//! * `client.rs`, the caller's view, unchanged.
//! * `descriptor.bin`, the contract itself for server reflection.
//!
//! A message with a `debug_redact` field gets a `Debug` that does not print
//! that field.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error, fs};

use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use protox::prost_reflect::DescriptorPool;

const PACKAGE: &str = "connectivity.v1";

/// Fields that the server fills with already encoded messages.
const PREPARED: [&str; 4] = [
    "GetProductResponse.product",
    "ListProductsResponse.products",
    "StreamEventsResponse.event",
    "ListEventsResponse.events",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=proto");
    let files = proto_files(Path::new("proto/connectivity/v1"))?;

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(&files)?;
    // Encoded by the compiler itself: prost-types does not know every option.
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    let contract = compiler.file_descriptor_set();
    let redactions = Redactions::of(&compiler.descriptor_pool(), &contract);
    generate(prepared(contract.clone()), &redactions, "pb.rs", true)?;
    generate(contract, &redactions, "client.rs", false)?;
    Ok(())
}

fn proto_files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn error::Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path.strip_prefix("proto")?.to_path_buf());
        }
    }
    files.sort();
    Ok(files)
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

fn generate(
    set: FileDescriptorSet,
    redactions: &Redactions,
    include: &str,
    server: bool,
) -> Result<(), Box<dyn error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?).join(include.trim_end_matches(".rs"));
    fs::create_dir_all(&out)?;
    tonic_prost_build::configure()
        .out_dir(&out)
        .include_file(include)
        .build_server(server)
        .build_client(!server)
        .emit_rerun_if_changed(false)
        .bytes(".")
        .skip_debug(&redactions.messages)
        .compile_fds(set)?;
    let generated = out.join("connectivity.v1.rs");
    let mut code = fs::read_to_string(&generated)?;
    code.push_str(&redactions.debug);
    fs::write(generated, code)?;
    Ok(())
}

/// The messages with a `debug_redact` field and the `Debug` they get instead.
struct Redactions {
    messages: Vec<String>,
    debug: String,
}

impl Redactions {
    fn of(pool: &DescriptorPool, set: &FileDescriptorSet) -> Self {
        let mut redactions = Self {
            messages: Vec::new(),
            debug: String::new(),
        };
        let ours = set.file.iter().filter(|file| file.package() == PACKAGE);
        for message in ours.flat_map(|file| &file.message_type) {
            let name = format!("{PACKAGE}.{}", message.name());
            let secret: HashSet<String> = pool
                .get_message_by_name(&name)
                .into_iter()
                .flat_map(|message| message.fields().collect::<Vec<_>>())
                .filter(|field| {
                    let options = field.options();
                    options
                        .get_field_by_name("debug_redact")
                        .is_some_and(|value| value.as_bool() == Some(true))
                })
                .map(|field| field.name().to_owned())
                .collect();
            if !secret.is_empty() {
                redactions.messages.push(format!(".{name}"));
                redactions.debug.push_str(&redacting_debug(message, &secret));
            }
        }
        redactions
    }
}

/// `Debug` for a message, and for its oneofs, that names redacted fields
/// without their values.
fn redacting_debug(message: &DescriptorProto, secret: &HashSet<String>) -> String {
    let name = message.name();
    let mut code = String::new();
    let mut fields = String::new();
    let mut oneofs: HashMap<i32, String> = HashMap::new();
    for field in &message.field {
        let member = field.name();
        if let (Some(index), false) = (field.oneof_index, field.proto3_optional()) {
            let variant = upper_camel(member);
            let arm = if secret.contains(member) {
                format!("Self::{variant}(_) => f.write_str(\"{variant}(<redacted>)\"),")
            } else {
                format!("Self::{variant}(value) => f.debug_tuple(\"{variant}\").field(value).finish(),")
            };
            oneofs.entry(index).or_default().push_str(&arm);
        } else if secret.contains(member) {
            let _ = write!(fields, ".field(\"{member}\", &format_args!(\"<redacted>\"))");
        } else {
            let member_name = if member == "type" { "r#type" } else { member };
            let _ = write!(fields, ".field(\"{member}\", &self.{member_name})");
        }
    }
    for (index, arms) in oneofs {
        let Some(oneof) = usize::try_from(index)
            .ok()
            .and_then(|index| message.oneof_decl.get(index))
        else {
            continue;
        };
        let oneof = oneof.name();
        let _ = write!(fields, ".field(\"{oneof}\", &self.{oneof})");
        let path = format!("{}::{}", snake(name), upper_camel(oneof));
        let _ = write!(
            code,
            "\nimpl ::core::fmt::Debug for {path} {{ fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> \
             ::core::fmt::Result {{ match self {{ {arms} }} }} }}"
        );
    }
    let _ = write!(
        code,
        "\nimpl ::core::fmt::Debug for {name} {{ fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> \
         ::core::fmt::Result {{ f.debug_struct(\"{name}\"){fields}.finish() }} }}\n"
    );
    code
}

fn upper_camel(snake: &str) -> String {
    snake
        .split('_')
        .filter_map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        })
        .collect()
}

fn snake(camel: &str) -> String {
    let mut result = String::new();
    for (position, letter) in camel.char_indices() {
        if letter.is_uppercase() && position > 0 {
            result.push('_');
        }
        result.extend(letter.to_lowercase());
    }
    result
}
