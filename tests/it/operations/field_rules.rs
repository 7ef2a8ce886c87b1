//! The rules that the contract's fields are annotated with (`buf.validate`) are
//! those that the server enforces: each field of each request is sent with
//! many values, and both have to agree about every one of them. New fields and
//! their rules are found in the contract.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prost_reflect::prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    Value,
};
use regex::Regex;
use tonic::transport::Channel;
use transatel_gateway::grpc::DESCRIPTORS;

use crate::support::gateway::{TestEnv, reason, violations};
use crate::support::raw;

/// Rules that annotations cannot say, or that depend on another field: the
/// server refuses more there than the annotation does.
const STRICTER: [(&str, &str); 5] = [
    ("ImportStockRequest.sims", "each card once"),
    ("ListProductsRequest.countries", "the codes of ISO 3166-1"),
    ("ListEligibleProductsRequest.countries", "the codes of ISO 3166-1"),
    (
        "StreamEventsRequest.filter.own_requests_only",
        "a caller that is known",
    ),
    (
        "ListEventsRequest.filter.own_requests_only",
        "a caller that is known",
    ),
];

/// The annotations of a field.
struct Rules(Option<DynamicMessage>);

impl Rules {
    fn of(field: &FieldDescriptor, annotation: &ExtensionDescriptor) -> Self {
        let options = field.options();
        let given = options.has_extension(annotation);
        Self(given.then(|| options.get_extension(annotation).as_message().unwrap().clone()))
    }

    /// The rules of one kind, such as `string`, or of elements.
    fn within(&self, kind: &str) -> Self {
        let rules = self.0.as_ref().filter(|rules| rules.has_field_by_name(kind));
        Self(rules.map(|rules| {
            rules
                .get_field_by_name(kind)
                .unwrap()
                .as_message()
                .unwrap()
                .clone()
        }))
    }

    fn get(&self, name: &str) -> Option<Value> {
        let rules = self.0.as_ref().filter(|rules| rules.has_field_by_name(name))?;
        Some(rules.get_field_by_name(name)?.into_owned())
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name).map(|value| match value {
            Value::U64(number) => number as i64,
            Value::I64(number) => number,
            Value::I32(number) => number.into(),
            other => panic!("{name}: {other:?}"),
        })
    }

    fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.as_bool() == Some(true))
    }

    fn ignores_zero(&self) -> bool {
        // IGNORE_IF_ZERO_VALUE
        self.get("ignore")
            .is_some_and(|value| value.as_enum_number() == Some(1))
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        self.get(name).map(|value| {
            let message = value.as_message().unwrap();
            let seconds = message.get_field_by_name("seconds").unwrap().as_i64().unwrap();
            Duration::from_secs(seconds.try_into().unwrap())
        })
    }

    /// Whether a single value is allowed.
    fn allow(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                let rules = self.within("string");
                let length = text.chars().count() as i64;
                let fits = |pattern: Value| Regex::new(pattern.as_str().unwrap()).unwrap().is_match(text);
                self.ignores_zero() && text.is_empty()
                    || rules.number("min_len").is_none_or(|least| length >= least)
                        && rules.number("max_len").is_none_or(|most| length <= most)
                        && rules.get("pattern").is_none_or(fits)
                        && (!rules.is_set("uuid") || text.len() == 36 && uuid::Uuid::try_parse(text).is_ok())
                        && rules
                            .get("in")
                            .is_none_or(|list| list.as_list().unwrap().contains(value))
            }
            Value::I32(number) => {
                self.ignores_zero() && *number == 0 || within(&self.within("int32"), i64::from(*number))
            }
            Value::I64(number) => within(&self.within("int64"), *number),
            Value::Bool(_) => true,
            other => panic!("{other:?}"),
        }
    }
}

fn within(rules: &Rules, number: i64) -> bool {
    rules.number("gte").is_none_or(|least| number >= least)
        && rules.number("lte").is_none_or(|most| number <= most)
}

