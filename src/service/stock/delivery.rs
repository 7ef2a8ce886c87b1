//! Files that list delivered SIMs: columns are found by their names, and every
//! bad line is reported.
//!
//! Only the card and the number of a SIM are read. PINs, PUKs and activation
//! codes, which such files hold too, are never kept, and no message has a value
//! of the file. Pure: opening the file and storing its SIMs is the caller's.

use std::collections::HashMap;
use std::fmt;

use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::domain::stock::Delivered;
use crate::domain::{Iccid, Msisdn};

/// Bad lines that a report names one by one.
const MOST_NAMED: usize = 20;

/// What separates values: the one that shows the columns in the header.
const DELIMITERS: [u8; 3] = *b";,\t";

/// A column that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The card.
    Iccid,
    /// The number.
    Msisdn,
}

impl Column {
    /// How it is spelled, in lowercase letters and digits. The provider's APIs
    /// call the card `simSerial`.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Iccid => &["iccid", "icc", "simserial", "simserialnumber"],
            Self::Msisdn => &["msisdn", "phonenumber"],
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iccid => "ICCID",
            Self::Msisdn => "MSISDN",
        })
    }
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is no text.
    #[error("the file is empty")]
    Empty,
    /// Two bytes per letter.
    #[error("the file is in UTF-16: save it as UTF-8")]
    Utf16,
    /// The header has no card, or the file has no header.
    #[error("no column is named ICCID: the first line has to name the columns")]
    NoIccid,
    /// Which one is meant is not known.
    #[error("two columns are named {0}")]
    Ambiguous(Column),
    /// There is only the header.
    #[error("there is no SIM below the header")]
    NoSim,
    /// The value is not there.
    #[error("column {0}: is empty")]
    Missing(Column),
    /// A spreadsheet that takes it for a number spoils it.
    #[error("column ICCID: is not 13 to 20 digits")]
    NotAnIccid,
    /// The value is something else.
    #[error("column MSISDN: is not 6 to 15 digits, with or without a leading +")]
    NotAnMsisdn,
    /// Which of them is one too many is not known.
    #[error("has {values} values for {columns} columns")]
    TooManyValues {
        /// On the line.
        values: usize,
        /// In the header.
        columns: usize,
    },
    /// What follows would be a part of the value.
    #[error("a quoted value does not end on its line")]
    OpenQuote,
    /// Each SIM is delivered once.
    #[error("column ICCID: the same card as in line {first}")]
    Repeated {
        /// The line that has it first.
        first: usize,
    },
}

/// A bad line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// Why.
    pub problem: Problem,
}

/// Why a file cannot be imported. It names no value of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct BadFile {
    /// The first bad lines, in their order.
    pub lines: Vec<BadLine>,
    /// How many more there are.
    pub more: usize,
}

impl BadFile {
    fn at(line: usize, problem: Problem) -> Self {
        let mut file = Self::default();
        file.add(line, problem);
        file
    }

    fn add(&mut self, line: usize, problem: Problem) {
        if self.lines.len() < MOST_NAMED {
            self.lines.push(BadLine { line, problem });
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, BadLine { line, problem }) in self.lines.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}line {line}: {problem}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// Reads a delivery file: one SIM a line, below a header. All of it is good, or
/// the file is bad.
///
/// # Errors
/// Every bad line.
pub fn read(file: &[u8]) -> Result<Vec<Delivered>, BadFile> {
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Err(BadFile::at(1, Problem::Utf16));
    }
    let Some(header) = Header::find(text) else {
        return Err(BadFile::at(1, Problem::Empty));
    };
    let columns = header
        .columns()
        .map_err(|problem| BadFile::at(header.line, problem))?;
    let mut lines = Lines {
        text: header.rest,
        at: 0,
        line: header.line,
    };
    let (mut sims, mut bad) = (Vec::new(), BadFile::default());
    let mut seen: HashMap<Iccid, usize> = HashMap::new();
    let mut reader = reader(header.rest, columns.delimiter);
    let mut record = ByteRecord::new();
    // Bytes in memory of lines of any length are always read.
    while reader.read_byte_record(&mut record).is_ok_and(|more| more) {
        let start = record.position().map_or(0, csv::Position::byte);
        let line = lines.of(usize::try_from(start).unwrap_or(usize::MAX));
        if record.iter().all(is_blank) {
            continue;
        }
        match columns.sim(&record) {
            Err(problem) => bad.add(line, problem),
            Ok(sim) => match seen.get(&sim.iccid) {
                Some(&first) => bad.add(line, Problem::Repeated { first }),
                None => {
                    seen.insert(sim.iccid.clone(), line);
                    sims.push(sim);
                }
            },
        }
    }
    if !bad.lines.is_empty() {
        return Err(bad);
    }
    if sims.is_empty() {
        return Err(BadFile::at(header.line, Problem::NoSim));
    }
    Ok(sims)
}

