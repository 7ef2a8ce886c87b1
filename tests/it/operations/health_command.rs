//! `health`: what probes, scripts and `helm test` ask a gateway with.

use super::commands::run;
use crate::support::gateway::{TestEnv, settings, simulator};
use crate::support::pki::{Authority, Files, Name, Pair};
use crate::support::ports::reserved;
use crate::support::process::Process;

async fn health(options: &[&str]) -> (Option<i32>, String, String) {
    run(&[&["health"], options].concat(), &[]).await
}

#[tokio::test]
async fn a_gateway_is_asked_by_its_name_and_lists_its_products() {
    let env = TestEnv::open().await;
    let port = env.gateway.addresses.grpc.port();
    let address = format!("localhost:{port}");
    let answer = health(&["--address", &address, "--service", "connectivity.v1.Catalog"]).await;
    assert_eq!(
        (answer.0, answer.1.as_str()),
        (Some(0), "SERVING\n"),
        "{}",
        answer.2
    );
    let (code, out, err) = health(&["--address", &address, "--catalog"]).await;
    assert_eq!(code, Some(0), "{err}");
    let products = out.strip_prefix("SERVING\n").unwrap();
    let products = products.strip_suffix(" products for sale\n").unwrap();
    assert!(products.parse::<u32>().unwrap() > 100, "{out}");
    let (code, _, err) = health(&["--address", &address, "--service", "no.Such"]).await;
    assert_eq!(code, Some(1));
    assert!(err.starts_with("the health service: "), "{err}");
}

#[tokio::test]
async fn with_tls_both_sides_are_checked_and_the_failure_is_named() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new(&authority.server(), Some(&authority));
    let sandbox = simulator().await;
    let mut process = Process::start(&["serve"], &settings(&sandbox.base_url(), &files.settings()));
    let line = process.logged("listening").await;
    let port = line.split("grpc=127.0.0.1:").nth(1).unwrap();
    let port = port.split(" ").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let Pair { certificate, key } = authority.issue(&[Name::Dns("probe.internal")]);
    let (own, key) = (file("own.crt", &certificate), file("own.key", &key));
    let (ca, wrong) = (file("ca.crt", &authority.pem()), file("wrong.crt", &other.pem()));
    let (name, address) = (format!("localhost:{port}"), format!("127.0.0.1:{port}"));
    let shown = ["--cert", &own, "--key", &key, "--within", "30s", "--catalog"];

    let (code, out, err) = health(&[&["--address", &name, "--ca", &ca], &shown[..]].concat()).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("SERVING\n"), "{out}");
    let named = ["--address", &address, "--ca", &ca, "--server-name", "localhost"];
    let (code, _, err) = health(&[&named, &shown[..]].concat()).await;
    assert_eq!(code, Some(0), "{err}");

    let nothing = folder.path().join("nothing.pem");
    let nothing = nothing.to_str().unwrap();
    for (options, part) in [
        (
            vec!["--address", &name, "--ca", &wrong],
            "invalid peer certificate",
        ),
        (vec!["--address", &name, "--tls"], "invalid peer certificate"),
        (vec!["--address", &address, "--ca", &ca], "not valid for name"),
        (vec!["--address", &name, "--ca", nothing], "cannot use "),
        (
            vec!["--address", &name, "--ca", &key],
            "holds no certificate in PEM",
        ),
    ] {
        let (code, out, err) = health(&[&options, &shown[..4]].concat()).await;
        assert_eq!((code, out.as_str()), (Some(1), ""), "{options:?}: {err}");
        assert!(err.contains(part), "{options:?}: {err}");
    }
    // Without a certificate of its own, and without TLS.
    for options in [vec!["--ca", &ca], vec![]] {
        let (code, out, err) = health(&[&["--address", &name], &options[..]].concat()).await;
        assert_eq!((code, out.as_str()), (Some(1), ""), "{options:?}: {err}");
    }
}

#[tokio::test]
async fn wrong_options_are_refused_before_anything_is_asked() {
    for (options, part) in [
        (&["--address", "localhost"][..], "HOST:PORT"),
        (&["--address", "http://localhost:1"], "HOST:PORT"),
        (&["--cert", "own.crt"], "--key"),
        (&["--cert", "own.crt", "--key", "own.key"], "need --tls or --ca"),
        (&["--within", "soon"], "--within"),
    ] {
        let (code, out, err) = health(options).await;
        assert_eq!((code, out.as_str()), (Some(64), ""), "{options:?}");
        assert!(err.contains(part), "{options:?}: {err}");
    }
}

#[tokio::test]
async fn a_gateway_that_starts_meanwhile_is_waited_for() {
    let sandbox = simulator().await;
    let address = reserved().to_string();
    let options = ["health", "--address", &address, "--within", "1m"];
    let mut asking = Process::start(&options, &[]);
    let listen = [("GRPC__LISTEN", address.as_str())];
    let _gateway = Process::start(&["serve"], &settings(&sandbox.base_url(), &listen));
    assert_eq!(
        asking.stdout.next_line().await.unwrap().as_deref(),
        Some("SERVING")
    );
    assert_eq!(asking.ended().await, Some(0));
}