/// Texts around every rule that there is.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        "a",
        "é",
        " ",
        "FR",
        "QQ",
        "zzz",
        "fra",
        "fr-FR",
        "fr_FR",
        "english-",
        "de-1996-x",
        "123456789",
        "toolong-language",
        "price",
        "price desc",
        "PRICE",
        "product_id",
        "validity",
        "data desc",
        "available_until",
        "price,data",
        "5b0f8a52-3c1d-4e57-9a53-0d7a4f1c9e11",
        "5B0F8A52-3C1D-4E57-9A53-0D7A4F1C9E11",
        "5b0f8a523c1d4e579a530d7a4f1c9e11",
        "{5b0f8a52-3c1d-4e57-9a53-0d7a4f1c9e11}",
        "not-a-uuid",
        "+882470000000001",
        "++882470000000001",
        "88 2470",
        "8988 2470 0000 0000 019",
        "8988247000000000019F",
        "8988-2470-0000-0000-019",
        "F8988247000000000019",
        "898824700000000001x",
        "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}",
    ]
    .map(str::to_owned)
    .into();
    texts.extend((1..=22).map(|length| "1".repeat(length)));
    for length in [
        34, 35, 36, 49, 50, 51, 99, 100, 101, 199, 200, 201, 254, 255, 256, 499, 500, 501, 2048, 2049, 5000,
    ] {
        texts.push("x".repeat(length));
        texts.push("é".repeat(length));
    }
    texts
}

const NUMBERS: [i64; 12] = [
    i32::MIN as i64,
    -1,
    0,
    1,
    2,
    127,
    128,
    1000,
    1001,
    2048,
    2049,
    i32::MAX as i64,
];

/// A value of a field, and whether its annotation allows it.
type Case = (Value, bool);

/// Values of one element of a field that is not a message.
fn singles(field: &FieldDescriptor, rules: &Rules) -> Vec<Case> {
    match field.kind() {
        Kind::String => texts()
            .into_iter()
            .map(Value::String)
            .map(|value| (value.clone(), rules.allow(&value)))
            .collect(),
        Kind::Int32 => NUMBERS
            .map(|number| Value::I32(number as i32))
            .map(|value| (value.clone(), rules.allow(&value)))
            .into(),
        Kind::Int64 => NUMBERS
            .map(Value::I64)
            .map(|value| (value.clone(), rules.allow(&value)))
            .into(),
        Kind::Bool => vec![(Value::Bool(true), true)],
        Kind::Enum(kind) => {
            let known: Vec<i32> = kind.values().map(|value| value.number()).collect();
            let rules = rules.within("enum");
            let barred = rules
                .get("not_in")
                .map_or_else(Vec::new, |list| list.as_list().unwrap().to_vec());
            let numbers = known.iter().copied().chain([-1, 999]);
            numbers
                .map(|number| {
                    let defined = known.contains(&number) || !rules.is_set("defined_only");
                    (
                        Value::EnumNumber(number),
                        defined && !barred.contains(&Value::I32(number)),
                    )
                })
                .collect()
        }
        other => panic!("{}: what values has a {other:?}?", field.full_name()),
    }
}

/// Lists of a field around its limits; `make` is a valid element.
fn lists(rules: &Rules, make: impl Fn(usize) -> Value) -> Vec<Case> {
    let rules = rules.within("repeated");
    let (least, most) = (rules.number("min_items").unwrap_or(0), rules.number("max_items"));
    let ends = [0, 1]
        .into_iter()
        .chain(most.into_iter().flat_map(|most| [most, most + 1]));
    let mut cases: Vec<Case> = ends
        .map(|length| {
            let allowed = length >= least && most.is_none_or(|most| length <= most);
            (Value::List((0..length as usize).map(&make).collect()), allowed)
        })
        .collect();
    cases.push((Value::List(vec![make(0), make(0)]), !rules.is_set("unique")));
    cases
}

/// Everything that is sent in one field.
fn cases(field: &FieldDescriptor, rules: &Rules) -> Vec<Case> {
    if field.is_map() {
        return maps(rules);
    }
    if let Kind::Message(kind) = field.kind() {
        return match kind.full_name() {
            "google.protobuf.Duration" => durations(&kind, rules),
            _ if field.is_list() => lists(rules, |at| Value::Message(example(&kind, at))),
            _ => Vec::new(),
        };
    }
    if !field.is_list() {
        return singles(field, rules);
    }
    let elements = rules.within("repeated").within("items");
    let singles = singles(field, &elements);
    let valid: Vec<Value> = singles
        .iter()
        .filter(|(_, allowed)| *allowed)
        .map(|(value, _)| value.clone())
        .collect();
    let make = |at: usize| match (field.kind(), field.name()) {
        (Kind::String, "countries") => Value::String("FR".into()),
        (Kind::String, "iccids") => Value::String((CARD + 10 * at as u64).to_string()),
        (Kind::String, _) if elements.within("string").is_set("uuid") => {
            Value::String(uuid::Uuid::from_u128(at as u128).to_string())
        }
        (Kind::String, _) => Value::String(format!("x{at}")),
        _ => valid[at % valid.len()].clone(),
    };
    let of_one = singles
        .into_iter()
        .map(|(value, allowed)| (Value::List(vec![value]), allowed));
    of_one.chain(lists(rules, make)).collect()
}

