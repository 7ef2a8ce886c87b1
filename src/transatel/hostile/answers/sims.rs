//! SIMs and eSIM profiles.

use serde_json::{Value, json};

use super::{Answer, Facts, ICCID, anything, fact, is_kept_or_none};
use crate::domain::opaque::Opaque;
use crate::domain::{Iccid, SimRecord};
use crate::transatel::api::{sim_management, sims};
use crate::transatel::fuzzing;

fn record(facts: &mut Facts, name: &str, record: SimRecord) {
    let mut own = |what: &str, value: &dyn std::fmt::Debug| fact(facts, format!("{name} {what}"), value);
    own(
        "msisdn",
        &record.ids.msisdn.as_ref().map(|msisdn| msisdn.as_str()),
    );
    own("status", &record.status);
    own("word", &record.raw_status);
    own("plan", &record.plan);
    own("group", &record.group);
    own("reference", &record.reference);
    own("activated", &record.activated_at);
    own("seen", &record.last_seen_at);
    own("country", &record.last_country);
    own("esim", &record.esim_status);
    for (key, value) in record.metadata.into_iter().flatten() {
        own(&format!("metadata {key}"), &value);
    }
}

fn sim() -> Value {
    json!({
        "simSerial": ICCID, "msisdn": "+882470000000001", "status": "Active", "ratePlan": "PLAN", "group": "Fleet",
        "externalReference": "shelf 7", "metadata": { "depot": "Lyon", "shelf": 7 }, "activationDate": "2026-01-02T03:04:05Z",
        "lastSeenDate": "2026-11-02T03:04:05Z", "lastOriginCountry": "FRA", "lastEsimProfileStatus": "enabled",
        "imei": "350000000000000",
    })
}

pub(super) fn search() -> Answer {
    Answer {
        name: "search",
        sample: json!({
            "sims": [{ "simSerial": "8988247000000000027", "status": "Active" }, sim(),
                     { "msisdn": "+882470000000003", "status": "Suspended" }],
            "page": 1, "size": 50, "totalElements": 3, "totalPages": 1,
        })
        .to_string(),
        read: |body| {
            let page = sims::read_page(body).ok()?;
            let mut facts = Facts::new();
            fact(&mut facts, "length", page.length);
            for found in page.records {
                let name = match &found.ids.iccid {
                    Some(iccid) if iccid.as_str() == ICCID => "MIDDLE",
                    Some(_) => "FIRST",
                    None => "LAST",
                };
                // Without its card the middle one is another record.
                if !facts.contains_key(&format!("{name} msisdn")) {
                    record(&mut facts, name, found);
                }
            }
            Some(facts)
        },
        dependencies: &[
            ("/sims$", &["*"]),
            ("/sims/0$", &["FIRST", "length"]),
            ("/sims/1$", &["MIDDLE", "length"]),
            ("/sims/2$", &["LAST", "length"]),
            ("/sims/0", &["FIRST"]),
            ("/sims/2", &["LAST"]),
            ("/sims/0/simSerial", &["LAST"]),
            ("/sims/1/simSerial", &["MIDDLE", "FIRST", "LAST"]),
            ("/sims/1/msisdn", &["MIDDLE msisdn"]),
            ("/sims/1/status", &["MIDDLE status", "MIDDLE word"]),
            ("/sims/1/ratePlan", &["MIDDLE plan"]),
            ("/sims/1/group", &["MIDDLE group"]),
            ("/sims/1/externalReference", &["MIDDLE reference"]),
            ("/sims/1/metadata/depot", &["MIDDLE metadata depot"]),
            ("/sims/1/metadata/shelf", &["MIDDLE metadata shelf"]),
            ("/sims/1/activationDate", &["MIDDLE activated"]),
            ("/sims/1/lastSeenDate", &["MIDDLE seen"]),
            ("/sims/1/lastOriginCountry", &["MIDDLE country"]),
            ("/sims/1/lastEsimProfileStatus", &["MIDDLE esim"]),
        ],
        judge: anything,
        any: fuzzing::sims,
        at_least: 400,
    }
}

