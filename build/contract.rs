//! The contract as Rust, for two build scripts: the gateway's makes servers of
//! it, that of `crates/client` clients. Compiled in pure Rust (protox), so that
//! `cargo build` needs no protoc.
//!
//! A message with a `debug_redact` field gets a `Debug` that does not print
//! that field.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error, fs};

use prost_types::{DescriptorProto, FileDescriptorSet};
use protox::Compiler;
use protox::prost_reflect::DescriptorPool;

/// The contract's own package.
pub const PACKAGE: &str = "connectivity.v1";

/// The package of the rules that fields are annotated with.
pub const RULES: &str = "buf.validate";

/// Reads the contract of the repository with this root, with its comments and
/// what it imports.
pub fn compile(root: &str) -> Result<Compiler, Box<dyn error::Error>> {
    let ours = Path::new(root).join("proto");
    let imported = Path::new(root).join("third_party");
    println!("cargo::rerun-if-changed={}", ours.display());
    println!("cargo::rerun-if-changed={}", imported.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(ours.join(PACKAGE.replace('.', "/")))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path.strip_prefix(&ours)?.to_path_buf());
        }
    }
    files.sort();
    let mut compiler = Compiler::new([ours, imported])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(&files)?;
    Ok(compiler)
}

/// Writes `contract.rs` to `OUT_DIR`, a module tree of these messages and of
/// what `builder` makes of the services.
pub fn generate(
    builder: tonic_prost_build::Builder,
    mut set: FileDescriptorSet,
    pool: &DescriptorPool,
) -> Result<(), Box<dyn error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let redactions = Redactions::of(pool, &set);
    // Rules for callers' tools: no code of ours uses their types.
    set.file.retain(|file| file.package() != RULES);
    builder
        .out_dir(&out)
        .include_file("contract.rs")
        .emit_rerun_if_changed(false)
        .bytes(".")
        .skip_debug(&redactions.messages)
        .compile_fds(set)?;
    let generated = out.join(format!("{PACKAGE}.rs"));
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
