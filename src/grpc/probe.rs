//! Asks a gateway as a caller does, by name or by address, with TLS where it has
//! that.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use crate::pb::connectivity::v1::{ListProductsRequest, ListProductsResponse};

/// Time limit of connecting and of each call.
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// Whom to ask, and what.
#[derive(Debug)]
pub struct Question {
    /// Host and port.
    pub address: Authority,
    /// Full name of a service; empty for the whole gateway.
    pub service: String,
    /// Whether to list products, too, and to fail when there is none.
    pub catalog: bool,
}

/// Why an attempt was no success.
#[derive(Debug)]
pub enum Refused {
    /// It answers that it does not serve.
    Status(ServingStatus),
    /// It does not answer, or not as it should.
    Failed(String),
}

/// Asks once. Returns what it answers, in words.
///
/// # Errors
/// It cannot be reached, does not serve, or has no product for sale.
pub async fn ask(question: &Question, tls: Option<Tls>) -> Result<String, Refused> {
    let address = &question.address;
    let channel = connect(address, tls)
        .await
        .map_err(|error| Refused::Failed(format!("cannot connect to {address}: {}", whole(&error))))?;
    let request = HealthCheckRequest {
        service: question.service.clone(),
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
    if question.catalog {
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

/// The name or IP address in an address, without the brackets around an IPv6 one.
pub fn host(address: &Authority) -> &str {
    let host = address.host();
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn connect(address: &Authority, tls: Option<Tls>) -> Result<Channel, tonic::transport::Error> {
    let host = host(address).to_owned();
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

/// The files of TLS.
#[derive(Debug, Default)]
pub struct TlsFiles {
    /// The authorities that the gateway's certificate is checked by; the machine's
    /// when there is none.
    pub ca: Option<PathBuf>,
    /// The certificate to show.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// TLS with a gateway.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// With the gateway of this name.
    ///
    /// # Errors
    /// A file cannot be used, or no certificate can be for the name; in words.
    pub fn new(name: &str, files: &TlsFiles) -> Result<Self, String> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("no certificate can be for {name:?}"))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(authorities(files.ca.as_deref())?);
        let mut config = match (&files.cert, &files.key) {
            (Some(cert), Some(key)) => {
                let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
                let own = builder.with_client_auth_cert(certificates(cert)?, private);
                own.map_err(|error| unusable(cert, &error))?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }
}

/// Those of the file, or else the machine's.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
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

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!(
            "cannot use {}: it holds no certificate in PEM",
            file.display()
        )),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(file, &error)),
    }
}

fn unusable(file: &Path, error: &dyn Error) -> String {
    format!("cannot use {}: {}", file.display(), whole(error))
}
