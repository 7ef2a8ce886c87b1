//! The Esim service as a shop and its support staff use it.

use prost_types::value::Kind;
use serde_json::json;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use transatel_gateway_client::connectivity::v1::esim_client::EsimClient;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::{Control, Fault, ProfileStatus, Script};

use crate::support::gateway::{ESIM, TestEnv, by_iccid, by_msisdn, reason, violations};

fn client(env: &TestEnv) -> EsimClient<Channel> {
    EsimClient::new(env.gateway.channel.clone())
}

/// The ICCID of a SIM of the stock.
fn iccid(env: &TestEnv, number: u32) -> String {
    env.control().sim(&number.to_string()).unwrap().iccid
}

async fn get_esim(env: &TestEnv, number: u32) -> Result<EsimProfile, Status> {
    let request = GetEsimRequest {
        sim: by_iccid(&iccid(env, number)),
        include_history: false,
    };
    let answer = client(env).get_esim(request).await?;
    Ok(answer.into_inner().esim.unwrap())
}

async fn install(
    env: &TestEnv,
    number: u32,
    format: QrFormat,
    pixels: i32,
) -> Result<GetInstallationResponse, Status> {
    let request = GetInstallationRequest {
        sim: by_iccid(&iccid(env, number)),
        qr_format: format.into(),
        qr_size_pixels: pixels,
    };
    Ok(client(env).get_installation(request).await?.into_inner())
}

