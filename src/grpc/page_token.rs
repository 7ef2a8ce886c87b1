//! Page tokens: opaque, bound to the list and to the request they came from.
//!
//! A token holds no secret and gives no right, so it is not signed; a check
//! sum tells a foreign or mangled one from ours.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use uuid::Uuid;

use crate::domain::error::PageTokenFault;
use crate::domain::event::Cursor;
use crate::domain::order::OrderId;

/// Where a page begins, in the terms of its list: what a token carries.
pub trait Place: Sized {
    /// As bytes.
    fn write(&self, token: &mut Vec<u8>);
    /// From exactly those bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// A place in a list that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// What is paged through: a snapshot, a part of the list.
    pub within: u64,
    /// Elements of it before this page.
    pub offset: u32,
}

impl Place for Position {
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

/// The last order of the previous page.
impl Place for OrderId {
    fn write(&self, token: &mut Vec<u8>) {
        token.extend(self.0.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self(Uuid::from_slice(bytes).ok()?))
    }
}

/// The last event that was dealt with.
impl Place for Cursor {
    fn write(&self, token: &mut Vec<u8>) {
        token.extend(self.log.as_bytes());
        token.extend(self.sequence.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (log, rest) = bytes.split_first_chunk::<16>()?;
        Some(Self {
            log: Uuid::from_bytes(*log),
            sequence: u64::from_be_bytes(rest.try_into().ok()?),
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
}

/// Changes when the layout of a token does.
const VERSION: u8 = 1;

/// Identifies what a request asks for: everything but the page itself.
pub fn fingerprint(request: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.hash(&mut hasher);
    hasher.finish()
}

/// Writes a token for the place after the current page.
pub fn encode(list: List, fingerprint: u64, place: &impl Place) -> String {
    let mut token = vec![VERSION, list as u8];
    token.extend(fingerprint.to_be_bytes());
    place.write(&mut token);
    token.extend(check(&token));
    URL_SAFE_NO_PAD.encode(token)
}

/// Reads a token; an empty one is the beginning.
///
/// # Errors
/// When it is not ours, or belongs to another request.
pub fn decode<P: Place>(list: List, fingerprint: u64, token: &str) -> Result<Option<P>, PageTokenFault> {
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
    if check(body) != sum {
        return Err(PageTokenFault::Foreign);
    }
    let (head, rest) = body.split_first_chunk::<2>().ok_or(PageTokenFault::Foreign)?;
    let (own, rest) = rest.split_first_chunk::<8>().ok_or(PageTokenFault::Foreign)?;
    let [version, kind] = *head;
    if version != VERSION {
        return Err(PageTokenFault::Foreign);
    }
    if kind != list as u8 || u64::from_be_bytes(*own) != fingerprint {
        return Err(PageTokenFault::OtherRequest);
    }
    P::read(rest).map(Some).ok_or(PageTokenFault::Foreign)
}

fn check(body: &[u8]) -> [u8; 4] {
    let mut hasher = DefaultHasher::new();
    ("page token", body).hash(&mut hasher);
    let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_reads_back(fingerprint: u64, within: u64, offset: u32) {
            let position = Position { within, offset };
            let token = encode(List::Products, fingerprint, &position);
            prop_assert_eq!(decode(List::Products, fingerprint, &token), Ok(Some(position)));
            prop_assert_eq!(
                decode::<Position>(List::Products, fingerprint ^ 1, &token),
                Err(PageTokenFault::OtherRequest)
            );
        }

        #[test]
        fn anything_else_is_refused(token in ".{1,60}") {
            prop_assert_eq!(decode::<Position>(List::Products, 0, &token), Err(PageTokenFault::Foreign));
        }

        #[test]
        fn a_mangled_token_is_refused(offset: u32, at in 0..34_usize, letter in "[A-Za-z0-9_-]") {
            let mut token = encode(List::Products, 7, &Position { within: 9, offset });
            prop_assume!(token.get(at..=at) != Some(letter.as_str()));
            token.replace_range(at..=at, &letter);
            prop_assert!(decode::<Position>(List::Products, 7, &token).is_err());
        }
    }
}
