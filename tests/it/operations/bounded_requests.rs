//! Every list and map of every request, filled with as many elements as a
//! request may have bytes: refused by name, at once, and without memory for
//! each element. New fields are found in the contract.

use std::time::{Duration, Instant};

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;
use tonic::transport::Endpoint;
use transatel_gateway::grpc::DESCRIPTORS;

use crate::support::gateway::{settings, violations};
use crate::support::process::Process;
use crate::support::raw;

/// As large as a request may be, less what is around the elements.
const ROOM: usize = (1 << 20) - 32;

/// What a process may need for all of them: half a million empty texts,
/// decoded. An error for each element took 250 MiB.
const MOST_KILOBYTES: u64 = 96 << 10;

/// A list or a map, with the fields that lead to it.
struct Place(Vec<FieldDescriptor>);

impl Place {
    /// All places in a message.
    fn all(message: &MessageDescriptor, above: &[FieldDescriptor]) -> Vec<Self> {
        let fields = message.fields().map(|field| {
            let path = [above, std::slice::from_ref(&field)].concat();
            match field.kind() {
                _ if field.is_list() || field.is_map() => vec![Self(path)],
                Kind::Message(inner) => Self::all(&inner, &path),
                _ => Vec::new(),
            }
        });
        fields.flatten().collect()
    }

    /// As violations name it: what is in a type of Google's by that type's field.
    fn name(&self) -> String {
        let ours = self
            .0
            .iter()
            .filter(|field| field.parent_message().package_name() == "connectivity.v1");
        let names: Vec<&str> = ours.map(FieldDescriptor::name).collect();
        names.join(".")
    }

    /// A request with nothing else.
    fn filled(&self) -> Vec<u8> {
        let (last, above) = self.0.split_last().unwrap();
        above
            .iter()
            .rev()
            .fold(elements(last), |inner, field| delimited(field.number(), &inner))
    }
}

fn delimited(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// As many elements as fit, each as small as it can be.
fn elements(field: &FieldDescriptor) -> Vec<u8> {
    if field.is_map() {
        // Of three letters: equal keys would be one entry.
        let letters = || b'A'..b'A' + 58;
        let keys = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
        let entries = keys.map(|key| delimited(field.number(), &delimited(1, &key)));
        return entries.flatten().take(ROOM / 7 * 7).collect();
    }
    match field.kind() {
        // Of a number that is not known.
        Kind::Enum(_) => delimited(field.number(), &vec![99; ROOM]),
        Kind::String | Kind::Bytes | Kind::Message(_) => delimited(field.number(), &[]).repeat(ROOM / 2),
        other => panic!("{}: how is a {other:?} filled?", field.full_name()),
    }
}

/// The most memory that a process had so far.
fn peak_kilobytes(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn no_list_of_a_request_costs_memory_for_each_element() {
    let more = [("TELEMETRY__LOG_FORMAT", "json")];
    // With one arena, what is free for one thread is free for all: the peak is of the
    // requests, and not of which threads they came to.
    let one_arena = "export MALLOC_ARENA_MAX=1";
    let mut process = Process::start_after(one_arena, &["serve"], &settings("http://127.0.0.1:9", &more));
    let listening: Value = serde_json::from_str(&process.logged("listening").await).unwrap();
    let address = format!("http://{}", listening["grpc"].as_str().unwrap());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    // What any call needs, the first time.
    let _ = raw::call(&channel, "/connectivity.v1.Catalog/GetProduct", Vec::new()).await;

    let before = peak_kilobytes(&process);
    let mut places = Vec::new();
    for service in DescriptorPool::decode(DESCRIPTORS).unwrap().services() {
        for method in service.methods() {
            for place in Place::all(&method.input(), &[]) {
                let path = format!("/{}/{}", service.full_name(), method.name());
                let started = Instant::now();
                let status = raw::call(&channel, &path, place.filled()).await.unwrap_err();
                let named = violations(&status);
                let (took, grown) = (started.elapsed(), peak_kilobytes(&process) - before);
                let what = format!("{path} {}: {took:?}, {grown} KiB more", place.name());
                assert!(named.contains(&place.name()), "{what}: {named:?}");
                assert!(took < Duration::from_secs(5), "{what}");
                assert!(grown < MOST_KILOBYTES, "{what}");
                places.push(what);
            }
        }
    }
    assert!(places.len() >= 12, "{places:#?}");
}
