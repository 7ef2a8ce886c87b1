//! SIM Management: eSIM profiles.

use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    http::{problem::Problem, reply::Reply, request::Call},
    world::{
        clock::iso,
        provider::Provider,
        stock::{
            ids::{SimNumber, is_sim_serial},
            profile::{Material, Profile, SMDP_ADDRESS},
            status::ProfileStatus,
        },
    },
};

/// `GET /esims/sim-serial/{simSerial}`.
pub(crate) fn get_esim(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let with_history = call.flag("history")?;
    let number = find(provider, call)?;
    let body = provider.with_sim(number, |sim, _| {
        sim.profile
            .as_ref()
            .map(|profile| render(&sim.iccid(), profile, with_history))
    });
    let body = body.flatten().ok_or_else(Problem::esim_not_found)?;
    Ok(Reply::json(StatusCode::OK, &body)
        .with(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    eid: Option<String>,
}

/// `PATCH /esims/sim-serial/{simSerial}`: releases a profile. The offer does not permit it until a control call does.
pub(crate) fn release_esim(provider: &Provider, call: &Call) -> Result<Reply, Problem> {
    let number = find(provider, call)?;
    let release: Release = if call.body.is_empty() {
        Release::default()
    } else {
        serde_json::from_slice(&call.body).map_err(|error| Problem::bad_request(error.to_string()))?
    };
    let is_eid = |eid: &String| eid.len() == 32 && eid.bytes().all(|byte| byte.is_ascii_digit());
    if release.eid.as_ref().is_some_and(|eid| !is_eid(eid)) {
        return Err(Problem::bad_request("'eid' must have 32 digits"));
    }
    let body = provider.with_sim(number, |sim, now| {
        let iccid = sim.iccid();
        let profile = sim.profile.as_mut().ok_or_else(Problem::esim_not_found)?;
        if profile.is_released() {
            return Err(Problem::bad_request("The profile is released already"));
        }
        profile.set(ProfileStatus::Released, now);
        profile.eid = release.eid;
        Ok(render(&iccid, profile, false))
    });
    body.unwrap_or_else(|| Err(Problem::esim_not_found()))
        .map(|body| Reply::json(StatusCode::OK, &body))
}

fn find(provider: &Provider, call: &Call) -> Result<SimNumber, Problem> {
    let serial = call.argument(0);
    if !is_sim_serial(serial) {
        return Err(Problem::bad_request("'simSerial' must match [0-9]{13,20}"));
    }
    provider
        .stock
        .by_iccid(serial)
        .ok_or_else(Problem::esim_not_found)
}

fn render(iccid: &str, profile: &Profile, with_history: bool) -> Value {
    let word = |status: ProfileStatus| {
        let word = status.as_str();
        if !profile.capitalised {
            return word.to_owned();
        }
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    };
    let mut body = json!({
        "simSerial": iccid,
        "status": word(profile.status),
        "statusDate": iso(profile.changed_at),
    });
    let Some(members) = body.as_object_mut() else {
        return body;
    };
    if let Some(eid) = &profile.eid {
        members.insert("eid".to_owned(), json!(eid));
    }
    if profile.is_released() {
        let code = profile.activation_code();
        let prefixed = json!(format!("LPA:{code}"));
        let mut insert = |name: &str, value: Value| members.insert(name.to_owned(), value);
        match profile.material {
            Material::Usual => {
                insert("activationCode", json!(code));
                insert("smdpAddress", json!(SMDP_ADDRESS));
                insert("matchingId", json!(profile.matching_id));
                insert("qrCode", json!({ "value": prefixed }));
            }
            Material::QrOnly => {
                insert("qrCode", json!({ "value": prefixed }));
            }
            Material::CodeWithLpa => {
                insert("activationCode", prefixed);
            }
            Material::PartsOnly => {
                insert("smdpAddress", json!(SMDP_ADDRESS));
                insert("matchingId", json!(profile.matching_id));
            }
        }
    }
    if with_history {
        // The shape of an element is not published; this one is a guess.
        let history: Vec<_> = profile
            .history
            .iter()
            .map(|(status, at)| json!({ "type": "status", "status": word(*status), "date": iso(*at) }))
            .collect();
        members.insert("history".to_owned(), json!(history));
    }
    body
}
