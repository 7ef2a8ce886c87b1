//! A provider behind a certificate of an authority that the machine does not
//! know, as a proxy that looks into TLS has one.

use tonic::Code;

use crate::support::front::Front;
use crate::support::gateway::{FRANCE, Gateway, get, reason, simulator};
use crate::support::pki::Authority;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_providers_certificate_is_trusted_by_the_authority_in_the_file_only() {
    let sandbox = simulator().await;
    let behind = sandbox.base_url().trim_start_matches("http://").parse().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let (_front, front) = Front::start(&authority, "localhost", behind).await;
    let (_elsewhere, elsewhere) = Front::start(&authority, "provider.example", behind).await;
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
        let url = format!("https://localhost:{}", front.port());
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