fn maps(rules: &Rules) -> Vec<Case> {
    let rules = rules.within("map");
    let entry = |key: String, value: String| (MapKey::String(key), Value::String(value));
    let most = rules.number("max_pairs").expect("every map has a limit");
    let mut cases: Vec<Case> = [1, most, most + 1]
        .map(|length| {
            let entries = (0..length).map(|at| entry(format!("k{at}"), String::new()));
            (Value::Map(entries.collect()), length <= most)
        })
        .into();
    for text in texts() {
        let value = Value::String(text.clone());
        cases.push((
            Value::Map([entry(text.clone(), String::new())].into()),
            rules.within("keys").allow(&value),
        ));
        cases.push((
            Value::Map([entry("k".into(), text)].into()),
            rules.within("values").allow(&value),
        ));
    }
    cases
}

fn durations(kind: &MessageDescriptor, rules: &Rules) -> Vec<Case> {
    let rules = rules.within("duration");
    let (least, most) = (rules.duration("gte"), rules.duration("lte"));
    [
        (-1, 0),
        (0, -1),
        (0, 0),
        (0, 1),
        (299, 0),
        (300, 0),
        (300, 1),
        (301, 0),
        (1 << 40, 0),
    ]
    .map(|(seconds, nanos)| {
        let mut message = DynamicMessage::new(kind.clone());
        message.set_field_by_name("seconds", Value::I64(seconds));
        message.set_field_by_name("nanos", Value::I32(nanos));
        let given = (seconds, nanos);
        let bound = |limit: Duration| (limit.as_secs() as i64, 0);
        let allowed =
            least.is_none_or(|least| given >= bound(least)) && most.is_none_or(|most| given <= bound(most));
        (Value::Message(message), allowed)
    })
    .into()
}

/// A card.
const CARD: u64 = 8_988_247_000_000_000_000;

/// A valid message of a list.
fn example(kind: &MessageDescriptor, at: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(kind.clone());
    let (field, first) = match kind.name() {
        "SimRef" => ("msisdn", 882_470_000_000_000),
        "DeliveredSim" => ("iccid", CARD),
        other => panic!("what is a valid {other}?"),
    };
    // The last digit may be one that checks the others.
    let number = first + 10 * at as u64;
    message.set_field_by_name(field, Value::String(number.to_string()));
    message
}

/// Fields of which one may be given (`buf.validate.message`).
struct Choice {
    fields: Vec<String>,
    required: bool,
}

impl Choice {
    /// The one that a field is in.
    fn of(field: &FieldDescriptor, annotation: &ExtensionDescriptor) -> Option<Self> {
        let options = field.parent_message().options();
        if !options.has_extension(annotation) {
            return None;
        }
        let rules = options.get_extension(annotation).into_owned();
        let choices = rules.as_message()?.get_field_by_name("oneof")?.into_owned();
        choices.as_list()?.iter().find_map(|choice| {
            let choice = choice.as_message()?;
            let names = choice.get_field_by_name("fields")?.into_owned();
            let fields: Vec<String> = names
                .as_list()?
                .iter()
                .map(|name| name.as_str().unwrap().to_owned())
                .collect();
            let required = choice.get_field_by_name("required")?.as_bool()?;
            fields
                .iter()
                .any(|name| name == field.name())
                .then_some(Self { fields, required })
        })
    }
}

/// A field, with the fields that lead to it.
struct Place(Vec<FieldDescriptor>);

impl Place {
    fn all(message: &MessageDescriptor, above: &[FieldDescriptor]) -> Vec<Self> {
        let mut places = Vec::new();
        for field in message.fields() {
            let path = [above, std::slice::from_ref(&field)].concat();
            if let Kind::Message(inner) = field.kind()
                && inner.package_name() == "connectivity.v1"
                && !field.is_map()
            {
                places.extend(Self::all(&inner, &path));
            }
            places.push(Self(path));
        }
        places
    }

    /// As violations name it, without what is in it or beside it in a list.
    fn name(&self) -> String {
        let (last, above) = self.0.split_last().unwrap();
        let above = above
            .iter()
            .map(|field| format!("{}{}.", field.name(), if field.is_list() { "[0]" } else { "" }));
        above.collect::<String>() + last.name()
    }

    /// A request with this value and nothing else.
    fn request(&self, value: Option<Value>) -> Vec<u8> {
        let inner = self.0.iter().rev().fold(value, |value, field| {
            let mut message = DynamicMessage::new(field.parent_message().clone());
            if let Some(value) = value {
                let single = matches!(value, Value::Message(_));
                let value = if field.is_list() && single {
                    Value::List(vec![value])
                } else {
                    value
                };
                message.set_field(field, value);
            }
            Some(Value::Message(message))
        });
        inner.unwrap().as_message().unwrap().encode_to_vec()
    }
}

