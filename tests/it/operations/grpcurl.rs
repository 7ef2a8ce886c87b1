//! Runs grpcurl command lines as a person would paste them.
//!
//! A small grpcurl of our own knows no message in advance and reads them by
//! reflection (v1alpha, as the real one does), so that the lines in the pages
//! and in the contract are proven on machines without grpcurl. Where the real
//! one is on the path, it is run too; `REQUIRE_GRPCURL=1` makes it required.

use std::process::Command;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha::{ListServiceResponse, ServerReflectionRequest};

/// A command line, understood.
#[derive(Debug)]
pub struct Line {
    pub data: Value,
    pub method: Option<String>,
    /// `-max-time`.
    pub max_time: Option<std::time::Duration>,
}

/// The call alone, without what a page does with its answer.
fn call_alone(line: &str) -> Vec<String> {
    let words = shell_words(line).into_iter();
    words.take_while(|word| word != "|").collect()
}

/// Splits like a shell and takes the line apart.
pub fn parse(line: &str) -> Line {
    let words = call_alone(line);
    assert_eq!(words[0], "grpcurl", "{line}");
    let mut data = Value::Object(Default::default());
    let mut max_time = None;
    let mut rest = Vec::new();
    let mut words = words.into_iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-plaintext" => {}
            "-max-time" => {
                let seconds = words.next().unwrap().parse().unwrap();
                max_time = Some(std::time::Duration::from_secs_f64(seconds));
            }
            "-d" => data = serde_json::from_str(&words.next().unwrap()).unwrap(),
            option if option.starts_with('-') => panic!("unknown option in {line}"),
            _ => rest.push(word),
        }
    }
    assert_eq!(
        rest[0], "127.0.0.1:50051",
        "calls go to the default address: {line}"
    );
    let method = rest.get(1).cloned();
    Line {
        data,
        max_time,
        method: method.filter(|method| method != "list"),
    }
}

pub fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.replace("\\\n", " ").trim().chars() {
        match letter {
            '\'' => quoted = !quoted,
            letter if letter.is_whitespace() && !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

/// Runs a line against a gateway that listens elsewhere. Gives the messages
/// of the answer; `list` gives the names of the services.
pub async fn run(line: &str, address: &str) -> Result<Vec<Value>, Status> {
    let parsed = parse(line);
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut reflection = Reflection(ServerReflectionClient::new(channel.clone()));
    let answer = match &parsed.method {
        None => Ok(reflection.services().await.into_iter().map(Value::from).collect()),
        Some(method) => call(&mut reflection, channel, method, &parsed).await,
    };
    run_the_real_one(line, address, answer.is_ok(), parsed.max_time.is_some()).await;
    answer
}

/// What grpcurl ends with when the time is up: 64 and the code.
const TIME_IS_UP: i32 = 64 + tonic::Code::DeadlineExceeded as i32;

/// The real grpcurl has to come to the same verdict. Where it may take only so
/// long, the end of the time is one as well, as it is for ours.
async fn run_the_real_one(line: &str, address: &str, succeeds: bool, has_max_time: bool) {
    let required = std::env::var_os("REQUIRE_GRPCURL").is_some();
    let line = line.replace("127.0.0.1:50051", address).replace("\\\n", " ");
    let run = tokio::task::spawn_blocking(move || {
        let words = call_alone(&line);
        Command::new("grpcurl").args(&words[1..]).output()
    });
    match run.await.unwrap() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let in_time = has_max_time && output.status.code() == Some(TIME_IS_UP);
            let ended = output.status.success() || in_time && !output.stdout.is_empty();
            assert_eq!(ended, succeeds, "the real grpcurl says: {text}");
        }
        Err(_) => assert!(
            !required,
            "REQUIRE_GRPCURL is set and there is no grpcurl on the path"
        ),
    }
}

struct Reflection(ServerReflectionClient<Channel>);

impl Reflection {
    async fn ask(&mut self, question: MessageRequest) -> MessageResponse {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        let mut answers = self
            .0
            .server_reflection_info(tokio_stream::once(request))
            .await
            .unwrap()
            .into_inner();
        answers
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
            .unwrap()
    }

    async fn services(&mut self) -> Vec<String> {
        match self.ask(MessageRequest::ListServices(String::new())).await {
            MessageResponse::ListServicesResponse(ListServiceResponse { service }) => {
                service.into_iter().map(|service| service.name).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The files that define a symbol, dependencies first.
    async fn pool(&mut self, symbol: &str) -> DescriptorPool {
        let mut wanted = vec![MessageRequest::FileContainingSymbol(symbol.to_owned())];
        let mut files: Vec<prost_types::FileDescriptorProto> = Vec::new();
        while let Some(question) = wanted.pop() {
            let MessageResponse::FileDescriptorResponse(answer) = self.ask(question).await else {
                panic!("{symbol} is not known");
            };
            for bytes in answer.file_descriptor_proto {
                let file = prost_types::FileDescriptorProto::decode(bytes.as_slice()).unwrap();
                wanted.extend(
                    file.dependency
                        .iter()
                        .cloned()
                        .map(MessageRequest::FileByFilename),
                );
                files.retain(|known| known.name != file.name);
                files.push(file);
            }
        }
        let mut pool = DescriptorPool::new();
        files.reverse();
        pool.add_file_descriptor_protos(files).unwrap();
        pool
    }
}

async fn call(
    reflection: &mut Reflection,
    channel: Channel,
    method: &str,
    line: &Line,
) -> Result<Vec<Value>, Status> {
    let (service, name) = method.split_once('/').unwrap();
    let pool = reflection.pool(service).await;
    let service = pool.get_service_by_name(service).unwrap();
    let description = service.methods().find(|method| method.name() == name).unwrap();
    let message = DynamicMessage::deserialize(description.input(), &line.data).unwrap();
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(64 << 20);
    client.ready().await.unwrap();
    let path = format!("/{method}").parse().unwrap();
    let codec = Dynamic(description.output());
    let mut request = Request::new(message);
    if let Some(longest) = line.max_time {
        request.set_timeout(longest);
    }
    let mut answers = client.server_streaming(request, path, codec).await?.into_inner();
    let mut messages = Vec::new();
    loop {
        let message = match answers.message().await {
            Ok(Some(message)) => message,
            Ok(None) => break,
            // The gateway ends it a moment earlier, unless it is held up.
            Err(status)
                if line.max_time.is_some()
                    && status.code() == tonic::Code::DeadlineExceeded
                    && !messages.is_empty() =>
            {
                break;
            }
            Err(status) => return Err(status),
        };
        let options = SerializeOptions::new();
        let json = message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .unwrap();
        messages.push(json);
        if !description.is_server_streaming() {
            break;
        }
    }
    Ok(messages)
}

#[derive(Clone)]
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.clone(), buffer)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