fn reader(text: &[u8], delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text)
}

/// The first line that is not blank.
struct Header<'a> {
    text: &'a [u8],
    line: usize,
    /// From the end of the line on.
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    fn find(file: &'a [u8]) -> Option<Self> {
        let (mut rest, mut line) = (file, 1);
        while !rest.is_empty() {
            let end = rest.iter().position(ends_line).unwrap_or(rest.len());
            let (text, after) = rest.split_at(end);
            let has_name = |byte: &u8| !byte.is_ascii_whitespace() && !DELIMITERS.contains(byte);
            if text.iter().any(has_name) {
                let rest = after;
                return Some(Self { text, line, rest });
            }
            let end = if after.starts_with(b"\r\n") { 2 } else { 1 };
            rest = after.get(end..).unwrap_or_default();
            line += 1;
        }
        None
    }

    fn columns(&self) -> Result<Columns, Problem> {
        let candidates = DELIMITERS.map(|delimiter| Columns::read(self.text, delimiter));
        // Of equals the last is taken: with one column that is the usual one.
        let best = candidates
            .into_iter()
            .rev()
            .max_by_key(|candidate| match candidate {
                Ok(columns) => columns.count,
                Err(Problem::NoIccid) => 0,
                // The delimiter has shown them, so that this is the answer.
                Err(_) => usize::MAX,
            });
        best.unwrap_or(Err(Problem::NoIccid))
    }
}

/// Where the values of a line are.
struct Columns {
    delimiter: u8,
    iccid: usize,
    msisdn: Option<usize>,
    /// Without empty ones at the end.
    count: usize,
}

impl Columns {
    fn read(header: &[u8], delimiter: u8) -> Result<Self, Problem> {
        let mut record = ByteRecord::new();
        let read = reader(header, delimiter).read_byte_record(&mut record);
        if !read.is_ok_and(|some| some) {
            return Err(Problem::NoIccid);
        }
        let place = |column: Column| {
            let names = record.iter().enumerate();
            let mut found = names.filter(|(_, name)| column.names().contains(&plain(name).as_str()));
            match (found.next(), found.next()) {
                (found, None) => Ok(found.map(|(place, _)| place)),
                (_, Some(_)) => Err(Problem::Ambiguous(column)),
            }
        };
        Ok(Self {
            delimiter,
            iccid: place(Column::Iccid)?.ok_or(Problem::NoIccid)?,
            msisdn: place(Column::Msisdn)?,
            count: values(&record),
        })
    }

    fn sim(&self, record: &ByteRecord) -> Result<Delivered, Problem> {
        if record.iter().any(|field| field.iter().any(ends_line)) {
            return Err(Problem::OpenQuote);
        }
        let (values, columns) = (values(record), self.count);
        if values > columns {
            return Err(Problem::TooManyValues { values, columns });
        }
        let at = |place| record.get(place).map(value).unwrap_or_default();
        let iccid = match at(self.iccid).as_str() {
            "" => return Err(Problem::Missing(Column::Iccid)),
            text => Iccid::parse(text).ok_or(Problem::NotAnIccid)?,
        };
        let msisdn = match self.msisdn.map(at).unwrap_or_default().as_str() {
            "" => None,
            text => Some(Msisdn::parse_international(&text.replace(' ', "")).ok_or(Problem::NotAnMsisdn)?),
        };
        Ok(Delivered { iccid, msisdn })
    }
}

/// How many values a line has, without blank ones at its end.
fn values(record: &ByteRecord) -> usize {
    let last = record.iter().rposition(|field| !is_blank(field));
    last.map_or(0, |place| place + 1)
}

/// A value without blanks around it, and without what spreadsheets add to
/// digits that have to stay text: `="8988"` and `'8988`.
fn value(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    let text = text.trim().trim_start_matches(['=', '\'']).trim_matches('"');
    text.trim().to_owned()
}

fn is_blank(field: &[u8]) -> bool {
    value(field).is_empty()
}

/// A name without case, blanks and punctuation.
fn plain(name: &[u8]) -> String {
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    letters
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect()
}

fn ends_line(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Numbers of lines, for places in ascending order. The reader's own are those
/// of blank lines before a record.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the first byte from `start` on that ends none.
    fn of(&mut self, start: usize) -> usize {
        let from_there = self.text.get(start..).unwrap_or_default();
        let ends = from_there.iter().take_while(|byte| ends_line(byte)).count();
        let to = start.saturating_add(ends);
        let passed = self.text.get(self.at..to).unwrap_or_default();
        let next = self.text.get(self.at.saturating_add(1)..).unwrap_or_default();
        let next = next.iter().map(Some).chain([None]);
        self.line += passed
            .iter()
            .zip(next)
            .filter(|(byte, next)| match byte {
                b'\n' => true,
                b'\r' => *next != Some(&b'\n'),
                _ => false,
            })
            .count();
        self.at = to;
        self.line
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
