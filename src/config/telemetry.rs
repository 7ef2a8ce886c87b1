//! `[telemetry]`: logs, traces and metrics.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Url;

use super::reader::Reader;

/// Logs, traces and metrics.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Collector, when there is one.
    pub otlp_endpoint: Option<Url>,
    /// Certificates that the collector's may be signed with, beside those that
    /// the machine trusts.
    pub otlp_authorities: Vec<CertificateDer<'static>>,
    /// Share of own traces that are recorded.
    pub sample_ratio: f64,
    /// Shape of a log line.
    pub log_format: LogFormat,
    /// Level or directives.
    pub log_level: String,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl Telemetry {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let otlp_endpoint = reader.optional_url("telemetry.otlp_endpoint");
        Self {
            otlp_authorities: authorities(reader, otlp_endpoint.as_ref()),
            otlp_endpoint,
            sample_ratio: reader.ratio("telemetry.sample_ratio"),
            log_format: reader.choice(
                "telemetry.log_format",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
                LogFormat::Text,
            ),
            log_level: log_level(reader),
        }
    }
}

fn authorities(reader: &mut Reader, endpoint: Option<&Url>) -> Vec<CertificateDer<'static>> {
    const KEY: &str = "telemetry.otlp_ca_file";
    let Some(file) = reader.optional_text(KEY) else {
        return Vec::new();
    };
    if endpoint.is_some_and(|endpoint| endpoint.scheme() != "https") {
        reader.problem(KEY, "is set although telemetry.otlp_endpoint is not https");
    }
    certificates(&file).unwrap_or_else(|problem| {
        reader.problem(KEY, problem);
        Vec::new()
    })
}

/// The certificates of a PEM file.
fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| format!("{file} is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("{file} holds no certificate"));
    }
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        let added = roots.add(certificate.clone());
        added.map_err(|error| format!("{file} holds a certificate that cannot be used: {error}"))?;
    }
    Ok(certificates)
}

fn log_level(reader: &mut Reader) -> String {
    const KEY: &str = "telemetry.log_level";
    let level = reader.text(KEY);
    if let Err(problem) = super::log_filter(&level) {
        reader.problem(KEY, problem);
    }
    level
}
