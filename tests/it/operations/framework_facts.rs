//! What the framework really does, where the gateway's design depends on it.
//! A test that fails after an upgrade says which design choice to look at.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use transatel_gateway::pb::connectivity::v1::catalog_server::{Catalog, CatalogServer};
use transatel_gateway::pb::connectivity::v1::*;
use transatel_gateway_client::connectivity::v1::catalog_client::CatalogClient;

use crate::support::gateway::{TestEnv, get, reason, untimed};

/// Answers `GetProduct` when the test says so.
#[derive(Clone, Default)]
pub struct Slow {
    entered: Arc<Notify>,
    proceed: Arc<Notify>,
    dropped: Arc<AtomicBool>,
}

struct NoteDrop(Arc<AtomicBool>, bool);

impl Drop for NoteDrop {
    fn drop(&mut self) {
        self.0.store(!self.1, Ordering::SeqCst);
    }
}

#[tonic::async_trait]
impl Catalog for Slow {
    async fn get_product(
        &self,
        _: Request<GetProductRequest>,
    ) -> Result<Response<GetProductResponse>, Status> {
        let mut note = NoteDrop(Arc::clone(&self.dropped), false);
        self.entered.notify_one();
        self.proceed.notified().await;
        note.1 = true;
        Ok(Response::new(Default::default()))
    }