#[tokio::test]
async fn every_state_of_a_profile_is_told_and_decides_what_can_be_installed() {
    let env = TestEnv::open().await;
    for (number, status, word, installable, has_code) in [
        (5, EsimStatus::Available, "available", false, false),
        (6, EsimStatus::Allocated, "allocated", false, false),
        (1, EsimStatus::Released, "released", true, true),
        (7, EsimStatus::Downloaded, "downloaded", false, true),
        (8, EsimStatus::Installed, "installed", false, true),
        (16, EsimStatus::Enabled, "enabled", false, true),
        (9, EsimStatus::Disabled, "disabled", false, true),
        (10, EsimStatus::Deleted, "deleted", false, true),
        // Reserved for a device.
        (11, EsimStatus::Released, "released", false, true),
        // In another spelling.
        (32, EsimStatus::Released, "Released", true, true),
    ] {
        let esim = get_esim(&env, number).await.unwrap();
        let truth = env.control().sim(&number.to_string()).unwrap();
        assert_eq!(
            (esim.status(), esim.raw_status.as_str(), esim.installable),
            (status, word, installable),
            "{number}"
        );
        let sim = esim.sim.clone().unwrap();
        assert_eq!((sim.iccid, sim.msisdn), (truth.iccid, String::new()), "{number}");
        assert_eq!(esim.eid, truth.eid.unwrap_or_default(), "{number}");
        assert!(esim.status_changed_at.is_some(), "{number}");
        assert!(esim.history.is_empty(), "{number}");
        match install(&env, number, QrFormat::None, 0).await {
            Ok(_) => assert!(has_code, "{number}"),
            Err(status) => {
                let refused = reason(&status);
                assert_eq!(
                    (refused.code, refused.reason.as_str(), has_code),
                    (Code::FailedPrecondition, "ESIM_NOT_RELEASED", false),
                    "{number}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_profile_stops_being_installable_once_a_device_has_it() {
    let env = TestEnv::open().await;
    assert!(get_esim(&env, 1).await.unwrap().installable);
    env.control().attach("1", "FR").unwrap();
    let esim = get_esim(&env, 1).await.unwrap();
    assert_eq!(
        (esim.status(), esim.installable),
        (EsimStatus::Enabled, false),
        "never from a cache"
    );
    assert_eq!(esim.eid.len(), 32);
    env.control()
        .set_esim_status("1", ProfileStatus::Deleted)
        .unwrap();
    assert_eq!(get_esim(&env, 1).await.unwrap().status(), EsimStatus::Deleted);
}

#[tokio::test]
async fn a_deleted_profile_can_usually_be_downloaded_again_and_one_on_a_device_cannot() {
    use Reinstallable::{DownloadsUsedUp, NotWhileOnDevice, Unspecified, Usually};
    let env = TestEnv::open().await;
    for (number, expected) in [
        (5, Unspecified),
        (6, Unspecified),
        (1, Unspecified),
        (7, NotWhileOnDevice),
        (8, NotWhileOnDevice),
        (16, NotWhileOnDevice),
        (9, NotWhileOnDevice),
        (10, Usually),
    ] {
        let esim = get_esim(&env, number).await.unwrap();
        assert_eq!(esim.reinstallable(), expected, "{number}");
    }
    // Four downloads after the first one; only the history shows them.
    let control = env.control();
    let with_history = async || {
        let request = GetEsimRequest {
            sim: by_iccid(&iccid(&env, 10)),
            include_history: true,
        };
        let answer = client(&env).get_esim(request).await.unwrap();
        answer.into_inner().esim.unwrap().reinstallable()
    };
    for downloads in 2..=5 {
        assert_eq!(with_history().await, Usually, "before download {downloads}");
        for status in [ProfileStatus::Downloaded, ProfileStatus::Enabled] {
            control.set_esim_status("10", status).unwrap();
            assert_eq!(with_history().await, NotWhileOnDevice);
        }
        control.set_esim_status("10", ProfileStatus::Deleted).unwrap();
    }
    assert_eq!(with_history().await, DownloadsUsedUp);
    assert_eq!(get_esim(&env, 10).await.unwrap().reinstallable(), Usually);
    // A history of another shape says nothing, and neither does another status.
    for (body, expected) in [
        (json!({ "status": "deleted", "history": [{ "n": 9 }] }), Usually),
        (json!({ "status": "Confiscated" }), Unspecified),
    ] {
        let answer = Fault::body(200, body.to_string()).step();
        control.queue(Script::on("GET", ESIM).then(answer));
        assert_eq!(with_history().await, expected, "{body}");
    }
}

#[tokio::test]
async fn a_sim_may_be_named_by_its_number() {
    let env = TestEnv::open().await;
    let truth = env.control().sim("1").unwrap();
    let request = GetEsimRequest {
        sim: by_msisdn(&format!("+{}", truth.msisdn)),
        include_history: false,
    };
    let mut esims = client(&env);
    let esim = esims.get_esim(request).await.unwrap().into_inner().esim.unwrap();
    let sim = esim.sim.unwrap();
    assert_eq!((sim.iccid, sim.msisdn), (truth.iccid, truth.msisdn.clone()));
    let request = GetInstallationRequest {
        sim: by_msisdn(&truth.msisdn),
        ..Default::default()
    };
    assert!(esims.get_installation(request).await.is_ok());

    let env = TestEnv::open().await;
    env.control().deny("/sim-search");
    env.control().deny("/connectivity-management");
    let request = GetInstallationRequest {
        sim: by_msisdn(&truth.msisdn),
        ..Default::default()
    };
    let refused = reason(&client(&env).get_installation(request).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::FailedPrecondition, "SIM_NOT_RESOLVABLE")
    );
    assert_eq!(refused.metadata["needed"], "iccid");
}

#[tokio::test]
async fn physical_and_unknown_sims_have_no_esim() {
    let env = TestEnv::open().await;
    let unknown = GetEsimRequest {
        sim: by_iccid("8933200000000000000"),
        include_history: true,
    };
    for status in [
        get_esim(&env, 3).await.unwrap_err(),
        get_esim(&env, 40).await.unwrap_err(),
        client(&env).get_esim(unknown).await.unwrap_err(),
        install(&env, 3, QrFormat::Png, 0).await.unwrap_err(),
    ] {
        let refused = reason(&status);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::NotFound, "ESIM_NOT_FOUND")
        );
        assert_eq!(refused.metadata["provider_code"], "ESIM_NOT_FOUND");
    }
}

#[tokio::test]
async fn refusals_of_the_provider_are_told_apart_by_title() {
    for (fault, code, expected) in [
        // A wrong URL must never look like a physical SIM.
        (
            Fault::problem(404, "NOT_FOUND"),
            Code::Internal,
            "PROVIDER_PROTOCOL",
        ),
        (Fault::body(404, ""), Code::Internal, "PROVIDER_PROTOCOL"),
        (
            Fault::body(404, "<html>nothing</html>"),
            Code::Internal,
            "PROVIDER_PROTOCOL",
        ),
        (
            Fault::problem(404, "ESIM_NOT_FOUND"),
            Code::NotFound,
            "ESIM_NOT_FOUND",
        ),
        (
            Fault::problem(400, "esim_not_found"),
            Code::NotFound,
            "ESIM_NOT_FOUND",
        ),
        (
            Fault::problem(404, "SUBSCRIBER_NOT_FOUND"),
            Code::NotFound,
            "SIM_NOT_FOUND",
        ),
        (
            Fault::problem(400, "BAD_REQUEST"),
            Code::Internal,
            "PROVIDER_PROTOCOL",
        ),
        (
            Fault::problem(400, "SOMETHING_NEW"),
            Code::FailedPrecondition,
            "PROVIDER_REJECTED",
        ),
        (
            Fault::problem(403, "INSUFFICIENT_PERMISSION"),
            Code::Internal,
            "PROVIDER_CREDENTIALS_REJECTED",
        ),
        (
            Fault::problem(501, "NOT_IMPLEMENTED"),
            Code::FailedPrecondition,
            "OPERATION_NOT_ENABLED",
        ),
        (Fault::Garbage, Code::Internal, "PROVIDER_PROTOCOL"),
        (Fault::Html, Code::Internal, "PROVIDER_PROTOCOL"),
        (Fault::body(200, "[]"), Code::Internal, "PROVIDER_PROTOCOL"),
        (Fault::body(200, "{}"), Code::Internal, "PROVIDER_PROTOCOL"),
        // Another SIM's profile, code and all.
        (
            Fault::body(
                200,
                r#"{"simSerial":"8988247000000000027","status":"released","activationCode":"1$a.example$B"}"#,
            ),
            Code::Internal,
            "PROVIDER_PROTOCOL",
        ),
        // Released and nothing to install.
        (
            Fault::body(200, r#"{"status":"enabled"}"#),
            Code::Internal,
            "PROVIDER_PROTOCOL",
        ),
    ] {
        let env = TestEnv::open().await;
        let what = format!("{fault:?}");
        env.control()
            .queue(Script::on("GET", ESIM).then(fault.step().forever()));
        let refused = reason(&install(&env, 1, QrFormat::None, 0).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (code, expected),
            "{what}"
        );
    }
}

#[tokio::test]
async fn an_unknown_state_passes_through_raw() {
    let env = TestEnv::open().await;
    let body = json!({ "status": "Confiscated", "activationCode": "1$a.example$B", "somethingNew": [1] });
    env.control()
        .queue(Script::on("GET", ESIM).then(Fault::body(200, body.to_string()).step().forever()));
    let esim = get_esim(&env, 1).await.unwrap();
    assert_eq!(
        (esim.status(), esim.raw_status.as_str(), esim.installable),
        (EsimStatus::Unspecified, "Confiscated", false)
    );
    let installation = install(&env, 1, QrFormat::None, 0).await.unwrap();
    assert_eq!(installation.activation_code, "LPA:1$a.example$B");
    assert_eq!(
        (installation.installable, installation.not_installable_reason()),
        (false, NotInstallableReason::StatusUnknown)
    );
}

#[tokio::test]
async fn a_code_says_whether_it_can_be_used_and_why_not() {
    let env = TestEnv::open().await;
    let body = |status: &str, eid: Option<&str>| {
        let mut body = json!({ "status": status, "activationCode": "1$a.example$B" });
        if let Some(eid) = eid {
            body["eid"] = eid.into();
        }
        body.to_string()
    };
    let eid = Some("89001012012341234012345678901224");
    for (status, eid, reason) in [
        ("released", None, NotInstallableReason::Unspecified),
        ("released", eid, NotInstallableReason::BoundToDevice),
        ("downloaded", eid, NotInstallableReason::OnDevice),
        ("installed", eid, NotInstallableReason::OnDevice),
        ("enabled", eid, NotInstallableReason::OnDevice),
        ("disabled", eid, NotInstallableReason::OnDevice),
        ("deleted", None, NotInstallableReason::Deleted),
    ] {
        let answer = Fault::body(200, body(status, eid)).step();
        env.control()
            .queue(Script::on("GET", ESIM).then(answer.clone()).then(answer));
        let esim = get_esim(&env, 1).await.unwrap();
        let installation = install(&env, 1, QrFormat::None, 0).await.unwrap();
        assert_eq!(installation.activation_code, "LPA:1$a.example$B", "{status}");
        assert_eq!(installation.not_installable_reason(), reason, "{status}");
        let can_be = reason == NotInstallableReason::Unspecified;
        assert_eq!(
            (installation.installable, esim.installable),
            (can_be, can_be),
            "{status}"
        );
    }
}

#[tokio::test]
async fn one_code_comes_out_whatever_shape_went_in() {
    let env = TestEnv::open().await;
    for number in [1, 29, 30, 31, 32, 11] {
        let installation = install(&env, number, QrFormat::Unspecified, 0).await.unwrap();
        let GetInstallationResponse {
            activation_code,
            smdp_address,
            matching_id,
            ..
        } = &installation;
        assert_eq!(smdp_address, "rsp.sandbox.example", "{number}");
        assert!(!matching_id.is_empty(), "{number}");
        assert_eq!(
            *activation_code,
            format!("LPA:1${smdp_address}${matching_id}"),
            "{number}"
        );
        assert_eq!(
            installation.apple_install_url,
            format!("https://esimsetup.apple.com/esim_qrcode_provisioning?carddata={activation_code}")
        );
        assert_eq!(
            installation.android_install_url,
            format!("https://esimsetup.android.com/esim_qrcode_provisioning?carddata={activation_code}")
        );
        assert!(installation.qr_png.is_empty() && installation.qr_svg.is_empty());
    }
}

#[tokio::test]
async fn the_flag_of_the_code_and_the_apn_come_with_it() {
    let env = TestEnv::open().await;
    for (code, needed) in [
        ("1$a.example$B", false),
        ("LPA:1$a.example$B$1.3.6.1.4.1.31746", false),
        ("1$a.example$B$$1", true),
        ("LPA:1$a.example$B$1.3.6.1.4.1.31746$1", true),
    ] {
        let body = json!({ "status": "released", "activationCode": code });
        env.control()
            .queue(Script::on("GET", ESIM).then(Fault::body(200, body.to_string())));
        let installation = install(&env, 1, QrFormat::None, 0).await.unwrap();
        assert_eq!(installation.confirmation_code_required, needed, "{code}");
        assert!(
            installation
                .activation_code
                .ends_with(code.trim_start_matches("LPA:"))
        );
        assert_eq!(installation.apn, "");
    }
    let env = TestEnv::with(&[("ESIM__APN", "apn.example")]).await;
    let installation = install(&env, 1, QrFormat::None, 0).await.unwrap();
    assert_eq!(installation.apn, "apn.example");
}

/// What a camera reads in a PNG file, and how wide the file is.
fn read_png(file: &[u8]) -> (usize, String) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.width, info.height);
    let width = info.width as usize;
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, width, |x, y| pixels[y * width + x]);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1);
    (width, grids[0].decode().unwrap().1)
}

