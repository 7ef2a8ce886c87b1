//! Reads whose callers give up before the answer, on the connection that
//! patient callers share with them.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script};

use crate::support::front::Front;
use crate::support::gateway::{ESIM, Gateway, by_iccid, simulator};
use crate::support::pki::Authority;
use crate::support::relay::Relay;

/// More than the 1,024 late answers after which an HTTP/2 client closes its
/// connection.
const GIVEN_UP: usize = 1_200;

/// The provider answers over HTTP/2, 60 ms away, within 60 ms. Callers with a
/// deadline of 150 ms leave when their answers are on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_break_no_read_of_patient_ones() {
    let sandbox = simulator().await;
    let control = sandbox.control();
    let behind = sandbox.base_url().trim_start_matches("http://").parse().unwrap();
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (socket, file) = (folder.path().join("front"), folder.path().join("ca.pem"));
    std::fs::write(&file, authority.pem()).unwrap();
    let front = Front::start_http2(&authority, "localhost", behind, &socket);
    let relay = Relay::start(&socket).await;
    let url = format!("https://localhost:{}", relay.address().port());
    let gateway = Gateway::start(
        &url,
        &[
            ("TRANSATEL__CA_FILE", file.to_str().unwrap()),
            ("TRANSATEL__CONCURRENCY", "1024"),
            ("TRANSATEL__CONCURRENCY_WAIT", "20s"),
            ("TRANSATEL__READ_ATTEMPTS", "1"),
        ],
    )
    .await;
    let iccid = control.sim("1").unwrap().iccid;
    let other = Endpoint::from_shared(format!("http://{}", gateway.addresses.grpc)).unwrap();
    let other = other.connect().await.unwrap();
    let ask = |channel: &Channel, deadline: Duration| {
        let mut esims = api::esim_client::EsimClient::new(channel.clone());
        let mut request = Request::new(api::GetEsimRequest {
            sim: by_iccid(&iccid),
            include_history: false,
        });
        request.set_timeout(deadline);
        async move { esims.get_esim(request).await.map(drop) }
    };
    ask(&other, Duration::from_secs(10)).await.unwrap();
    let before = control.received("GET", ESIM);
    relay.delay(Duration::from_millis(60));
    let late = Fault::Delay {
        duration: Duration::from_millis(60),
    };
    control.queue(Script::on("GET", ESIM).then(late.step().forever()));

    let is_late = |answer: &Result<(), Status>| {
        let code = answer.as_ref().err().map(Status::code);
        std::future::ready(code == Some(Code::DeadlineExceeded))
    };
    let sent = || usize::try_from(control.received("GET", ESIM) - before).unwrap();
    let impatient = async {
        let mut gave_up = 0;
        while gave_up < GIVEN_UP || sent() < GIVEN_UP + GIVEN_UP / 4 {
            gave_up += stream::iter(0..250)
                .map(|_| ask(&gateway.channel, Duration::from_millis(150)))
                .buffer_unordered(250)
                .filter(is_late)
                .count()
                .await;
        }
        gave_up
    };
    let patient = stream::iter(0..200)
        .map(|_| ask(&other, Duration::from_secs(20)))
        .buffer_unordered(20)
        .collect::<Vec<_>>();
    let (gave_up, patient) = tokio::join!(impatient, patient);

    println!("{gave_up} callers gave up, {} reads were sent", sent());
    let broken: Vec<_> = patient
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    assert!(broken.is_empty(), "{} of 200: {:?}", broken.len(), broken.first());
    assert_eq!(front.accepted(), 1, "one connection for all of it");
}
