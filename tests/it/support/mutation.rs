//! One thing wrong at a time, at every place of a JSON document.
//!
//! Used by the unit tests of the code that reads the provider's answers too
//! (`src/transatel/hostile.rs`), which include this file.

use serde_json::{Map, Value};

/// A document with one thing wrong.
pub struct Mutation {
    /// What is wrong.
    pub kind: &'static str,
    /// Where, as a JSON pointer.
    pub at: String,
    pub body: Vec<u8>,
}

/// What is written in place of a value.
enum Edit {
    Nothing,
    /// This JSON.
    Put(String),
    /// Its member twice, with these values; in a list, both elements.
    Twice(String, String),
}

/// Every mutation of a document, in a fixed order.
pub fn mutations(document: &str) -> Vec<Mutation> {
    let whole: Value = serde_json::from_str(document).unwrap();
    let mut all = Vec::new();
    visit(&whole, String::new(), &mut |at, value| {
        for (kind, edit) in edits(value) {
            let mut body = String::new();
            write(&whole, &mut String::new(), at, &edit, &mut body);
            all.push(Mutation {
                kind,
                at: at.to_owned(),
                body: body.into_bytes(),
            });
        }
    });
    let around = [
        ("byte order mark", "\u{FEFF}", ""),
        ("blanks", " \r\n\t", " \n"),
        ("trailing word", "", "x"),
        ("trailing NUL", "", "\0"),
        ("trailing document", "", "{\"error\":\"Internal Server Error\"}"),
        ("leading word", "x", ""),
        ("cut off", "", "\u{7F}"),
    ];
    for (kind, before, after) in around {
        let mut body = format!("{before}{whole}{after}").into_bytes();
        if kind == "cut off" {
            body.truncate(body.len() / 2);
        }
        all.push(Mutation {
            kind,
            at: String::new(),
            body,
        });
    }
    all
}

fn visit(value: &Value, at: String, see: &mut impl FnMut(&str, &Value)) {
    see(&at, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                visit(member, format!("{at}/{name}"), see);
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                visit(item, format!("{at}/{place}"), see);
            }
        }
        _ => {}
    }
}

/// Writes the document with the edit at its place.
fn write(value: &Value, here: &mut String, at: &str, edit: &Edit, out: &mut String) {
    if here.as_str() == at {
        return match edit {
            Edit::Nothing => out.push_str("null"),
            Edit::Put(text) => out.push_str(text),
            Edit::Twice(_, last) => out.push_str(last),
        };
    }
    let (open, close) = match value {
        Value::Object(_) => ('{', '}'),
        Value::Array(_) => ('[', ']'),
        _ => return out.push_str(&value.to_string()),
    };
    out.push(open);
    let mut first = true;
    for (name, child) in children(value) {
        let length = here.len();
        here.push('/');
        here.push_str(&name);
        let times = match edit {
            _ if here.as_str() != at => 1,
            Edit::Nothing => 0,
            Edit::Put(_) => 1,
            Edit::Twice(..) => 2,
        };
        for turn in 0..times {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            if value.is_object() {
                out.push_str(&format!("{}:", Value::from(name.as_str())));
            }
            match edit {
                Edit::Twice(before, _) if times == 2 && turn == 0 => out.push_str(before),
                _ => write(child, here, at, edit, out),
            }
        }
        here.truncate(length);
    }
    out.push(close);
}

fn children(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, child)| (name.clone(), child))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(place, child)| (place.to_string(), child))
            .collect(),
        _ => Vec::new(),
    }
}

/// Longer than anything that is meant.
const LONG: usize = 20_000;
/// Deeper than a parser follows.
const DEEP: usize = 300;

fn nested(open: &str, close: &str, inner: &str) -> String {
    format!("{}{inner}{}", open.repeat(DEEP), close.repeat(DEEP))
}

/// What can be wrong with a value.
fn edits(value: &Value) -> Vec<(&'static str, Edit)> {
    let own = value.to_string();
    let put = |json: String| Edit::Put(json);
    let other = if own == "1" { "2" } else { "1" };
    let mut edits = vec![
        ("drop", Edit::Nothing),
        ("null", put("null".into())),
        ("nested lists", put(nested("[", "]", &own))),
        ("nested objects", put(nested("{\"a\":", "}", &own))),
        ("in a list", put(format!("[{own}]"))),
        ("in an object", put(format!("{{\"value\":{own}}}"))),
        ("twice, equal", Edit::Twice(own.clone(), own.clone())),
        ("twice, another first", Edit::Twice(other.into(), own.clone())),
        ("twice, another last", Edit::Twice(own.clone(), other.into())),
        ("no number", put("1e999".into())),
    ];
    let types = [
        ("true", "true"),
        ("number", "7"),
        ("text", "\"x\""),
        ("list", "[1]"),
        ("object", "{\"a\":1}"),
    ];
    edits.extend(types.map(|(kind, json)| (kind, put(json.into()))));
    let text = |text: String| put(Value::from(text).to_string());
    match value {
        Value::Null => {}
        Value::Bool(value) => {
            edits.push(("as text", text(value.to_string())));
            edits.push(("other case", text(value.to_string().to_uppercase())));
        }
        Value::Number(number) => edits.extend([
            ("as text", text(number.to_string())),
            ("as a float", put(format!("{number}.0"))),
            ("as text with a fraction", text(format!("{number}.5"))),
            ("negative", put(format!("-{number}"))),
            ("huge", put(i64::MAX.to_string())),
            ("huger", put(u64::MAX.to_string())),
            ("very long", put("9".repeat(400))),
        ]),
        Value::String(own) => {
            edits.extend([
                ("empty", text(String::new())),
                ("blank", text("  ".into())),
                ("very long", text(own.repeat(LONG / own.len().max(1) + 1))),
                ("unknown word", text("Qwertzuiop".into())),
                ("other case", text(swapped(own))),
                ("byte order mark inside", text(format!("\u{FEFF}{own}"))),
                ("trailing NUL inside", text(format!("{own}\0"))),
                ("trailing line", text(format!("{own}\n"))),
                ("half a character", put("\"\\ud800\"".into())),
                ("negative", text(format!("-{own}"))),
            ]);
            if !own.is_empty() && own.bytes().all(|byte| byte.is_ascii_digit()) {
                edits.push(("as a number", put(own.trim_start_matches('0').to_owned())));
            }
        }
        Value::Array(items) => {
            let many = items.first().map_or(Value::from(1), Value::clone);
            edits.push(("empty", put("[]".into())));
            edits.push(("very long", put(Value::from(vec![many; 200]).to_string())));
            edits.push(("other elements", put("[null,7,\"x\",{},[]]".into())));
        }
        Value::Object(members) => {
            let more = (0..200).map(|at| (format!("unknown{at}"), Value::from(at)));
            let more: Map<String, Value> = members.clone().into_iter().chain(more).collect();
            edits.push(("empty", put("{}".into())));
            edits.push(("very long", put(Value::Object(more).to_string())));
        }
    }
    // The value itself is not wrong.
    edits.retain(|(_, edit)| !matches!(edit, Edit::Put(json) if *json == own));
    edits
}

fn swapped(text: &str) -> String {
    let swap = |letter: char| match letter.is_uppercase() {
        true => letter.to_lowercase().to_string(),
        false => letter.to_uppercase().to_string(),
    };
    text.chars().map(swap).collect()
}
