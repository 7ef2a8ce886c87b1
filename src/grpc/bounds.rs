//! How large an error may be.
//!
//! Clients refuse trailers that are too large (grpcio at 8 KiB, proxies
//! earlier), and then show nothing of the error. These bounds keep message and
//! details below 4 KiB together, also when they are encoded: of the message
//! each byte may become three, of the details three become four.

use tonic_types::FieldViolation;

const LONGEST_MESSAGE: usize = 300;
const LONGEST_VALUE: usize = 256;
const MOST_VIOLATIONS: usize = 20;
const LONGEST_VIOLATIONS: usize = 1_600;

/// The message of a status.
pub(super) fn message(text: String) -> String {
    bounded(text, LONGEST_MESSAGE)
}

/// A value that an error names.
pub(super) fn value(text: String) -> String {
    bounded(text, LONGEST_VALUE)
}

/// As many values as fit into one, separated by commas; none is cut off.
pub(super) fn list(values: &[String]) -> String {
    let mut list = String::new();
    for value in values {
        let length = list.len() + usize::from(!list.is_empty()) + value.len();
        if length > LONGEST_VALUE {
            break;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(value);
    }
    list
}

/// A text that is cut off where it is too long.
fn bounded(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// As many violations as fit, and how many more there are.
pub(super) fn violations(violations: Vec<(String, String)>) -> Vec<FieldViolation> {
    let all = violations.len();
    let mut left = LONGEST_VIOLATIONS;
    let mut shown = Vec::new();
    for (field, description) in violations.into_iter().take(MOST_VIOLATIONS) {
        let (field, description) = (value(field), value(description));
        let Some(rest) = left.checked_sub(field.len() + description.len()) else {
            break;
        };
        left = rest;
        shown.push(FieldViolation::new(field, description));
    }
    if shown.len() < all {
        let more = all - shown.len();
        shown.push(FieldViolation::new("", format!("and {more} more")));
    }
    shown
}
