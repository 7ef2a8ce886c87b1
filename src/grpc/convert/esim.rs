//! Domain to protobuf: the Esim service.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use super::{sim_ids, timestamp};
use crate::domain::esim::{Eid, Esim, Obstacle, Reinstallable};
use crate::domain::opaque::Opaque;
use crate::domain::{EsimStatus, SimIds};
use crate::pb::connectivity::v1 as pb;
use crate::service::esim::Installation;
use crate::service::qr_code::Picture;

/// An eSIM without its activation material.
pub fn profile(esim: Esim) -> pb::EsimProfile {
    pb::EsimProfile {
        sim: Some(sim_ids(SimIds {
            iccid: Some(esim.iccid),
            msisdn: esim.msisdn,
        })),
        status: status(esim.status).into(),
        raw_status: esim.raw_status,
        status_changed_at: esim.status_changed_at.map(timestamp),
        eid: esim.eid.as_ref().map(Eid::as_str).unwrap_or_default().to_owned(),
        installable: esim.installable,
        history: esim.history.into_iter().map(entry).collect(),
        reinstallable: reinstallable(esim.reinstallable).into(),
    }
}

fn reinstallable(reinstallable: Option<Reinstallable>) -> pb::Reinstallable {
    match reinstallable {
        None => pb::Reinstallable::Unspecified,
        Some(Reinstallable::Usually) => pb::Reinstallable::Usually,
        Some(Reinstallable::NotWhileOnDevice) => pb::Reinstallable::NotWhileOnDevice,
        Some(Reinstallable::DownloadsUsedUp) => pb::Reinstallable::DownloadsUsedUp,
    }
}

/// The status of a profile.
pub fn status(status: Option<EsimStatus>) -> pb::EsimStatus {
    match status {
        None => pb::EsimStatus::Unspecified,
        Some(EsimStatus::Available) => pb::EsimStatus::Available,
        Some(EsimStatus::Allocated) => pb::EsimStatus::Allocated,
        Some(EsimStatus::Released) => pb::EsimStatus::Released,
        Some(EsimStatus::Downloaded) => pb::EsimStatus::Downloaded,
        Some(EsimStatus::Installed) => pb::EsimStatus::Installed,
        Some(EsimStatus::Enabled) => pb::EsimStatus::Enabled,
        Some(EsimStatus::Disabled) => pb::EsimStatus::Disabled,
        Some(EsimStatus::Deleted) => pb::EsimStatus::Deleted,
    }
}

/// What installs an eSIM.
pub fn installation(installation: Installation) -> pb::GetInstallationResponse {
    let mut response = pb::GetInstallationResponse {
        activation_code: installation.code.link(),
        smdp_address: installation.code.smdp_address().to_owned(),
        matching_id: installation.code.matching_id().to_owned(),
        apple_install_url: installation.apple_url(),
        android_install_url: installation.android_url(),
        confirmation_code_required: installation.code.needs_confirmation(),
        installable: installation.obstacle.is_none(),
        not_installable_reason: obstacle(installation.obstacle).into(),
        apn: installation.apn.unwrap_or_default(),
        ..Default::default()
    };
    match installation.picture {
        None => {}
        Some(Picture::Png(file)) => response.qr_png = file.into(),
        Some(Picture::Svg(document)) => response.qr_svg = document,
    }
    response
}

fn obstacle(obstacle: Option<Obstacle>) -> pb::NotInstallableReason {
    match obstacle {
        None => pb::NotInstallableReason::Unspecified,
        Some(Obstacle::OnDevice) => pb::NotInstallableReason::OnDevice,
        Some(Obstacle::Deleted) => pb::NotInstallableReason::Deleted,
        Some(Obstacle::BoundToDevice) => pb::NotInstallableReason::BoundToDevice,
        Some(Obstacle::StatusUnknown) => pb::NotInstallableReason::StatusUnknown,
    }
}

/// An object; anything else becomes its `value`.
pub fn entry(entry: Opaque) -> Struct {
    match entry {
        Opaque::Object(members) => object(members),
        other => object(vec![("value".to_owned(), other)]),
    }
}

fn object(members: Vec<(String, Opaque)>) -> Struct {
    let fields = members.into_iter().map(|(name, member)| (name, value(member)));
    Struct {
        fields: fields.collect(),
    }
}

fn value(opaque: Opaque) -> Value {
    let kind = match opaque {
        Opaque::Null => Kind::NullValue(0),
        Opaque::Bool(value) => Kind::BoolValue(value),
        Opaque::Number(number) => Kind::NumberValue(number),
        Opaque::Text(text) => Kind::StringValue(text),
        Opaque::List(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(value).collect(),
        }),
        Opaque::Object(members) => Kind::StructValue(object(members)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Iccid;

    #[test]
    fn every_state_has_its_value() {
        for (state, value) in [
            (None, pb::EsimStatus::Unspecified),
            (Some(EsimStatus::Available), pb::EsimStatus::Available),
            (Some(EsimStatus::Allocated), pb::EsimStatus::Allocated),
            (Some(EsimStatus::Released), pb::EsimStatus::Released),
            (Some(EsimStatus::Downloaded), pb::EsimStatus::Downloaded),
            (Some(EsimStatus::Installed), pb::EsimStatus::Installed),
            (Some(EsimStatus::Enabled), pb::EsimStatus::Enabled),
            (Some(EsimStatus::Disabled), pb::EsimStatus::Disabled),
            (Some(EsimStatus::Deleted), pb::EsimStatus::Deleted),
        ] {
            assert_eq!(status(state), value);
        }
    }

    #[test]
    fn history_keeps_its_shape() {
        let text = |text: &str| Opaque::Text(text.to_owned());
        let converted = entry(Opaque::Object(vec![
            ("none".to_owned(), Opaque::Null),
            (
                "list".to_owned(),
                Opaque::List(vec![Opaque::Bool(true), Opaque::Number(1.5)]),
            ),
            (
                "inner".to_owned(),
                Opaque::Object(vec![("note".to_owned(), text("x"))]),
            ),
        ]));
        assert_eq!(converted.fields["none"].kind, Some(Kind::NullValue(0)));
        let list = |kind| Value { kind: Some(kind) };
        assert_eq!(
            converted.fields["list"].kind,
            Some(Kind::ListValue(ListValue {
                values: vec![list(Kind::BoolValue(true)), list(Kind::NumberValue(1.5))]
            }))
        );
        let Some(Kind::StructValue(inner)) = &converted.fields["inner"].kind else {
            panic!("no object");
        };
        assert_eq!(inner.fields["note"].kind, Some(Kind::StringValue("x".to_owned())));
        let bare = entry(text("note"));
        assert_eq!(
            bare.fields["value"].kind,
            Some(Kind::StringValue("note".to_owned()))
        );
    }

    #[test]
    fn debug_of_the_messages_prints_no_identifier() {
        let profile = profile(Esim {
            iccid: Iccid::parse("8988247000000000019").unwrap(),
            msisdn: None,
            status: Some(EsimStatus::Enabled),
            raw_status: "enabled".to_owned(),
            status_changed_at: None,
            eid: Eid::parse("89001012012341234012345678901224"),
            installable: false,
            reinstallable: None,
            history: vec![Opaque::Text("in-history".to_owned())],
        });
        let printed = format!("{profile:?}");
        for secret in [
            "8988247000000000019",
            "89001012012341234012345678901224",
            "in-history",
        ] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
