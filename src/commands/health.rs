//! `health`: asks a running gateway as a caller does, by name or by address, with
//! TLS where the gateway has it. Everything about it is options: it needs no
//! configuration, and the gateway that it asks may be another pod.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use super::{CommandError, CommandResult};
use crate::pb::connectivity::v1::{ListProductsRequest, ListProductsResponse};

/// Time limit of connecting and of each call.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// Between two attempts, where there is time for more than one.
const PAUSE: Duration = Duration::from_millis(500);

/// Whom to ask, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Its host, a name or an IP address, and its port.
    #[arg(long, default_value = "127.0.0.1:50051", value_parser = address)]
    address: Authority,
    /// Full name of a service; empty for the whole gateway.
    #[arg(long, default_value = "")]
    service: String,
    /// With TLS. The gateway's certificate is checked by the machine's authorities,
    /// unless --ca names others.
    #[arg(long)]
    tls: bool,
    /// The authorities that the gateway's certificate is checked by, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate to show to a gateway that asks its callers for one, in PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The name in the gateway's certificate, if it is not the one in its address.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// List the products for sale, too, and fail when there is none.
    #[arg(long)]
    catalog: bool,
    /// Ask again for this long until it answers as it should, for example 30s.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    within: Option<Duration>,
}

fn address(text: &str) -> Result<Authority, &'static str> {
    const WRONG: &str = "has to be HOST:PORT";
    let address: Authority = text.parse().map_err(|_| WRONG)?;
    if address.port_u16().is_none() || address.host().is_empty() || text.contains('@') {
        return Err(WRONG);
    }
    Ok(address)
}

/// Prints the status, and how many products are for sale where that is asked.
pub(super) async fn run(options: Options) -> CommandResult {
    let tls = options.tls()?;
    let give_up = Instant::now() + options.within.unwrap_or_default();
    let refused = loop {
        let attempt = ask(&options, tls.clone()).await;
        match attempt {
            Ok(answer) => {
                println!("{answer}");
                return Ok(ExitCode::SUCCESS);
            }
            Err(refused) if Instant::now() + PAUSE > give_up => break refused,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    match refused {
        Refused::Status(status) => {
            println!("{}", status.as_str_name());
            Ok(ExitCode::FAILURE)
        }
        Refused::Failed(why) => Err(CommandError::other(why)),
    }
}

/// Why an attempt was no success.
enum Refused {
    /// It answers that it does not serve.
    Status(ServingStatus),
    /// It does not answer, or not as it should.
    Failed(String),
}

async fn ask(options: &Options, tls: Option<Tls>) -> Result<String, Refused> {
    let address = &options.address;
    let channel = connect(address, tls)
        .await
        .map_err(|error| Refused::Failed(format!("cannot connect to {address}: {}", whole(&error))))?;
    let request = HealthCheckRequest {
        service: options.service.clone(),
    };
    let answer = HealthClient::new(channel.clone())
        .check(request)
        .await
        .map_err(|status| failed("the health service", &status))?;
    let status = answer.into_inner().status();
    if status != ServingStatus::Serving {
        return Err(Refused::Status(status));
    }
    let mut said = status.as_str_name().to_owned();
    if options.catalog {
        let products = products(channel).await?;
        said.push_str(&format!("\n{products} products for sale"));
    }
    Ok(said)
}

async fn products(channel: Channel) -> Result<i32, Refused> {
    let path = http::uri::PathAndQuery::from_static("/connectivity.v1.Catalog/ListProducts");
    let codec = tonic_prost::ProstCodec::<ListProductsRequest, ListProductsResponse>::default();
    let request = ListProductsRequest {
        page_size: 1,
        ..Default::default()
    };
    let mut client = tonic::client::Grpc::new(channel);
    client
        .ready()
        .await
        .map_err(|error| Refused::Failed(whole(&error)))?;
    let answer = client
        .unary(tonic::Request::new(request), path, codec)
        .await
        .map_err(|status| failed("Catalog/ListProducts", &status))?;
    match answer.into_inner().total_size {
        0 => Err(Refused::Failed("no product is for sale".to_owned())),
        products => Ok(products),
    }
}

fn failed(what: &str, status: &tonic::Status) -> Refused {
    let because = status.source().map(|source| format!(" ({})", whole(source)));
    Refused::Failed(format!(
        "{what}: {}: {}{}",
        status.code(),
        status.message(),
        because.unwrap_or_default()
    ))
}

/// An error and what caused it.
fn whole(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = error.source();
    }
    said
}

async fn connect(address: &Authority, tls: Option<Tls>) -> Result<Channel, tonic::transport::Error> {
    let host = address
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let port = address.port_u16().unwrap_or_default();
    let connector = service_fn(move |_| {
        let (host, tls) = (host.clone(), tls.clone());
        async move {
            let stream = TcpStream::connect((host, port)).await?;
            Ok::<_, std::io::Error>(TokioIo::new(match tls {
                None => Either::Left(stream),
                Some(Tls { connector, name }) => Either::Right(connector.connect(name, stream).await?),
            }))
        }
    });
    Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CALL_WITHIN)
        .timeout(CALL_WITHIN)
        .connect_with_connector(connector)
        .await
}

/// TLS as the options ask for it.
#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Options {
    fn tls(&self) -> Result<Option<Tls>, CommandError> {
        if !self.tls && self.ca.is_none() {
            let unused = self.cert.is_some() || self.server_name.is_some();
            return match unused {
                true => Err(CommandError::Usage(
                    "--cert, --key and --server-name need --tls or --ca".to_owned(),
                )),
                false => Ok(None),
            };
        }
        let host = self.address.host().trim_start_matches('[').trim_end_matches(']');
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| CommandError::Usage(format!("no certificate can be for {name:?}")))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CommandError::other)?
            .with_root_certificates(authorities(self.ca.as_deref())?);
        let mut config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
                let own = builder.with_client_auth_cert(certificates(cert)?, private);
                own.map_err(|error| unusable(cert, &error))?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Some(Tls {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        }))
    }
}

/// Those of the file, or else the machine's.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, CommandError> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            for certificate in certificates(file)? {
                store.add(certificate).map_err(|error| unusable(file, &error))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CommandError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(CommandError::other(format!(
            "cannot use {}: it holds no certificate in PEM",
            file.display()
        ))),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(file, &error)),
    }
}

fn unusable(file: &Path, error: &dyn Error) -> CommandError {
    CommandError::other(format!("cannot use {}: {}", file.display(), whole(error)))
}
