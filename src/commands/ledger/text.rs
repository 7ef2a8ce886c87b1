//! Tables and details for a terminal. Texts of callers and of the provider lose
//! their control characters here.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::SimIds;
use crate::domain::failure::Failure;
use crate::domain::write::Note;

/// Lines of a list have at most so many characters: the last column is cut.
const WIDTH: usize = 110;

/// One row per line, columns as wide as what they hold.
pub(super) fn table<const COLUMNS: usize>(head: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let head = head.map(str::to_owned);
    let mut widths = [0; COLUMNS];
    for row in std::iter::once(&head).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let cell = printable(cell);
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A [`table`] whose lines all fit a terminal.
pub(super) fn list<const COLUMNS: usize>(head: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let mut text = String::new();
    for line in table(head, rows).lines() {
        match line.chars().count() > WIDTH {
            true => {
                text.extend(line.chars().take(WIDTH - 1));
                text.push_str("…\n");
            }
            false => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

/// Names and values, one pair per line; empty values are left out.
pub(super) fn details(pairs: &[(&str, String)]) -> String {
    let shown = pairs.iter().filter(|(_, value)| !value.is_empty());
    let width = shown
        .clone()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    let lines = shown.map(|(name, value)| format!("{name:<width$}  {}\n", printable(value)));
    lines.collect()
}

/// How long ago, in one unit.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let seconds = passed.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A moment, and how long ago that is.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> String {
    match at > now {
        true => format!("{at:.0}"),
        false => format!("{at:.0} ({} ago)", age(at, now)),
    }
}

/// The same, of a moment that there may not be.
pub(super) fn moment_if(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map(|at| moment(at, now)).unwrap_or_default()
}

/// The identifiers of a SIM.
pub(super) fn sim(ids: &SimIds) -> String {
    let msisdn = ids
        .msisdn
        .as_ref()
        .map(|msisdn| format!("MSISDN {}", msisdn.as_str()));
    let iccid = ids
        .iccid
        .as_ref()
        .map(|iccid| format!("ICCID {}", iccid.as_str()));
    let known: Vec<String> = [msisdn, iccid].into_iter().flatten().collect();
    known.join(", ")
}

/// The short name of a reason, for a table.
pub(super) fn reason(failure: Option<&Failure>) -> String {
    failure.map_or_else(|| "-".to_owned(), |failure| failure.reason.name().to_owned())
}

/// A reason in words.
pub(super) fn why(failure: Option<&Failure>) -> String {
    failure
        .map(|failure| format!("{} ({})", failure.message(), failure.reason.name()))
        .unwrap_or_default()
}

/// Who resolved it, and why.
pub(super) fn decision(note: Option<&Note>) -> String {
    let Some(note) = note else {
        return String::new();
    };
    let by = note.by.as_deref().unwrap_or("an unknown caller");
    match note.text.as_str() {
        "" => by.to_owned(),
        text => format!("{by}: {text}"),
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_table_are_cut_at_its_width_and_hold_no_control_characters() {
        let rows = [
            ["1".to_owned(), "x".repeat(200)],
            ["\u{1b}[31m22".into(), "y".into()],
        ];
        assert!(!table(["ID", "PRODUCT"], &rows).contains('…'));
        let list = list(["ID", "PRODUCT"], &rows);
        let lines: Vec<&str> = list.lines().collect();
        assert_eq!(lines[1].chars().count(), WIDTH);
        assert!(lines[1].ends_with("x…"));
        assert!(lines[2].starts_with("[31m22 ") && lines[2].ends_with('y'));
    }

    #[test]
    fn an_age_has_one_unit() {
        let now = Timestamp::UNIX_EPOCH;
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_599, "59m"),
            (3_600, "1h"),
            (172_799, "47h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(now - Duration::from_secs(seconds), now), shown);
        }
        // A clock that was set back.
        assert_eq!(age(now + Duration::from_secs(9), now), "0s");
    }
}
