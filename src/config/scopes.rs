//! `callers.scope`: whose orders and events each caller sees.

use super::reader::Reader;
use crate::domain::Caller;
use crate::domain::scope::Scopes;

pub(super) const KEY: &str = "callers.scope";
/// Stands for each caller that is not named.
const OTHERS: &str = "*";

pub(super) fn read(reader: &mut Reader) -> Scopes {
    let mut scopes = Scopes::default();
    for (name, scope) in reader.texts(KEY) {
        let is_own = match scope.as_str() {
            "own" => true,
            "all" => false,
            _ => {
                reader.problem(
                    KEY,
                    format!("{scope:?} of {name:?} is neither \"own\" nor \"all\""),
                );
                continue;
            }
        };
        if name == OTHERS {
            scopes.others = is_own;
        } else if let Some(caller) = Caller::parse(&name) {
            scopes.named.insert(caller, is_own);
        } else {
            reader.problem(
                KEY,
                format!(
                    "{name:?} is neither a SPIFFE ID (spiffe://company.example/shop) nor a DNS name nor \"{OTHERS}\""
                ),
            );
        }
    }
    scopes
}
