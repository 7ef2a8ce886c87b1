//! A provider behind a certificate of an authority that the machine does not
//! know, as a proxy that looks into TLS has one.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::ExtendedKeyUsagePurpose::ServerAuth;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tonic::Code;

use crate::support::gateway::{FRANCE, Gateway, get, reason, simulator};
use crate::support::pki::{Authority, Name, Validity};

/// Ends TLS in front of the simulator, until it is dropped.
struct Front {
    address: SocketAddr,
    _connections: JoinSet<()>,
}

impl Front {
    async fn start(authority: &Authority, name: &str, behind: SocketAddr) -> Self {
        let pair = authority.issue_for(&[Name::Dns(name)], Validity::Now, ServerAuth);
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut served = JoinSet::new();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                served.spawn(async move {
                    // A client that does not trust us goes away.
                    let Ok(mut outside) = acceptor.accept(connection).await else {
                        return;
                    };
                    let mut inside = TcpStream::connect(behind).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self {
            address,
            _connections: connections,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_providers_certificate_is_trusted_by_the_authority_in_the_file_only() {
    let sandbox = simulator().await;
    let behind = sandbox.base_url().trim_start_matches("http://").parse().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let front = Front::start(&authority, "localhost", behind).await;
    let elsewhere = Front::start(&authority, "provider.example", behind).await;
    let files = [&authority, &other].map(|authority| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, authority.pem()).unwrap();
        file
    });
    let [own, others] = files.each_ref().map(|file| file.path().to_str().unwrap());
    let trusted = [("TRANSATEL__CA_FILE", own)];
    let distrusted = [("TRANSATEL__CA_FILE", others)];
    let attempts = [("TRANSATEL__READ_ATTEMPTS", "1")];
    for (front, settings, works) in [
        (&front, &attempts[..], false),
        (&front, &distrusted, false),
        // Another name than the one that was dialled.
        (&elsewhere, &trusted, false),
        (&front, &trusted, true),
    ] {
        let url = format!("https://localhost:{}", front.address.port());
        let gateway = Gateway::start(&url, &[settings, &attempts].concat()).await;
        let answer = gateway.catalog().get_product(get(FRANCE)).await;
        match answer {
            Ok(_) => assert!(works, "{settings:?}"),
            Err(status) => {
                assert!(!works, "{settings:?}: {status:?}");
                let error = reason(&status);
                assert_eq!(
                    (error.code, &*error.reason),
                    (Code::Unavailable, "PROVIDER_UNAVAILABLE")
                );
                assert_eq!(
                    sandbox.control().received("POST", crate::support::gateway::TOKEN),
                    0,
                    "no secret was sent"
                );
            }
        }
    }
}
