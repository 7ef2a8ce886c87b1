//! SIM Management: eSIM profiles, read live from the SM-DP+.
//!
//! Provider's document: "SIM Management", eSIM details. Activation material
//! comes in several shapes and only once the profile is released; here it
//! becomes one code or none. The title of a 404 says which kind it is:
//! `ESIM_NOT_FOUND` is an answer, `NOT_FOUND` means that our URL is wrong.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::esim_history::Secrets;
use crate::domain::ProviderDetail;
use crate::domain::esim::{ActivationCode, Eid};
use crate::domain::opaque::Opaque;
use crate::domain::{Error, EsimStatus, Iccid};
use crate::transatel::client::answer::Answer;
use crate::transatel::client::endpoint;
use crate::transatel::client::error::{CallError, Need};
use crate::transatel::client::request::{CallOptions, Request};
use crate::transatel::{Transatel, lenient};

/// An eSIM profile with its activation material.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its state; `None` when the provider's word for it is unknown.
    pub status: Option<EsimStatus>,
    /// The provider's word.
    pub raw_status: String,
    /// Since when.
    pub status_changed_at: Option<Timestamp>,
    /// The device that has it, or that it is reserved for.
    pub eid: Option<Eid>,
    /// What installs it, once it is released.
    pub code: Option<ActivationCode>,
    /// What happened to it, without activation material; empty unless asked
    /// for.
    pub history: Vec<Opaque>,
    /// How often it was downloaded, as far as the history shows.
    pub downloads: Option<usize>,
}

/// The title of the refusal for a physical or unknown SIM.
pub const ESIM_NOT_FOUND: &str = "ESIM_NOT_FOUND";

