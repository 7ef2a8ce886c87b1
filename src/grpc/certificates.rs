//! The server's certificate and the authorities of callers' certificates; read
//! again when the files change, so that a rotation needs no restart.
//!
//! A new connection uses the current ones; existing connections keep theirs
//! until `grpc.max_connection_age` ends them. Sessions are not resumed: a
//! resumed one would skip the check of the caller's certificate, and
//! connections here live for minutes.

mod expiry;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use ring::digest::{Context as Hash, Digest, SHA256};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config;
use crate::telemetry::Metrics;

/// Why a set of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {file} ({setting}): {error}")]
    Read {
        /// The file.
        file: PathBuf,
        /// The setting that names it.
        setting: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// A file has the wrong content.
    #[error("{file} ({setting}) holds no usable {wanted} in PEM: {error}")]
    Pem {
        /// The file.
        file: PathBuf,
        /// The setting that names it.
        setting: &'static str,
        /// What it should hold.
        wanted: &'static str,
        /// Why.
        error: pem::Error,
    },
    /// Certificate and key do not match, or are of an unsupported kind.
    #[error("grpc.tls.cert_file and grpc.tls.key_file cannot be used together: {0}")]
    Pair(rustls::Error),
    /// A certificate is not valid as an authority.
    #[error("{0} (grpc.tls.client_ca_file) holds a certificate that cannot be an authority: {1}")]
    Authority(PathBuf, rustls::Error),
    /// The authorities cannot be used.
    #[error("{0} (grpc.tls.client_ca_file): {1}")]
    Authorities(PathBuf, VerifierBuilderError),
}

/// The TLS configuration of new connections.
pub struct Certificates {
    files: config::Tls,
    current: ArcSwap<ServerConfig>,
    /// Digest of the files as last read, valid or not; `None` when they could
    /// not be read.
    seen: Mutex<Option<Digest>>,
    metrics: Arc<Metrics>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub async fn load(files: config::Tls, metrics: Arc<Metrics>) -> Result<Self, CertificateError> {
        let contents = Contents::read(&files).await?;
        let configuration = contents.configuration(&files)?;
        metrics.certificate_expires(contents.expiry());
        Ok(Self {
            current: ArcSwap::from_pointee(configuration),
            seen: Mutex::new(Some(contents.digest())),
            files,
            metrics,
        })
    }

    /// For one new connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Where handshakes are counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Watches the files; never returns.
    pub async fn keep_current(&self) {
        loop {
            tokio::time::sleep(self.files.reload_interval).await;
            match self.reload().await {
                Ok(false) => {}
                Ok(true) => {
                    tracing::info!("the certificates have changed: new connections use them");
                    self.metrics.certificates(true);
                }
                Err(error) => {
                    tracing::warn!(%error, "the certificates have changed and cannot be used: the last ones stay");
                    self.metrics.certificates(false);
                }
            }
        }
    }

    /// Whether there was something new. Invalid files are reported once (and
    /// unreadable ones every time); a half-replaced set is read again when the
    /// rest arrives.
    async fn reload(&self) -> Result<bool, CertificateError> {
        let contents = Contents::read(&self.files).await;
        let digest = contents.as_ref().ok().map(Contents::digest);
        let before = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *seen, digest)
        };
        let contents = contents?;
        let same = |(before, now): (Digest, Digest)| before.as_ref() == now.as_ref();
        if before.zip(digest).is_some_and(same) {
            return Ok(false);
        }
        self.current.store(Arc::new(contents.configuration(&self.files)?));
        self.metrics.certificate_expires(contents.expiry());
        Ok(true)
    }
}

/// The content of the files.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

const CERTIFICATE: &str = "grpc.tls.cert_file";
const KEY: &str = "grpc.tls.key_file";
const AUTHORITIES: &str = "grpc.tls.client_ca_file";

impl Contents {
    async fn read(files: &config::Tls) -> Result<Self, CertificateError> {
        Ok(Self {
            certificate: read(&files.cert_file, CERTIFICATE).await?,
            key: read(&files.key_file, KEY).await?,
            authorities: match &files.client_ca_file {
                Some(file) => Some(read(file, AUTHORITIES).await?),
                None => None,
            },
        })
    }

    fn digest(&self) -> Digest {
        let mut hash = Hash::new(&SHA256);
        for part in [
            &self.certificate,
            &self.key,
            self.authorities.as_deref().unwrap_or_default(),
        ] {
            hash.update(&part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finish()
    }

    /// When the first certificate of the chain expires.
    fn expiry(&self) -> Option<Timestamp> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        expiry::first(&chain.ok()?)
    }

    fn configuration(&self, files: &config::Tls) -> Result<ServerConfig, CertificateError> {
        // The process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let chain = certificates(&self.certificate, &files.cert_file, CERTIFICATE)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| CertificateError::Pem {
            file: files.key_file.clone(),
            setting: KEY,
            wanted: "key",
            error,
        })?;
        let builder = ServerConfig::builder();
        let builder = match (&self.authorities, &files.client_ca_file) {
            (Some(pem), Some(file)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(pem, file, AUTHORITIES)? {
                    roots
                        .add(authority)
                        .map_err(|error| CertificateError::Authority(file.clone(), error))?;
                }
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
                let verifier =
                    verifier.map_err(|error| CertificateError::Authorities(file.clone(), error))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut configuration = builder
            .with_single_cert(chain, key)
            .map_err(CertificateError::Pair)?;
        configuration.alpn_protocols = vec![b"h2".to_vec()];
        configuration.session_storage = Arc::new(NoServerSessionStorage {});
        configuration.send_tls13_tickets = 0;
        Ok(configuration)
    }
}

async fn read(file: &Path, setting: &'static str) -> Result<Vec<u8>, CertificateError> {
    tokio::fs::read(file)
        .await
        .map_err(|error| CertificateError::Read {
            file: file.to_owned(),
            setting,
            error,
        })
}

/// All certificates of a PEM file; at least one.
fn certificates(
    pem: &[u8],
    file: &Path,
    setting: &'static str,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let some = all.and_then(|all| match all.is_empty() {
        true => Err(pem::Error::NoItemsFound),
        false => Ok(all),
    });
    some.map_err(|error| CertificateError::Pem {
        file: file.to_owned(),
        setting,
        wanted: "certificate",
        error,
    })
}
