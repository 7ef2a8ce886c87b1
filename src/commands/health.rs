//! `health`: asks a running gateway as a caller does, by name or by address, with
//! TLS where the gateway has it. Everything about it is options: it needs no
//! configuration, and the gateway that it asks may be another pod.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use http::uri::Authority;
use tokio::time::Instant;

use super::{CommandError, CommandResult};
use crate::grpc::probe::{Question, Refused, Tls, TlsFiles, ask, host};

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
    let question = Question {
        address: options.address,
        service: options.service,
        catalog: options.catalog,
    };
    let refused = loop {
        let attempt = ask(&question, tls.clone()).await;
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
        let name = self.server_name.as_deref().unwrap_or(host(&self.address));
        let files = TlsFiles {
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
        };
        Tls::new(name, &files).map(Some).map_err(CommandError::other)
    }
}
