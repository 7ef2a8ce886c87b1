//! How the collector is reached: OTLP over gRPC, in plain text or over TLS.

use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use rustls::RootCertStore;
use url::Url;

use crate::config;

/// An exporter to the collector at `endpoint`. Connects when something is
/// exported; what fails then is logged, and stops nothing.
pub(super) fn towards<B>(exporter: B, endpoint: &Url, config: &config::Telemetry) -> B
where
    B: WithExportConfig + WithTonicConfig,
{
    let exporter = exporter.with_endpoint(endpoint.as_str());
    if endpoint.scheme() == "https" {
        exporter.with_tls_config(tls(config))
    } else {
        exporter
    }
}

/// Trusts what the machine trusts, and the authorities of the settings.
fn tls(config: &config::Telemetry) -> ClientTlsConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    // Checked when the settings were read.
    roots.add_parsable_certificates(config.otlp_authorities.iter().cloned());
    ClientTlsConfig::new().trust_anchors(roots.roots)
}
