//! The level of the log, changed while the process runs.

use serde_json::Value;

use crate::events::webhook::client;
use crate::support::gateway::{by_iccid, settings, simulator};
use crate::support::process::Process;

const AT_DEBUG: &str = "the provider refused a request";

#[tokio::test]
async fn an_operator_changes_what_is_logged_without_a_restart() {
    let sandbox = simulator().await;
    let more = [("TELEMETRY__LOG_FORMAT", "json")];
    let mut gateway = Process::start(&["serve"], &settings(&sandbox.base_url(), &more));
    let listening: Value = serde_json::from_str(&gateway.logged("\"listening\"").await).unwrap();
    let address = |name: &str| format!("http://{}", listening[name].as_str().unwrap());
    gateway.logged("\"ready\"").await;
    let (client, url) = (client(), format!("{}/loglevel", address("admin")));
    let present = async || client.get(&url).send().await.unwrap().text().await.unwrap();
    let put = async |directives: &str| {
        let answer = client.put(&url).body(directives.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    // Something that is logged at debug, then something at info.
    let channel = tonic::transport::Endpoint::from_shared(address("grpc")).unwrap();
    let channel = channel.connect().await.unwrap();
    let call = async || {
        use transatel_gateway_client::connectivity::v1::{GetEsimRequest, esim_client::EsimClient};
        let request = GetEsimRequest {
            sim: by_iccid("8988247000000999998"),
            ..Default::default()
        };
        EsimClient::new(channel.clone())
            .get_esim(request)
            .await
            .unwrap_err();
    };
    // What is logged up to the end of a call.
    macro_rules! logged {
        () => {{
            call().await;
            let mut lines = Vec::new();
            loop {
                let line = gateway.stderr.next_line().await.unwrap().unwrap();
                let ended = line.contains("call failed");
                lines.push(line);
                if ended {
                    break lines.concat();
                }
            }
        }};
    }

    assert_eq!(present().await, "info\n");
    assert!(!logged!().contains(AT_DEBUG));

    let more = "info,transatel_gateway::transatel=debug";
    assert_eq!(put(&format!(" {more}\n")).await, (200, format!("{more}\n")));
    assert_eq!(present().await, format!("{more}\n"));
    let lines = logged!();
    assert!(
        lines.contains("the log level is changed") && lines.contains(more),
        "{lines}"
    );
    assert!(lines.contains(AT_DEBUG), "{lines}");
    assert!(!lines.contains("\"target\":\"hyper"), "{lines}");

    for wrong in ["debgu", "", "info,x=loud", "info,,"] {
        let (status, text) = put(wrong).await;
        assert_eq!(status, 400, "{wrong}: {text}");
        assert!(text.len() > 10, "{wrong}: {text}");
    }
    assert_eq!(put(&"a=info,".repeat(2_000)).await.0, 413);
    let nothing = client.put(&url).body(vec![0xff, 0xfe]).send().await.unwrap();
    assert_eq!(nothing.status(), 400);
    assert_eq!(present().await, format!("{more}\n"));
    assert!(logged!().contains(AT_DEBUG));

    assert_eq!(put("info").await.0, 200);
    let lines = logged!();
    assert!(
        lines.contains("the log level is changed") && !lines.contains(AT_DEBUG),
        "{lines}"
    );

    // Said even when nothing else is logged from here on.
    assert_eq!(put("off").await, (200, "off\n".to_owned()));
    gateway.logged("the log level is changed").await;
    call().await;
    assert_eq!(put("info").await.0, 200);
    let next = gateway.stderr.next_line().await.unwrap().unwrap();
    assert!(next.contains("the log level is changed"), "{next}");

    gateway.signal("TERM").await;
    assert_eq!(gateway.ended().await, Some(0));
}
