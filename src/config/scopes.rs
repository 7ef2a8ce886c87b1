//! `callers.scope`: whose orders and events each caller sees.

use super::reader::Reader;
use super::whom::Whom;
use crate::domain::scope::Scopes;

pub(super) const KEY: &str = "callers.scope";

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
        match Whom::read(reader, KEY, &name) {
            Some(Whom::Others) => scopes.others = is_own,
            Some(Whom::Named(caller)) => {
                scopes.named.insert(caller, is_own);
            }
            None => {}
        }
    }
    scopes
}
