//! Certificates for tests and benches, and callers that show them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Error};

/// An authority that signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate and its key, as PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// What a certificate may say.
pub enum Name<'a> {
    Dns(&'a str),
    Uri(&'a str),
}

/// When a certificate is good.
#[derive(Clone, Copy)]
pub enum Validity {
    Now,
    Past,
    Future,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, certificate }
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate that servers and callers may use.
    pub fn issue(&self, names: &[Name<'_>]) -> Pair {
        self.issue_for(names, Validity::Now, ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub fn issue_for(
        &self,
        names: &[Name<'_>],
        validity: Validity,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Pair {
        let text = |text: &str| Ia5String::try_from(text).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name {
                Name::Dns(name) => SanType::DnsName(text(name)),
                Name::Uri(name) => SanType::URI(text(name)),
            })
            .collect();
        (params.not_before, params.not_after) = match validity {
            Validity::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1)),
            Validity::Past => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1)),
            Validity::Future => (date_time_ymd(2089, 1, 1), date_time_ymd(2090, 1, 1)),
        };
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// For the gateway's own side.
    pub fn server(&self) -> Pair {
        let names = [Name::Dns("localhost")];
        self.issue_for(&names, Validity::Now, ExtendedKeyUsagePurpose::ServerAuth)
    }
}

/// The gateway's files in a folder of their own.
pub struct Files {
    folder: tempfile::TempDir,
    /// Certificate, key and authority.
    paths: [String; 3],
}

impl Files {
    pub fn new(server: &Pair, callers: Option<&Authority>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let files = Self {
            paths: ["tls.crt", "tls.key", "ca.crt"].map(path),
            folder,
        };
        files.put(server, callers);
        files
    }

    /// Replaces what is there.
    pub fn put(&self, server: &Pair, callers: Option<&Authority>) {
        std::fs::write(self.path("tls.crt"), &server.certificate).unwrap();
        std::fs::write(self.path("tls.key"), &server.key).unwrap();
        if let Some(authority) = callers {
            std::fs::write(self.path("ca.crt"), authority.pem()).unwrap();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings that name them.
    pub fn settings(&self) -> Vec<(&'static str, &str)> {
        let [certificate, key, authority] = &self.paths;
        let mut settings = vec![
            ("GRPC__TLS__CERT_FILE", certificate.as_str()),
            ("GRPC__TLS__KEY_FILE", key),
        ];
        if Path::new(authority).exists() {
            settings.push(("GRPC__TLS__CLIENT_CA_FILE", authority));
        }
        settings
    }
}

/// A connection that trusts `servers` and shows `own`, when there is one.
pub async fn connect(address: SocketAddr, servers: &Authority, own: Option<&Pair>) -> Result<Channel, Error> {
    let caller = Caller::new(&servers.pem(), own);
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_with_connector(tower::service_fn(move |_| {
            let caller = caller.clone();
            async move { caller.connect(address).await.map(hyper_util::rt::TokioIo::new) }
        }))
        .await
}

/// Connects as a caller with a certificate of its own.
#[derive(Clone)]
pub struct Caller(TlsConnector);

impl Caller {
    /// Trusts the authority and shows `own`, when there is one.
    pub fn new(authority: &str, own: Option<&Pair>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
            .unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match own {
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// A secured connection.
    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        self.0.connect(name, socket).await
    }
}