pub(super) fn subscriber() -> Answer {
    Answer {
        name: "subscriber",
        sample: sim().to_string(),
        read: |body| {
            let found = sims::read_record(body).ok()?;
            let mut facts = Facts::new();
            fact(
                &mut facts,
                "SIM iccid",
                found.ids.iccid.as_ref().map(|iccid| iccid.as_str().to_owned()),
            );
            record(&mut facts, "SIM", found);
            Some(facts)
        },
        dependencies: &[
            ("/simSerial", &["SIM iccid"]),
            ("/msisdn", &["SIM msisdn"]),
            ("/status", &["SIM status", "SIM word"]),
            ("/ratePlan", &["SIM plan"]),
            ("/group", &["SIM group"]),
            ("/externalReference", &["SIM reference"]),
            ("/metadata/depot", &["SIM metadata depot"]),
            ("/metadata/shelf", &["SIM metadata shelf"]),
            ("/activationDate", &["SIM activated"]),
            ("/lastSeenDate", &["SIM seen"]),
            ("/lastOriginCountry", &["SIM country"]),
            ("/lastEsimProfileStatus", &["SIM esim"]),
        ],
        judge: anything,
        any: fuzzing::sims,
        at_least: 250,
    }
}

fn shown(value: &Opaque) -> String {
    match value {
        Opaque::Null => "null".into(),
        Opaque::Bool(value) => value.to_string(),
        Opaque::Number(number) => number.to_string(),
        Opaque::Text(text) => format!("{text:?}"),
        Opaque::List(items) => format!("{:?}", items.iter().map(shown).collect::<Vec<_>>()),
        Opaque::Object(members) => {
            let members: Vec<_> = members.iter().map(|(name, value)| (name, shown(value))).collect();
            format!("{members:?}")
        }
    }
}

pub(super) fn esim() -> Answer {
    Answer {
        name: "esim",
        sample: json!({
            "simSerial": ICCID, "status": "released", "statusDate": "2026-11-02T03:04:05Z",
            "eid": "89001012012341234012345678901224", "activationCode": "LPA:1$rsp.example$ID-1",
            "smdpAddress": "rsp.example", "matchingId": "ID-1",
            "qrCode": { "value": "LPA:1$rsp.example$ID-1", "dataUrl": "data:image/png;base64,AAAA" },
            "history": [
                { "status": "released", "date": "2026-11-01T03:04:05Z", "by": { "user": "portal", "tries": 1 } },
                { "status": "downloaded", "date": "2026-11-02T03:04:05Z" },
            ],
        })
        .to_string(),
        read: |body| {
            let iccid = Iccid::parse(ICCID)?;
            let profile = sim_management::read_body(body, &iccid).ok()?.ok()?;
            let mut facts = Facts::new();
            fact(&mut facts, "status", profile.status);
            fact(&mut facts, "word", profile.raw_status);
            fact(&mut facts, "since", profile.status_changed_at);
            fact(&mut facts, "eid", profile.eid.as_ref().map(|eid| eid.as_str().to_owned()));
            fact(&mut facts, "code", profile.code.as_ref().map(|code| code.link()));
            for entry in &profile.history {
                let entry = shown(entry);
                let name = match () {
                    () if entry.contains("portal") => "release",
                    () if entry.contains("2026-11-02T03") => "download",
                    () => "other",
                };
                fact(&mut facts, format!("history {name}"), entry);
            }
            Some(facts)
        },
        dependencies: &[
            // Of another SIM, or no profile at all.
            ("/simSerial", &["*"]),
            ("/status", &["*"]),
            ("/statusDate", &["since"]),
            ("/eid", &["eid"]),
            // The first usable code counts; texts that hold it are left out.
            ("/activationCode", &["code", "history"]),
            ("/matchingId", &["history"]),
            ("/history$", &["history"]),
            ("/history/0", &["history release"]),
            ("/history/1", &["history download"]),
        ],
        judge: |mutation, was, is| {
            let is_another = mutation.at == "/activationCode";
            assert!(is_another || is_kept_or_none("code", was, is), "{} at {}", mutation.kind, mutation.at);
        },
        any: fuzzing::esim,
        at_least: 350,
    }
}