#[tokio::test]
async fn the_qr_code_is_the_activation_code_at_the_asked_size() {
    let env = TestEnv::open().await;
    for (asked, width) in [(0, 512), (128, 128), (301, 301), (2048, 2048)] {
        let installation = install(&env, 1, QrFormat::Png, asked).await.unwrap();
        assert!(installation.qr_svg.is_empty());
        assert_eq!(
            read_png(&installation.qr_png),
            (width, installation.activation_code)
        );
    }
    let installation = install(&env, 1, QrFormat::Svg, 300).await.unwrap();
    assert!(installation.qr_png.is_empty());
    let document = installation.qr_svg;
    assert!(document.starts_with("<svg ") && document.contains("width=\"300\" height=\"300\""));
}

#[tokio::test]
async fn history_is_passed_on_without_activation_material() {
    let env = TestEnv::open().await;
    let request = |include_history| GetEsimRequest {
        sim: by_iccid(&iccid(&env, 16)),
        include_history,
    };
    let history = |esim: GetEsimResponse| esim.esim.unwrap().history;
    let mut esims = client(&env);
    assert!(history(esims.get_esim(request(false)).await.unwrap().into_inner()).is_empty());
    let entries = history(esims.get_esim(request(true)).await.unwrap().into_inner());
    let words: Vec<_> = entries
        .iter()
        .map(|entry| match &entry.fields["status"].kind {
            Some(Kind::StringValue(word)) => word.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        words,
        [
            "available",
            "allocated",
            "released",
            "downloaded",
            "installed",
            "enabled"
        ]
    );
    let asked: Vec<_> = env
        .control()
        .requests()
        .into_iter()
        .filter(|request| request.route == Some(ESIM))
        .map(|request| request.query)
        .collect();
    assert_eq!(asked.len(), 2);

    let body = json!({ "status": "enabled", "activationCode": "1$a.example$SECRET", "history": [
        { "note": "SECRET", "matchingId": "SECRET", "kept": { "n": 1 } }, "done",
    ] });
    env.control()
        .queue(Script::on("GET", ESIM).then(Fault::body(200, body.to_string()).step().forever()));
    let answer = esims.get_esim(request(true)).await.unwrap().into_inner();
    let entries = history(answer);
    assert_eq!(entries[0].fields.keys().collect::<Vec<_>>(), ["kept"]);
    assert_eq!(
        entries[1].fields["value"].kind,
        Some(Kind::StringValue("done".to_owned()))
    );
}

#[tokio::test]
async fn every_violation_is_named_at_once_and_nothing_is_sent() {
    let env = TestEnv::open().await;
    let mut esims = client(&env);
    for (sim, format, pixels, fields) in [
        (None, 9, 127, vec!["qr_format", "qr_size_pixels", "sim"]),
        (
            by_iccid("89882470000000000x9"),
            -1,
            2049,
            vec!["qr_format", "qr_size_pixels", "sim.iccid"],
        ),
        (
            by_msisdn("++882470000000001"),
            0,
            -1,
            vec!["qr_size_pixels", "sim.msisdn"],
        ),
        (Some(SimRef { id: None }), 3, 512, vec!["sim"]),
    ] {
        let request = GetInstallationRequest {
            sim: sim.clone(),
            qr_format: format,
            qr_size_pixels: pixels,
        };
        let status = esims.get_installation(request).await.unwrap_err();
        assert_eq!(violations(&status), fields);
        let sim_violations = fields.iter().filter(|field| field.starts_with("sim"));
        let request = GetEsimRequest {
            sim,
            include_history: true,
        };
        let status = esims.get_esim(request).await.unwrap_err();
        assert_eq!(violations(&status), sim_violations.copied().collect::<Vec<_>>());
    }
    assert!(
        env.control()
            .requests()
            .iter()
            .all(|request| request.route != Some(ESIM))
    );
}

/// Makes every call in every way; gives what a careless caller would log, and
/// what must be in no log.
pub async fn every_call(control: &Control, address: String) -> (Vec<String>, Vec<String>) {
    let mut log = Vec::new();
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let mut esims = EsimClient::new(channel);
    let mut secrets = Vec::new();
    // SIM 1 is well; for the second the answer cannot be used.
    for (number, broken) in [("1", false), ("16", false), ("2", true)] {
        let sim = control.sim(number).unwrap();
        if broken {
            let body = json!({ "simSerial": sim.iccid, "activationCode": "1$a.example$BROKEN-ID-77" });
            control.queue(Script::on("GET", ESIM).then(Fault::body(200, body.to_string()).step().forever()));
        }
        for sim in [by_iccid(&sim.iccid), by_msisdn(&sim.msisdn)] {
            let request = GetEsimRequest {
                sim: sim.clone(),
                include_history: true,
            };
            if let Ok(answer) = esims.get_esim(request).await {
                log.push(format!("{answer:?}"));
            }
            for format in [QrFormat::Png, QrFormat::Svg] {
                let request = GetInstallationRequest {
                    sim: sim.clone(),
                    qr_format: format.into(),
                    qr_size_pixels: 256,
                };
                log.push(format!("{request:?}"));
                match esims.get_installation(request).await {
                    Ok(answer) => {
                        log.push(format!("{answer:?}"));
                        let installation = answer.into_inner();
                        secrets.push(installation.matching_id);
                        secrets.push(installation.smdp_address);
                    }
                    Err(status) => log.push(format!("{status:?}")),
                }
            }
        }
        secrets.extend([sim.iccid, sim.msisdn]);
        secrets.extend(sim.eid);
    }
    (log, secrets)
}

#[tokio::test]
async fn an_esim_is_found_by_its_number_and_then_shows_both_identifiers() {
    let env = TestEnv::open().await;
    let truth = env.control().sim("2").unwrap();
    let mut esims = client(&env);
    let request = GetEsimRequest {
        sim: by_msisdn(&truth.msisdn),
        ..Default::default()
    };
    let esim = esims.get_esim(request).await.unwrap().into_inner().esim.unwrap();
    assert_eq!(
        esim.sim.unwrap(),
        SimIds {
            iccid: truth.iccid,
            msisdn: truth.msisdn
        }
    );
}
