//! See [`crate::fuzzing`].

use std::collections::HashSet;

use super::stock::delivery;

/// Digits in a row that would be a part of an identifier: numbers of lines are
/// shorter.
const TELLING: usize = 8;

/// A delivery file. What is read is SIMs, each once; what is not is reported in
/// bounds and without a value of the file.
pub fn delivery(bytes: &[u8]) {
    match delivery::read(bytes) {
        Ok(sims) => {
            let cards: HashSet<_> = sims.iter().map(|sim| &sim.iccid).collect();
            assert!(!sims.is_empty() && cards.len() == sims.len());
        }
        Err(bad) => {
            assert!((1..=20).contains(&bad.lines.len()));
            let ascending = bad.lines.is_sorted_by(|one, next| one.line < next.line);
            assert!(ascending, "{bad}");
            let text = bad.to_string();
            let mut rows = text.split(|letter: char| !letter.is_ascii_digit());
            assert!(rows.all(|digits| digits.len() < TELLING), "{text}");
        }
    }
}
