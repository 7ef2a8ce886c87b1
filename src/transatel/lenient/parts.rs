//! Objects and lists of them in large answers, read without a tree. An object
//! that has a member twice, or something that cannot be represented, fails.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::absent;

/// An object, if it is one.
#[derive(Debug)]
pub struct Part<T>(pub Option<T>);

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Part<T>;
            absent!(simple null list);
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Part<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(object)).map(|object| Part(Some(object)))
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// The objects of a list.
#[derive(Debug)]
struct Parts<T>(Vec<T>);

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Parts<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Parts<T>;
            absent!(simple null object);
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Parts<T>, A::Error> {
                let mut parts = Vec::new();
                while let Some(Part(element)) = list.next_element::<Part<T>>()? {
                    parts.extend(element);
                }
                Ok(Parts(parts))
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// The objects of every list in an object of lists, in the order of the
/// lists' names.
#[derive(Debug)]
pub struct Lists<T>(pub Vec<T>);

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lists<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Lists<T>;
            absent!(simple null list);
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Lists<T>, A::Error> {
                let mut lists = Vec::new();
                while let Some((name, Parts(list))) = object.next_entry::<String, Parts<T>>()? {
                    lists.push((name, list));
                }
                lists.sort_by(|(one, _), (other, _)| one.cmp(other));
                let mut pairs = lists.iter().zip(lists.iter().skip(1));
                if pairs.any(|((one, _), (next, _))| one == next) {
                    // Counting both would double a balance.
                    return Err(A::Error::custom("a list is named twice"));
                }
                Ok(Lists(lists.into_iter().flat_map(|(_, list)| list).collect()))
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}