    async fn list_products(
        &self,
        _: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_destinations(
        &self,
        _: Request<ListDestinationsRequest>,
    ) -> Result<Response<ListDestinationsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn check_eligibility(
        &self,
        _: Request<CheckEligibilityRequest>,
    ) -> Result<Response<CheckEligibilityResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_eligible_products(
        &self,
        _: Request<ListEligibleProductsRequest>,
    ) -> Result<Response<ListEligibleProductsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_catalog_changes(
        &self,
        _: Request<ListCatalogChangesRequest>,
    ) -> Result<Response<ListCatalogChangesResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

pub struct Bare {
    slow: Slow,
    pub address: SocketAddr,
    pub channel: Channel,
    pub stop: Option<oneshot::Sender<()>>,
    pub running: JoinSet<()>,
}

/// A bare tonic server on a free port.
pub async fn bare(builder: Server) -> Bare {
    let slow = Slow::default();
    serve(slow.clone(), builder_with(builder, slow)).await
}

fn builder_with(mut builder: Server, slow: Slow) -> Router {
    builder.add_service(CatalogServer::new(slow))
}

pub async fn serve(slow: Slow, router: Router) -> Bare {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut running = JoinSet::new();
    running.spawn(async move {
        let stopped = async { drop(stopped.await) };
        router
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped)
            .await
            .unwrap();
    });
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    Bare {
        slow,
        address,
        channel,
        stop: Some(stop),
        running,
    }
}

#[tokio::test]
async fn an_expired_timeout_is_cancelled_by_tonic_and_deadline_exceeded_by_us() {
    let bare = bare(Server::builder()).await;
    let mut request = Request::new(get("P"));
    request.set_timeout(Duration::from_millis(30));
    let status = untimed(bare.address).get_product(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Cancelled);
    assert!(
        bare.slow.dropped.load(Ordering::SeqCst),
        "the handler is dropped in the middle"
    );

    let env = TestEnv::open().await;
    env.control().queue(
        transatel_simulator::Script::on("GET", crate::support::gateway::CATALOG)
            .then(transatel_simulator::Fault::Hang.step()),
    );
    let mut request = Request::new(get("P"));
    request.set_timeout(Duration::from_millis(30));
    let ours = reason(
        &env.gateway
            .untimed_catalog()
            .get_product(request)
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (ours.code, ours.reason.as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
}

#[tokio::test]
async fn a_caller_that_disconnects_drops_the_handler() {
    let bare = bare(Server::builder()).await;
    let mut client = CatalogClient::new(bare.channel.clone());
    let mut call = JoinSet::new();
    call.spawn(async move { client.get_product(get("P")).await });
    bare.slow.entered.notified().await;
    assert!(!bare.slow.dropped.load(Ordering::SeqCst));
    call.abort_all();
    crate::support::gateway::until("the handler is dropped", async || {
        bare.slow.dropped.load(Ordering::SeqCst)
    })
    .await;
}

#[tokio::test]
async fn connection_age_without_a_grace_lets_calls_finish() {
    let age = Duration::from_millis(50);
    let bare = bare(Server::builder().max_connection_age(age)).await;
    let mut client = CatalogClient::new(bare.channel.clone());
    let mut call = JoinSet::new();
    call.spawn(async move { client.get_product(get("P")).await });
    bare.slow.entered.notified().await;
    tokio::time::sleep(age * 4).await;
    bare.slow.proceed.notify_one();
    call.join_next()
        .await
        .unwrap()
        .unwrap()
        .expect("the call outlives its connection's age");
}

#[tokio::test]
async fn connection_age_with_a_grace_cuts_calls_in_flight() {
    let age = Duration::from_millis(50);
    let builder = Server::builder()
        .max_connection_age(age)
        .max_connection_age_grace(age);
    let bare = bare(builder).await;
    let status = CatalogClient::new(bare.channel.clone())
        .get_product(get("P"))
        .await
        .unwrap_err();
    assert_ne!(status.code(), Code::Ok);
    assert!(bare.slow.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn tonics_own_timeout_answers_cancelled() {
    let bare = bare(Server::builder().timeout(Duration::from_millis(30))).await;
    let status = CatalogClient::new(bare.channel.clone())
        .get_product(get("P"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Cancelled);
}

#[tokio::test]
async fn tonics_own_timeout_bounds_only_the_head_of_an_answer() {
    let within = Duration::from_millis(50);
    let (reporter, health) = tonic_health::server::health_reporter();
    let bare = serve(
        Slow::default(),
        Server::builder().timeout(within).add_service(health),
    )
    .await;
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let mut client = HealthClient::new(bare.channel.clone());
    let mut watch = client.watch(request).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    tokio::time::sleep(within * 4).await;
    reporter.set_service_status("", ServingStatus::NotServing).await;
    let next = watch.message().await;
    assert!(
        next.is_ok_and(|message| message.is_some()),
        "the stream was ended: its own limits may go"
    );
}

/// The types of the frames that a server sends to a client that says hello
/// and then nothing, until it hangs up.
async fn frames(address: SocketAddr) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    socket.write_all(hello).await.unwrap();
    let mut types = Vec::new();
    let mut head = [0; 9];
    while socket.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        socket.read_exact(&mut vec![0; length as usize]).await.unwrap();
        types.push(head[3]);
        // A connection without a call may be closed by the side that is asked to go.
        if head[3] == GOAWAY {
            break;
        }
    }
    types
}

const GOAWAY: u8 = 7;

#[tokio::test]
async fn connection_age_sends_clients_away_only_without_a_grace() {
    let age = Duration::from_millis(50);
    let polite = bare(Server::builder().max_connection_age(age)).await;
    let soon = tokio::time::timeout(crate::support::gateway::SOON, frames(polite.address)).await;
    assert!(soon.unwrap().contains(&GOAWAY));
    let rude = Server::builder()
        .max_connection_age(age)
        .max_connection_age_grace(age);
    let rude = bare(rude).await;
    let soon = tokio::time::timeout(crate::support::gateway::SOON, frames(rude.address)).await;
    assert!(
        !soon.unwrap().contains(&GOAWAY),
        "clients are asked to go: a grace may be set"
    );
}

#[tokio::test]
async fn tonic_health_begins_with_the_whole_as_serving() {
    let (_reporter, server) = tonic_health::server::health_reporter();
    let mut bare = serve(Slow::default(), Server::builder().add_service(server)).await;
    let mut client = HealthClient::new(bare.channel.clone());
    let answer = client
        .check(HealthCheckRequest {
            service: String::new(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.status, ServingStatus::Serving as i32);
    drop(bare.stop.take());
}