impl Transatel {
    /// The eSIM profile of a SIM.
    ///
    /// # Errors
    /// `ESIM_NOT_FOUND` for a physical or unknown SIM, `PROVIDER_PROTOCOL`
    /// when the answer is about another SIM, and what any read may give.
    pub async fn esim(
        &self,
        iccid: &Iccid,
        with_history: bool,
        options: CallOptions,
    ) -> Result<Profile, Error> {
        let request = Request {
            query: if with_history { &[("history", "true")] } else { &[] },
            ..Request::new(&endpoint::ESIM, &[iccid.as_str()])
        };
        let answer = self.client.call(&request, options).await;
        let profile = answer.and_then(|answer| read(&answer, iccid));
        profile.map_err(|failure| match failure {
            CallError::Refused(refusal) if refusal.is(ESIM_NOT_FOUND) => Error::EsimNotFound {
                provider: ProviderDetail {
                    code: refusal.title,
                    request_id: refusal.request_id,
                },
            },
            other => other.into_error(Need::Required),
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireEsim {
    #[serde(deserialize_with = "lenient::id")]
    sim_serial: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::timestamp")]
    status_date: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::text")]
    activation_code: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    matching_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    smdp_address: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    eid: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    qr_code: Option<WireQrCode>,
    #[serde(deserialize_with = "lenient::list")]
    history: Vec<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireQrCode {
    #[serde(deserialize_with = "lenient::text")]
    value: Option<String>,
}

pub(in crate::transatel) fn read(answer: &Answer, iccid: &Iccid) -> Result<Profile, CallError> {
    let profile = read_body(&answer.body, iccid).map_err(|error| answer.unreadable(&error))?;
    profile.map_err(|why| answer.contradicts(why))
}

/// The profile, or why a readable answer cannot be one.
pub(in crate::transatel) fn read_body(
    body: &[u8],
    iccid: &Iccid,
) -> Result<Result<Profile, &'static str>, serde_json::Error> {
    Ok(profile(lenient::record(body)?, iccid))
}

/// The profile, or why it cannot be one.
fn profile(wire: WireEsim, iccid: &Iccid) -> Result<Profile, &'static str> {
    // The code of another SIM would be handed out twice.
    if wire
        .sim_serial
        .as_deref()
        .is_some_and(|serial| Iccid::parse(serial).as_ref() != Some(iccid))
    {
        return Err("it is about another SIM");
    }
    let code = code(&wire);
    let raw_status = wire.status.unwrap_or_default().trim().to_owned();
    if raw_status.is_empty() {
        return Err("no status");
    }
    let ids = [
        wire.matching_id,
        code.as_ref().map(|code| code.matching_id().to_owned()),
    ];
    let secrets = Secrets::new(ids.into_iter().flatten());
    Ok(Profile {
        status: esim_status(&raw_status),
        raw_status,
        status_changed_at: wire.status_date,
        eid: wire.eid.as_deref().and_then(Eid::parse),
        downloads: downloads(&wire.history),
        history: wire
            .history
            .into_iter()
            .filter_map(|entry| secrets.without(entry))
            .collect(),
        code,
    })
}

/// The code from whichever member has a usable one.
fn code(wire: &WireEsim) -> Option<ActivationCode> {
    let qr_text = wire.qr_code.as_ref().and_then(|qr_code| qr_code.value.as_deref());
    let whole = [wire.activation_code.as_deref(), qr_text].into_iter().flatten();
    let parts = || ActivationCode::of_parts(wire.smdp_address.as_deref()?, wire.matching_id.as_deref()?);
    whole.filter_map(ActivationCode::parse).next().or_else(parts)
}

/// The provider's words for the state of a profile, in any spelling.
pub(in crate::transatel) fn esim_status(word: &str) -> Option<EsimStatus> {
    Some(match lenient::letters(word).as_str() {
        "AVAILABLE" => EsimStatus::Available,
        "ALLOCATED" => EsimStatus::Allocated,
        "RELEASED" => EsimStatus::Released,
        "DOWNLOADED" => EsimStatus::Downloaded,
        "INSTALLED" => EsimStatus::Installed,
        "ENABLED" => EsimStatus::Enabled,
        "DISABLED" => EsimStatus::Disabled,
        "DELETED" => EsimStatus::Deleted,
        _ => return None,
    })
}

/// How often a profile was downloaded, by the entries that name that status.
/// `None` when none does: their shape is not documented, and may be another one.
fn downloads(history: &[Value]) -> Option<usize> {
    let names_it = |value: &Value| {
        value
            .as_str()
            .is_some_and(|word| esim_status(word) == Some(EsimStatus::Downloaded))
    };
    let is_download = |entry: &&Value| match entry {
        Value::Object(members) => members.values().any(names_it),
        other => names_it(other),
    };
    Some(history.iter().filter(is_download).count()).filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::opaque::DEEPEST;

    const ICCID: &str = "8988247000000000019";

    fn read(body: &Value) -> Result<Profile, &'static str> {
        let wire = serde_json::from_value(body.clone()).unwrap();
        profile(wire, &Iccid::parse(ICCID).unwrap())
    }

    fn code_of(members: &Value) -> Option<String> {
        let mut body = json!({ "simSerial": ICCID, "status": "released" });
        body.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        read(&body).unwrap().code.map(|code| code.link())
    }

    #[test]
    fn every_shape_of_activation_material_gives_one_code() {
        let expected = Some("LPA:1$rsp.example$ID-1".to_owned());
        for members in [
            json!({ "activationCode": "1$rsp.example$ID-1" }),
            json!({ "activationCode": "LPA:1$rsp.example$ID-1" }),
            json!({ "activationCode": "lpa:1$rsp.example$ID-1" }),
            json!({ "qrCode": { "value": "LPA:1$rsp.example$ID-1", "dataUrl": "data:image/png;base64,xxx" } }),
            json!({ "qrCode": { "value": "1$rsp.example$ID-1" } }),
            json!({ "smdpAddress": "rsp.example", "matchingId": "ID-1" }),
            json!({ "activationCode": "garbage", "qrCode": { "value": "LPA:1$rsp.example$ID-1" } }),
            json!({ "activationCode": null, "qrCode": 7, "smdpAddress": "rsp.example", "matchingId": "ID-1" }),
            json!({ "activationCode": "1$rsp.example$ID-1", "smdpAddress": "other.example", "matchingId": "X" }),
        ] {
            assert_eq!(code_of(&members), expected, "{members}");
        }
    }

    #[test]
    fn no_usable_material_is_no_code() {
        for members in [
            json!({}),
            json!({ "activationCode": "" }),
            json!({ "activationCode": 12 }),
            json!({ "qrCode": { "value": "" } }),
            json!({ "qrCode": "LPA:1$rsp.example$ID-1" }),
            json!({ "smdpAddress": "rsp.example" }),
            json!({ "matchingId": "ID-1" }),
        ] {
            assert_eq!(code_of(&members), None, "{members}");
        }
    }

    #[test]
    fn downloads_are_counted_where_the_history_is_understood() {
        for (history, downloads) in [
            (json!([]), None),
            (json!([{ "kind": 7 }, "released", null, ["downloaded"]]), None),
            (
                json!([{ "status": "downloaded" }, { "status": "enabled" }]),
                Some(1),
            ),
            (
                json!([{ "type": "status", "to": "Downloaded" }, "DOWNLOADED"]),
                Some(2),
            ),
        ] {
            let profile = read(&json!({ "status": "deleted", "history": history })).unwrap();
            assert_eq!(profile.downloads, downloads, "{history}");
        }
    }

    #[test]
    fn states_are_read_in_any_spelling() {
        for (word, status) in [
            ("available", Some(EsimStatus::Available)),
            ("Allocated", Some(EsimStatus::Allocated)),
            ("RELEASED", Some(EsimStatus::Released)),
            (" downloaded ", Some(EsimStatus::Downloaded)),
            ("Installed", Some(EsimStatus::Installed)),
            ("enabled", Some(EsimStatus::Enabled)),
            ("disabled", Some(EsimStatus::Disabled)),
            ("deleted", Some(EsimStatus::Deleted)),
            ("confiscated", None),
        ] {
            let profile = read(&json!({ "status": word })).unwrap();
            assert_eq!(
                (profile.status, profile.raw_status.as_str()),
                (status, word.trim())
            );
        }
    }

    #[test]
    fn an_answer_about_another_sim_or_without_a_status_is_refused() {
        for (body, why) in [
            (
                json!({ "simSerial": "8988247000000000027", "status": "released" }),
                "it is about another SIM",
            ),
            (json!({ "simSerial": ICCID }), "no status"),
            (json!({ "status": 3 }), "no status"),
            (json!({}), "no status"),
        ] {
            assert_eq!(read(&body), Err(why), "{body}");
        }
        // Members that cannot be read are absent.
        let odd = json!({ "simSerial": [1], "status": "enabled", "statusDate": "soon", "eid": [], "history": "none" });
        let profile = read(&odd).unwrap();
        assert_eq!(
            (profile.status_changed_at, profile.eid, profile.history.len()),
            (None, None, 0)
        );
    }

    #[test]
    fn history_keeps_its_shape_and_loses_every_secret() {
        let body = json!({
            "status": "enabled",
            "activationCode": "1$rsp.example$SECRET-1",
            "matchingId": "4711",
            "history": [
                { "type": "status", "at": "2026-01-01T00:00:00Z", "n": 3, "ok": true, "none": null },
                { "matchingId": "other", "activation_code": "x", "qrCode": {}, "kept": { "list": [1, "secret-1", "b"] } },
                { "text": "matching id is Secret-1.", "code": "LPA:1$a$b", "also": "1$a.example$b", "big": 8988247000000000019_u64 },
                { "its secret-1": 1, "id": 4711, "kept": 2 },
                "SECRET-1",
                "plain",
            ],
        });
        let history = read(&body).unwrap().history;
        let text = |text: &str| Opaque::Text(text.to_owned());
        let named = |members: &[(&str, Opaque)]| {
            Opaque::Object(
                members
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone()))
                    .collect(),
            )
        };
        let sorted = |value: &Opaque| match value {
            Opaque::Object(members) => {
                let mut members = members.clone();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Opaque::Object(members)
            }
            other => other.clone(),
        };
        let expected = [
            named(&[
                ("at", text("2026-01-01T00:00:00Z")),
                ("n", Opaque::Number(3.0)),
                ("none", Opaque::Null),
                ("ok", Opaque::Bool(true)),
                ("type", text("status")),
            ]),
            named(&[(
                "kept",
                named(&[("list", Opaque::List(vec![Opaque::Number(1.0), text("b")]))]),
            )]),
            named(&[("big", text("8988247000000000019"))]),
            named(&[("kept", Opaque::Number(2.0))]),
            text("plain"),
        ];
        let found: Vec<Opaque> = history.iter().map(sorted).collect();
        assert!(found == expected);
    }

    #[test]
    fn history_is_cut_where_readers_would_stop() {
        let mut deep = json!("bottom");
        for _ in 0..100 {
            deep = json!([deep]);
        }
        let body = json!({ "status": "enabled", "history": [deep] });
        let mut value = read(&body).unwrap().history.remove(0);
        let mut levels = 0;
        while let Opaque::List(mut items) = value {
            value = items.remove(0);
            levels += 1;
        }
        assert_eq!((levels, value == Opaque::Null), (DEEPEST, true));
    }
}
