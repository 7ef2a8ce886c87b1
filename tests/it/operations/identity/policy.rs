//! The policy against the whole contract, and settings that are no policy.

use std::collections::BTreeSet;
use std::path::Path;

use prost_reflect::DescriptorPool;
use tonic::{Code, Request};
use transatel_gateway::config::{self, METHODS, Sources};
use transatel_gateway::grpc::DESCRIPTORS;

use super::{HEADER, POLICY, SHOP};
use crate::support::gateway::{TestEnv, settings};
use crate::support::pki::{Authority, Files, Pair};

/// Every method of the contract, by its services.
fn contract() -> BTreeSet<(String, String)> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let services = pool.services();
    let methods = services.flat_map(|service| {
        let methods: Vec<_> = service.methods().collect();
        methods
            .into_iter()
            .map(move |method| (service.name().to_owned(), method.name().to_owned()))
    });
    methods.collect()
}

#[test]
fn the_methods_of_policies_are_those_of_the_contract() {
    let listed = METHODS.iter().flat_map(|(service, methods)| {
        methods
            .iter()
            .map(move |method| ((*service).to_owned(), (*method).to_owned()))
    });
    assert_eq!(listed.collect::<BTreeSet<_>>(), contract());
}

#[tokio::test]
async fn what_is_not_granted_is_refused_for_every_method() {
    let env = TestEnv::with(&[HEADER, ("CALLERS__HEADER_FROM", "127.0.0.1"), POLICY]).await;
    let granted = |service: &str, method: &str| match service {
        "Catalog" => true,
        // The last one says what a caller may call.
        "Provisioning" => matches!(
            method,
            "CreateOrder" | "GetOrder" | "ListOrders" | "GetCapabilities"
        ),
        _ => false,
    };
    for (service, method) in contract() {
        let path = format!("/connectivity.v1.{service}/{method}");
        let mut grpc = tonic::client::Grpc::new(env.gateway.channel.clone());
        grpc.ready().await.unwrap();
        let mut request = Request::new(());
        request.metadata_mut().insert("x-caller", SHOP.parse().unwrap());
        let answer: Result<tonic::Response<()>, _> = grpc
            .unary(request, path.parse().unwrap(), tonic_prost::ProstCodec::default())
            .await;
        let refused = answer
            .as_ref()
            .err()
            .is_some_and(|status| status.code() == Code::PermissionDenied);
        assert_eq!(refused, !granted(&service, &method), "{path}: {answer:?}");
    }
}

#[test]
fn settings_that_let_nobody_in_or_everybody_are_named() {
    let missing = Path::new("/nowhere/tls.crt");
    type Settings<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Settings<'_>, &[&str]); 10] = [
        (
            &[("CALLERS__SCOPE", r#"{ "*" = "own" }"#)],
            &["callers.scope: no caller has a name"],
        ),
        (
            &[(
                "CALLERS__SCOPE",
                r#"{ "shop!" = "own", shop = "mine", other = "", third = "all" }"#,
            )],
            &[
                "callers.scope: \"shop!\" is neither a SPIFFE ID",
                "callers.scope: \"mine\" of \"shop\" is neither \"own\" nor \"all\"",
                "callers.scope: \"\" of \"other\" is neither",
            ],
        ),
        (&[POLICY], &["callers.allow: nobody could ever be let in"]),
        (
            &[HEADER],
            &["callers.header_from: required beside callers.header"],
        ),
        (
            &[("CALLERS__HEADER_FROM", "127.0.0.1, here")],
            &[
                "callers.header: required beside callers.header_from",
                "callers.header_from: \"here\" is neither an address",
            ],
        ),
        (
            &[
                ("CALLERS__HEADER", "x caller"),
                ("CALLERS__HEADER_FROM", "127.0.0.1"),
                (
                    "CALLERS__ALLOW",
                    r#"{ "shop!" = ["*"], shop = ["Catalog/Buy", "Catalog/*"] }"#,
                ),
            ],
            &[
                "callers.allow: \"shop!\" is neither a SPIFFE ID",
                "callers.allow: \"Catalog/Buy\" of \"shop\" is neither a method",
                "callers.header: \"x caller\" is not the name of a header",
            ],
        ),
        (
            &[("CALLERS__ALLOW", "Catalog/*")],
            &["callers.allow: \"Catalog/*\" is not a table"],
        ),
        (
            &[("CALLERS__ALLOW", "{ shop = 5 }")],
            &["callers.allow.shop: 5 is not a list of texts"],
        ),
        (
            &[("GRPC__TLS__CERT_FILE", missing.to_str().unwrap())],
            &[
                "grpc.tls.cert_file: cannot read /nowhere/tls.crt",
                "grpc.tls.key_file: required beside grpc.tls.cert_file",
            ],
        ),
        (
            &[("GRPC__TLS__CLIENT_CA_FILE", "Cargo.toml")],
            &["grpc.tls.client_ca_file: needs grpc.tls.cert_file and grpc.tls.key_file"],
        ),
    ];
    for (more, expected) in cases {
        let sources = Sources {
            environment: settings("http://127.0.0.1:1", more),
            ..Sources::default()
        };
        let report = config::load(&sources).unwrap_err().to_string();
        for text in expected {
            assert!(report.contains(text), "{text} not in\n{report}");
        }
    }
}

#[tokio::test]
async fn files_that_are_no_certificates_keep_the_gateway_from_starting() {
    let authority = Authority::new();
    let (good, other) = (authority.server(), authority.server());
    let text = |certificate: &str, key: &str| Pair {
        certificate: certificate.into(),
        key: key.into(),
    };
    for (pair, expected) in [
        (
            text("no PEM", &good.key),
            "tls.crt (grpc.tls.cert_file) holds no usable certificate in PEM",
        ),
        (
            text(&good.certificate, ""),
            "tls.key (grpc.tls.key_file) holds no usable key in PEM",
        ),
        (
            text(&good.certificate, &other.key),
            "grpc.tls.cert_file and grpc.tls.key_file cannot be used together",
        ),
    ] {
        let files = Files::new(&pair, Some(&authority));
        let own = files.settings();
        let sources = Sources {
            environment: settings("http://127.0.0.1:1", &own),
            ..Sources::default()
        };
        let built = transatel_gateway::app::App::build(config::load(&sources).unwrap().config).await;
        let error = built.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