/// The fields that the server names; none when it refuses for another reason,
/// or not at all.
async fn named(channel: &Channel, path: &str, request: Vec<u8>) -> Vec<String> {
    match raw::call(channel, path, request).await {
        Err(status) if reason(&status).reason == "INVALID_REQUEST" => violations(&status),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_rules_of_the_fields_are_those_of_the_server() {
    let env = TestEnv::with_everything().await;
    let channel = env.gateway.channel();
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let field_rules = pool.get_extension_by_name("buf.validate.field").unwrap();
    let oneof_rules = pool.get_extension_by_name("buf.validate.oneof").unwrap();
    let message_rules = pool.get_extension_by_name("buf.validate.message").unwrap();
    let mut differ = Vec::new();
    let mut probed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut stricter: BTreeSet<&str> = BTreeSet::new();
    for service in pool.services() {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            for place in Place::all(&method.input(), &[]) {
                let field = place.0.last().unwrap();
                let rules = Rules::of(field, &field_rules);
                let choice = Choice::of(field, &message_rules);
                // Where none is given, the first of a choice is named.
                let required = match &choice {
                    Some(choice) => {
                        choice.required && choice.fields.first() == Some(&field.name().to_owned())
                    }
                    None => rules.is_set("required"),
                };
                let mut cases = cases(field, &rules);
                if choice.is_some() {
                    let absent = Value::String(String::new());
                    cases
                        .iter_mut()
                        .filter(|(value, _)| *value == absent)
                        .for_each(|(_, allowed)| *allowed = true);
                }
                let (request, name) = (method.input().name().to_owned(), place.name());
                let known = STRICTER.iter().find(|(of, _)| *of == format!("{request}.{name}"));
                let mut seen = (0, 0);
                if cases.is_empty() {
                    seen.1 += usize::from(required);
                    let named = named(&channel, &path, place.request(None)).await;
                    if named.contains(&name) != required {
                        differ.push(format!(
                            "{request}.{name} is absent: required is {required}, named {named:?}"
                        ));
                    }
                }
                cases.retain(|(value, _)| {
                    !(field.name().ends_with("_token") && *value != Value::String(String::new()))
                });
                for (value, allowed) in cases {
                    *(if allowed { &mut seen.0 } else { &mut seen.1 }) += 1;
                    let named = named(&channel, &path, place.request(Some(value.clone()))).await;
                    let refused = named.iter().any(|violation| {
                        violation
                            .strip_prefix(name.as_str())
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
                    });
                    if refused && allowed && known.is_some() {
                        stricter.extend(known.map(|(of, _)| *of));
                    } else if refused == allowed {
                        let value: String = format!("{value:?}").chars().take(80).collect();
                        differ.push(format!(
                            "{request}.{name} = {value}: annotation allows {allowed}, named {named:?}"
                        ));
                    }
                }
                if let Kind::Message(kind) = field.kind()
                    && let Some(oneof) = kind.oneofs().find(|oneof| !oneof.is_synthetic())
                    && kind.package_name() == "connectivity.v1"
                {
                    let options = oneof.options();
                    let rules = options.get_extension(&oneof_rules);
                    let required = rules.as_message().unwrap().get_field_by_name("required").unwrap();
                    let named = named(
                        &channel,
                        &path,
                        place.request(Some(Value::Message(DynamicMessage::new(kind.clone())))),
                    )
                    .await;
                    let at = if field.is_list() {
                        format!("{name}[0]")
                    } else {
                        name.clone()
                    };
                    if required.as_bool() != Some(named.contains(&at)) {
                        differ.push(format!(
                            "{request}.{name} is empty: required is {required:?}, named {named:?}"
                        ));
                    }
                    seen.1 += 1;
                }
                if rules.0.is_some() && seen.1 == 0 {
                    differ.push(format!("{request}.{name}: no value breaks its rules"));
                }
                probed.insert(format!("{request}.{name}"), seen);
            }
        }
    }
    assert!(differ.is_empty(), "{}\n{}", differ.len(), differ.join("\n"));
    assert!(probed.len() > 100, "{probed:#?}");
    assert!(
        probed.values().filter(|(_, refused)| *refused > 0).count() > 80,
        "{probed:#?}"
    );
    let equal: Vec<_> = STRICTER.iter().filter(|(of, _)| !stricter.contains(of)).collect();
    assert!(equal.is_empty(), "not stricter than the annotation: {equal:?}");
}
