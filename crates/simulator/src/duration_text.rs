//! Durations in JSON, written as in the gateway's configuration: `30s`, `5m`, `180days`.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*value))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
}

/// The same for a member that may be missing.
pub(super) mod optional {
    use super::{Deserializer, Duration, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }
}

/// The same for the values of a map.
pub(super) mod by_name {
    use super::{BTreeMap, Deserialize, Deserializer, Duration, Serializer};

    #[derive(serde::Serialize, Deserialize)]
    struct Text(#[serde(with = "super")] Duration);

    pub(crate) fn serialize<S: Serializer>(
        values: &BTreeMap<String, Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(values.iter().map(|(name, value)| (name, Text(*value))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Duration>, D::Error> {
        let values = BTreeMap::<String, Text>::deserialize(deserializer)?;
        Ok(values
            .into_iter()
            .map(|(name, Text(value))| (name, value))
            .collect())
    }
}

/// The same with a sign: `-90s`.
pub(super) mod signed {
    use jiff::SignedDuration;
    use serde::de::Error as _;

    use super::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if value.is_negative() { "-" } else { "" };
        let text = humantime::format_duration(value.unsigned_abs());
        serializer.collect_str(&format_args!("{sign}{text}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SignedDuration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |error: &dyn std::fmt::Display| D::Error::custom(format!("{text:?}: {error}"));
        let size = humantime::parse_duration(text.trim_start_matches('-')).map_err(|error| wrong(&error))?;
        let size = SignedDuration::try_from(size).map_err(|error| wrong(&error))?;
        Ok(if text.starts_with('-') { -size } else { size })
    }
}
