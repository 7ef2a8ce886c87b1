//! Read masks (AIP-157): which fields of a product an answer has.
//!
//! Products are encoded once per catalog. A mask copies the wanted fields out
//! of those bytes, without decoding them; an answer without a mask never comes
//! here. Only the fields of the product itself can be named.

use std::sync::LazyLock;

use bytes::{Buf, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_types::{FieldMask, FileDescriptorSet};

use super::DESCRIPTORS;
use super::parse::Violations;

/// Every field of a product fits.
const MOST_PATHS: usize = 64;

/// Longest list of unknown paths in a violation, in bytes.
const LONGEST_LIST: usize = 200;

/// Names and numbers of the fields of a product.
static FIELDS: LazyLock<Vec<(String, u32)>> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    let messages = set.file.into_iter().flat_map(|file| file.message_type);
    let product = messages.filter(|message| message.name() == "Product");
    product
        .flat_map(|message| message.field)
        .filter_map(|field| Some((field.name().to_owned(), u32::try_from(field.number()).ok()?)))
        .collect()
});

/// The wanted fields: bit *n* is field *n*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask(u64);

impl Mask {
    /// The message with only the wanted fields.
    pub fn apply(self, message: &Bytes) -> Bytes {
        let mut rest = message.clone();
        let mut masked = BytesMut::new();
        while rest.has_remaining() {
            let start = rest.clone();
            let Some(number) = skip_field(&mut rest) else {
                break;
            };
            if self.has(number) {
                masked.extend_from_slice(start.slice(..start.len() - rest.len()).as_ref());
            }
        }
        masked.freeze()
    }

    fn has(self, number: u32) -> bool {
        self.0 & bit(number) != 0
    }
}

/// 0 for numbers that do not fit, which no field has.
fn bit(number: u32) -> u64 {
    1_u64.checked_shl(number).unwrap_or_default()
}

/// The number of the first field, which is dropped.
fn skip_field(message: &mut Bytes) -> Option<u32> {
    let (number, kind) = decode_key(message).ok()?;
    let length = match kind {
        WireType::Varint => {
            decode_varint(message).ok()?;
            0
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => usize::try_from(decode_varint(message).ok()?).ok()?,
        // Not in proto3.
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    (length <= message.remaining()).then(|| message.advance(length))?;
    Some(number)
}

impl Violations {
    /// The fields that a caller wants; `None` for all.
    pub fn read_mask(&mut self, field: &str, mask: Option<&FieldMask>) -> Option<Mask> {
        let paths = &mask?.paths;
        let (mut wanted, mut unknown, mut nested) = (0, Vec::new(), Vec::new());
        for path in self.bounded(field, paths.iter(), MOST_PATHS) {
            let found = FIELDS.iter().find(|(name, _)| name == path);
            match found {
                Some((_, number)) => wanted |= bit(*number),
                None if path == "*" => wanted = u64::MAX,
                None if path.contains('.') => nested.push(path.as_str()),
                None => unknown.push(path.as_str()),
            }
        }
        let mut refuse = |why: &str, paths: &[&str]| {
            if !paths.is_empty() {
                self.add(field, format!("{why}: {}", list(paths)));
            }
        };
        refuse("must name fields of Product; these are not", &unknown);
        refuse("must not name fields within fields", &nested);
        (!paths.is_empty() && wanted != u64::MAX).then_some(Mask(wanted))
    }
}

/// The paths, cut off where it gets too long.
fn list(paths: &[&str]) -> String {
    let all = paths.join(", ");
    match all.char_indices().find(|(at, _)| *at >= LONGEST_LIST) {
        Some((at, _)) => format!("{}…", all.get(..at).unwrap_or_default()),
        None => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::connectivity::v1 as pb;

    fn mask(paths: &[&str]) -> Option<Mask> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let mut violations = Violations::default();
        let mask = violations.read_mask("read_mask", Some(&FieldMask { paths }));
        violations.into_result(Some(mask)).unwrap()
    }

    #[test]
    fn only_the_wanted_fields_are_left_whatever_their_encoding() {
        let product = pb::Product {
            product_id: "P".into(),
            category: 2,
            countries: vec!["FR".into(), "DE".into()],
            available: true,
            max_periods: Some(300),
            display_priority: Some(-1),
            networks: vec![pb::CountryNetworks::default(); 3],
            ..Default::default()
        };
        let encoded = Bytes::from(product.encode_to_vec());
        let masked = |paths: &[&str]| {
            let masked = mask(paths).unwrap().apply(&encoded);
            pb::Product::decode(masked).unwrap()
        };
        let only = pb::Product {
            countries: product.countries.clone(),
            max_periods: product.max_periods,
            display_priority: product.display_priority,
            ..Default::default()
        };
        assert!(masked(&["display_priority", "countries", "max_periods", "countries"]) == only);
        let all: Vec<&str> = FIELDS.iter().map(|(name, _)| name.as_str()).collect();
        assert!(masked(&all) == product);
        assert_eq!(mask(&[]), None);
        assert_eq!(mask(&["product_id", "*"]), None);
    }

    #[test]
    fn every_field_of_a_product_has_a_name_and_a_bit() {
        assert!(FIELDS.len() >= 21, "{FIELDS:?}");
        assert!(FIELDS.iter().all(|(_, number)| (1..64).contains(number)));
    }

    proptest::proptest! {
        #[test]
        fn bytes_that_are_no_message_end_the_answer(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let masked = Mask(u64::MAX - 1).apply(&bytes);
            proptest::prop_assert!(masked.len() <= bytes.len());
        }
    }
}
