//! Page tokens: opaque, bound to their list and request.
//!
//! A token holds no secret and grants nothing, so it is not signed; a checksum
//! rejects foreign and mangled ones. What is computed here must not depend on
//! the build: replicas read each other's tokens, and callers keep those of
//! events for weeks.

use std::hash::{Hash, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use uuid::Uuid;

use crate::domain::Iccid;
use crate::domain::digest::Digest;
use crate::domain::error::PageTokenFault;
use crate::domain::event::{Cursor, Mark};
use crate::domain::write::WriteId;

/// The start of a page, in terms of its list: what a token carries.
pub trait PageStart: Sized {
    /// Appends it as bytes.
    fn write(&self, token: &mut Vec<u8>);
    /// Reads exactly those bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// A position in a counted list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// What is paged through: a snapshot, or a part of the list.
    pub within: u64,
    /// Elements of it before this page.
    pub offset: u32,
}

impl PageStart for Position {
    fn write(&self, token: &mut Vec<u8>) {
        token.extend(self.within.to_be_bytes());
        token.extend(self.offset.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (within, rest) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            within: u64::from_be_bytes(*within),
            offset: u32::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

/// The last order or operation of the previous page.
impl PageStart for WriteId {
    fn write(&self, token: &mut Vec<u8>) {
        token.extend(self.0.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self(Uuid::from_slice(bytes).ok()?))
    }
}

/// The last SIM of the previous page. The token holds its card as it is: it goes
/// only to callers that have just read it.
impl PageStart for Iccid {
    fn write(&self, token: &mut Vec<u8>) {
        token.extend(self.as_str().as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?)
    }
}

/// The last event that was processed, with its mark if there is one.
impl PageStart for Cursor {
    fn write(&self, token: &mut Vec<u8>) {
        token.extend(self.log.as_bytes());
        token.extend(self.sequence.to_be_bytes());
        if let Some(Mark(mark)) = self.mark {
            token.extend(mark.to_be_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (log, rest) = bytes.split_first_chunk::<16>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let mark = match rest {
            [] => None,
            mark => Some(Mark(u64::from_be_bytes(mark.try_into().ok()?))),
        };
        Some(Self {
            log: Uuid::from_bytes(*log),
            sequence: u64::from_be_bytes(*sequence),
            mark,
        })
    }
}

/// Which list a token pages through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// `Catalog.ListProducts`
    Products,
    /// `Inventory.ListSims`
    Sims,
    /// `Provisioning.ListOrders`
    Orders,
    /// `Events.ListEvents`
    Events,
    /// `Events.StreamEvents`
    EventStream,
    /// `Provisioning.ListSimOperations`
    SimOperations,
    /// `Catalog.ListEligibleProducts`
    EligibleProducts,
    /// `Catalog.ListCatalogChanges`
    CatalogChanges,
    /// `Inventory.ListStock`
    Stock,
}

/// Changes when the layout of a token does.
const VERSION: u8 = 1;

/// Identifies the content of a request without its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of tokens that are not bound to a request.
    pub const ANY: Self = Self(0);

    /// Of a request.
    pub fn of(request: &impl Hash) -> Self {
        Self(hashed(request))
    }
}

fn hashed(value: &impl Hash) -> u64 {
    let mut digest = Digest::default();
    value.hash(&mut digest);
    digest.finish()
}

/// Writes the token of the next page.
pub fn encode(list: List, fingerprint: Fingerprint, start: &impl PageStart) -> String {
    let mut token = vec![VERSION, list as u8];
    token.extend(fingerprint.0.to_be_bytes());
    start.write(&mut token);
    token.extend(check(&token));
    URL_SAFE_NO_PAD.encode(token)
}

/// Reads a token; an empty one is the beginning.
///
/// # Errors
/// When the gateway did not make it, or it belongs to another request.
pub fn decode<P: PageStart>(
    list: List,
    fingerprint: Fingerprint,
    token: &str,
) -> Result<Option<P>, PageTokenFault> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| PageTokenFault::Foreign)?;
    let (body, sum) = bytes
        .split_last_chunk::<4>()
        .map(|(body, sum)| (body, *sum))
        .ok_or(PageTokenFault::Foreign)?;
    let (head, rest) = body.split_first_chunk::<2>().ok_or(PageTokenFault::Foreign)?;
    let (own, rest) = rest.split_first_chunk::<8>().ok_or(PageTokenFault::Foreign)?;
    let [version, kind] = *head;
    if version != VERSION || sum != check(body) {
        return Err(PageTokenFault::Foreign);
    }
    if kind != list as u8 || u64::from_be_bytes(*own) != fingerprint.0 {
        return Err(PageTokenFault::OtherRequest);
    }
    P::read(rest).map(Some).ok_or(PageTokenFault::Foreign)
}

fn check(body: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = hashed(&("page token", body)).to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(number: u64) -> Fingerprint {
        Fingerprint::of(&number)
    }

    proptest! {
        #[test]
        fn a_token_reads_back(fingerprint: u64, within: u64, offset: u32) {
            let position = Position { within, offset };
            let token = encode(List::Products, of(fingerprint), &position);
            prop_assert_eq!(decode(List::Products, of(fingerprint), &token), Ok(Some(position)));
            prop_assert_eq!(
                decode::<Position>(List::Products, of(fingerprint ^ 1), &token),
                Err(PageTokenFault::OtherRequest)
            );
        }

        #[test]
        fn a_cursor_reads_back(log: u128, sequence: u64, mark: Option<u64>) {
            let cursor = Cursor { log: Uuid::from_u128(log), sequence, mark: mark.map(Mark) };
            let token = encode(List::EventStream, Fingerprint::ANY, &cursor);
            prop_assert_eq!(decode(List::EventStream, Fingerprint::ANY, &token), Ok(Some(cursor)));
        }

        #[test]
        fn anything_else_is_refused(token in ".{1,60}") {
            prop_assert_eq!(decode::<Position>(List::Products, of(0), &token), Err(PageTokenFault::Foreign));
        }

        #[test]
        fn a_mangled_token_is_refused(offset: u32, at in 0..34_usize, letter in "[A-Za-z0-9_-]") {
            let mut token = encode(List::Products, of(7), &Position { within: 9, offset });
            prop_assume!(token.get(at..=at) != Some(letter.as_str()));
            token.replace_range(at..=at, &letter);
            prop_assert!(decode::<Position>(List::Products, of(7), &token).is_err());
        }
    }

    #[test]
    fn a_token_does_not_depend_on_the_build() {
        let request = ("FR", 5_u32, true, ["a", "b"].as_slice(), Some("x"));
        let start = Position {
            within: 9,
            offset: 50,
        };
        let token = encode(List::Products, Fingerprint::of(&request), &start);
        assert_eq!(token, "AQCfK7AbHEyxXwAAAAAAAAAJAAAAMvIYqqk");
    }

    /// As the gateway made them with the standard library's hasher, for a list
    /// of events of one type and one SIM and for one of products.
    #[test]
    fn tokens_of_the_previous_version_are_read() {
        let cursor = "AQMz6rztnp2anuuJZehhiizyBYOSs4QtbbkAAAAAAAAAAYtsrfs";
        let position = "AQD9u2a4AZiIC-RSmKIWhr1AAAAAAT6eIm0";
        let found = decode::<Cursor>(List::Events, Fingerprint(0x33ea_bced_9e9d_9a9e), cursor);
        let found = found.unwrap().unwrap();
        assert_eq!((found.sequence, found.mark), (1, None));
        let found = decode::<Position>(List::Products, Fingerprint(0xfdbb_66b8_0198_880b), position);
        assert_eq!(found.unwrap().unwrap().offset, 1);
        // Of another request.
        let found = decode::<Position>(List::Products, Fingerprint(7), position);
        assert_eq!(found, Err(PageTokenFault::OtherRequest));
    }
}
