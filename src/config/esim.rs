//! `[esim]`: what a customer sets on a device.

use super::reader::Reader;

/// Longest access point name, in characters (3GPP TS 23.003, section 9.1).
const LONGEST_APN: usize = 100;

/// What a customer sets on a device.
#[derive(Clone, Debug)]
pub struct Esim {
    /// The access point name.
    pub apn: Option<String>,
}

impl Esim {
    pub(super) fn read(reader: &mut Reader) -> Self {
        const KEY: &str = "esim.apn";
        let apn = reader.optional_text(KEY);
        let is_apn = |text: &String| {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
            text.len() <= LONGEST_APN && text.chars().all(fits)
        };
        if apn.as_ref().is_some_and(|apn| !is_apn(apn)) {
            let rule = format!("must have at most {LONGEST_APN} letters, digits, points and hyphens");
            reader.problem(KEY, rule);
        }
        Self { apn }
    }
}
