//! The names in tables by callers.

use super::reader::Reader;
use crate::domain::Caller;

/// Stands for [`Whom::Others`].
const OTHERS: &str = "*";

/// Whom an entry of a table by callers is for.
pub(super) enum Whom {
    /// This caller.
    Named(Caller),
    /// The callers that are not named, or every one that has a name: as the table
    /// says.
    Others,
}

impl Whom {
    /// By the name of the entry. `None` for one that no caller can have, which is
    /// reported.
    pub(super) fn read(reader: &mut Reader, key: &str, name: &str) -> Option<Self> {
        if name == OTHERS {
            return Some(Self::Others);
        }
        let caller = Caller::parse(name).map(Self::Named);
        if caller.is_none() {
            reader.problem(
                key,
                format!(
                    "{name:?} is neither a SPIFFE ID (spiffe://company.example/shop) nor a DNS name nor \"{OTHERS}\""
                ),
            );
        }
        caller
    }
}
