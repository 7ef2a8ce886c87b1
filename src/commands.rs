//! What the process can be told to do.

mod move_ledger;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::app::App;
use crate::config::{self, Config, Loaded, Problems, Sources};
use crate::doctor::{self, Named};
use crate::domain::{Iccid, Msisdn};
use crate::telemetry;

/// Wrong configuration: `EX_USAGE` of sysexits.
const EXIT_CONFIGURATION: u8 = 64;
/// Ended by a second signal.
const EXIT_IMPATIENT: u8 = 130;

/// A gRPC gateway to Transatel's travel eSIM offer.
#[derive(Debug, Parser)]
#[command(name = "transatel-gateway", version)]
pub struct Arguments {
    /// Settings in TOML. The environment (GATEWAY__SECTION__KEY) overrides it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve callers (the default command).
    Serve {
        /// Against a simulated Transatel in the same process: no account
        /// needed, nothing costs money.
        #[cfg(feature = "sandbox")]
        #[arg(long)]
        sandbox: bool,
    },
    /// Run the simulated Transatel alone.
    #[cfg(feature = "sandbox")]
    Sandbox,
    /// Check the settings and name every problem.
    CheckConfig,
    /// Print the settings that would take effect; secrets are redacted.
    PrintConfig,
    /// Check the account at the provider without changing anything; the exit
    /// code says whether the gateway can do its job with it.
    Doctor {
        /// As JSON instead of a table.
        #[arg(long)]
        json: bool,
        /// Check the simulated Transatel instead, with one of its SIMs.
        #[cfg(feature = "sandbox")]
        #[arg(long)]
        sandbox: bool,
        /// An eSIM of the account, to be read.
        #[arg(long, value_parser = iccid)]
        iccid: Option<Iccid>,
        /// A SIM of the account, whose bundles are read.
        #[arg(long, value_parser = msisdn)]
        msisdn: Option<Msisdn>,
    },
    /// Move everything that is kept, orders and events, from a SQLite file to
    /// an empty PostgreSQL database. Stop the gateway first.
    MoveLedger(move_ledger::Options),
    /// Ask a running gateway whether it serves; the exit code says so.
    Health {
        /// Where it listens.
        #[arg(long, default_value = "127.0.0.1:50051")]
        address: SocketAddr,
        /// Full name of a service; empty for the whole gateway.
        #[arg(long, default_value = "")]
        service: String,
    },
}

/// Does what the arguments say. Returns the process's exit code: 0, 64 for a
/// wrong configuration, 130 after a second signal, 1 for any other failure.
pub fn run(arguments: Arguments) -> ExitCode {
    let sources = Sources::from_process(arguments.config);
    let command = arguments.command.unwrap_or(Command::Serve {
        #[cfg(feature = "sandbox")]
        sandbox: false,
    });
    let result = match command {
        #[cfg(feature = "sandbox")]
        Command::Serve { sandbox: true } => in_runtime(simulated::serve(sources)),
        Command::Serve { .. } => in_runtime(serve(sources)),
        #[cfg(feature = "sandbox")]
        Command::Sandbox => in_runtime(simulated::alone(sources)),
        Command::CheckConfig => load(&sources).map(|_| {
            println!("the configuration is valid");
            ExitCode::SUCCESS
        }),
        Command::PrintConfig => load(&sources).map(|loaded| {
            print!("{}", loaded.to_toml());
            ExitCode::SUCCESS
        }),
        #[cfg(feature = "sandbox")]
        Command::Doctor {
            json,
            sandbox: true,
            iccid,
            msisdn,
        } => in_runtime(simulated::doctor(sources, Named { iccid, msisdn }, json)),
        Command::Doctor {
            json, iccid, msisdn, ..
        } => in_runtime(async move {
            let config = load(&sources)?.config;
            examine(&config, &Named { iccid, msisdn }, json).await
        }),
        Command::MoveLedger(options) => in_runtime(move_ledger::run(sources, options)),
        Command::Health { address, service } => in_runtime(health(address, service)),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("{failure}");
        failure.code()
    })
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Configuration(#[from] Problems),
    #[error("{0}")]
    Other(Box<dyn std::error::Error>),
}

impl Failure {
    fn code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(EXIT_CONFIGURATION),
            Self::Other(_) => ExitCode::FAILURE,
        }
    }

    fn other(error: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self::Other(error.into())
    }
}

type Outcome = Result<ExitCode, Failure>;

/// A thread for blocking work ends after this time without any. What work
/// like indexing the catalog leaves behind in it goes back with it.
const BLOCKING_IDLE: Duration = Duration::from_secs(1);

fn in_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(BLOCKING_IDLE)
        .build()
        .map_err(Failure::other)?;
    runtime.block_on(work)
}

fn load(sources: &Sources) -> Result<Loaded, Failure> {
    Ok(config::load(sources)?)
}

async fn serve(sources: Sources) -> Outcome {
    let config = load(&sources)?.config;
    let signals = Signals::new().map_err(Failure::other)?;
    let telemetry = telemetry::init(&config.telemetry).map_err(Failure::other)?;
    let app = App::build(config).await.map_err(Failure::other)?;
    let app = app.with_log_level(telemetry.log_level());
    let addresses = app.addresses().map_err(Failure::other)?;
    tracing::info!(
        grpc = %addresses.grpc,
        admin = %addresses.admin,
        webhook = addresses.webhook.map(tracing::field::display),
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    let outcome = until_stopped(app, signals).await;
    telemetry.flush().await;
    outcome
}

/// Runs until a signal and through the drain; a second signal ends it at
/// once.
async fn until_stopped(app: App, mut signals: Signals) -> Outcome {
    let (stop, stopped) = oneshot::channel::<()>();
    let twice = async {
        signals.next().await;
        drop(stop);
        signals.next().await;
    };
    let stopped = async {
        let _ = stopped.await;
    };
    tokio::select! {
        result = app.run(stopped) => result.map(|()| ExitCode::SUCCESS).map_err(Failure::other),
        () = twice => {
            eprintln!("second signal: not waiting for calls in flight");
            Ok(ExitCode::from(EXIT_IMPATIENT))
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn examine(config: &Config, named: &Named, json: bool) -> Outcome {
    let report = doctor::examine(config, named).await.map_err(Failure::other)?;
    if json {
        println!("{}", report.to_json().map_err(Failure::other)?);
    } else {
        print!("{report}");
        if named.iccid.is_none() || named.msisdn.is_none() {
            println!("give --iccid and --msisdn of a SIM of the account to check more");
        }
    }
    Ok(if report.is_able() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn iccid(text: &str) -> Result<Iccid, &'static str> {
    Iccid::parse(text).ok_or("13 to 20 digits and nothing else")
}

fn msisdn(text: &str) -> Result<Msisdn, &'static str> {
    Msisdn::parse_international(text).ok_or("6 to 15 digits, with or without a leading +")
}

async fn health(address: SocketAddr, service: String) -> Outcome {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;

    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .map_err(Failure::other)?
        .connect_timeout(HEALTH_WITHIN)
        .timeout(HEALTH_WITHIN)
        .connect()
        .await
        .map_err(|error| Failure::other(format!("cannot connect to {address}: {error}")))?;
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest { service })
        .await
        .map_err(|status| Failure::other(format!("{}: {}", status.code(), status.message())))?;
    let status = answer.into_inner().status();
    println!("{}", status.as_str_name());
    Ok(if status == ServingStatus::Serving {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A gateway that does not answer a health check in this time is not healthy.
const HEALTH_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

#[cfg(feature = "sandbox")]
mod simulated {
    //! The commands that need the simulated provider.

    use super::{
        App, ExitCode, Failure, Iccid, Msisdn, Named, Outcome, Signals, Sources, examine, load, telemetry,
        until_stopped,
    };
    use crate::app::Addresses;
    use crate::config::{Config, Trust};
    use crate::domain::act::Optional;
    use crate::sandbox::{Options, Sandbox, Webhook};

    const OPTION: &str = "--sandbox";

    /// The simulated provider forgets everything, and so does the ledger,
    /// unless it is told where to remember.
    /// Its events come to a free port.
    const FORGETFUL: &str = "store.url = \"sqlite::memory:\"\nwebhook.listen = \"127.0.0.1:0\"";

    /// The settings of a gateway whose provider is the sandbox at `base_url`.
    fn point_at(sources: &mut Sources, base_url: &str, options: &Options) {
        sources.defaults = Some(FORGETFUL);
        let mut set = |key: &str, value: &str| sources.options.push((key.into(), value.into(), OPTION));
        set("transatel.base_url", base_url);
        set("transatel.client_id", &options.client_id);
        set("transatel.client_secret", &options.client_secret);
        set("transatel.cos", &options.cos);
        set("transatel.mvno_ref", &options.mvno_ref);
        set("transatel.rate_plan", &options.rate_plan);
        // Everything can be tried here.
        let operations = Optional::ALL.map(Optional::name).join(",");
        set("transatel.enabled_operations", &operations);
        // Nobody has to learn that this replica is going away.
        set("shutdown.propagation_delay", "0s");
    }

    /// Starts the sandbox where the settings say and points them at it.
    async fn start(sources: &mut Sources) -> Result<Sandbox, Failure> {
        let options = Options::default();
        point_at(sources, "http://127.0.0.1", &options);
        let listen = load(sources)?.config.sandbox.listen;
        let sandbox = Sandbox::start(Options {
            listen,
            ..options.clone()
        })
        .await
        .map_err(|error| Failure::other(format!("cannot listen on {listen} (sandbox.listen): {error}")))?;
        let control = sandbox.control();
        control.configure(|settings| settings.follow_ups.enabled = true);
        point_at(sources, &sandbox.base_url(), &options);
        Ok(sandbox)
    }

    pub(super) async fn serve(mut sources: Sources) -> Outcome {
        let signals = Signals::new().map_err(Failure::other)?;
        let sandbox = start(&mut sources).await?;
        let mut config = load(&sources)?.config;
        let telemetry = telemetry::init(&config.telemetry).map_err(Failure::other)?;
        let secret = uuid::Uuid::new_v4().to_string();
        let own = trust(&mut config, &secret);
        let path = config.webhook.path.clone();
        let connect = how_to_connect(&config);
        let app = App::build(config).await.map_err(Failure::other)?;
        let app = app.with_log_level(telemetry.log_level());
        let addresses = app.addresses().map_err(Failure::other)?;
        if let (true, Some(address)) = (own, addresses.webhook) {
            let webhook = Webhook::new(format!("http://{address}{path}"), secret);
            let told = sandbox.control().set_webhook(Some(webhook));
            told.map_err(|error| Failure::other(error.to_string()))?;
        }
        welcome(&addresses, &sandbox, connect);
        let outcome = until_stopped(app, signals).await;
        sandbox.stop().await;
        telemetry.flush().await;
        outcome
    }

    /// What grpcurl needs to connect.
    fn how_to_connect(config: &Config) -> &'static str {
        match &config.grpc.tls {
            None => "-plaintext",
            Some(tls) if tls.client_ca_file.is_none() => "-cacert CA.crt",
            Some(_) => "-cacert CA.crt -cert OWN.crt -key OWN.key",
        }
    }

    /// Lets the gateway take the simulator's events in, unless the settings
    /// say whose it takes.
    fn trust(config: &mut Config, secret: &str) -> bool {
        let own = !config.webhook.is_on();
        if own {
            config.webhook.trust = Trust::Secret(secret.into());
            config.events.expected = true;
        }
        own
    }

    pub(super) async fn alone(mut sources: Sources) -> Outcome {
        let mut signals = Signals::new().map_err(Failure::other)?;
        let sandbox = start(&mut sources).await?;
        let options = Options::default();
        println!("simulated Transatel on {}", sandbox.base_url());
        println!(
            "  client id {:?}, client secret {:?}",
            options.client_id, options.client_secret
        );
        println!("  COS {:?}, MVNO {:?}", options.cos, options.mvno_ref);
        println!("  control: curl {}/__sandbox/counters", sandbox.base_url());
        signals.next().await;
        sandbox.stop().await;
        Ok(ExitCode::SUCCESS)
    }

    /// The first SIM of the simulated stock, which has a story of its own.
    const SIM: (&str, &str) = ("8988247000000000019", "882470000000001");

    pub(super) async fn doctor(mut sources: Sources, named: Named, json: bool) -> Outcome {
        // Beside a gateway that may run here already.
        sources
            .options
            .push(("sandbox.listen".into(), "127.0.0.1:0".into(), OPTION));
        let sandbox = start(&mut sources).await?;
        let config = load(&sources)?.config;
        let named = Named {
            iccid: named.iccid.or_else(|| Iccid::parse(SIM.0)),
            msisdn: named.msisdn.or_else(|| Msisdn::parse(SIM.1)),
        };
        let outcome = examine(&config, &named, json).await;
        sandbox.stop().await;
        outcome
    }

    /// Says where to look and what to try. The calls work as pasted.
    fn welcome(addresses: &Addresses, sandbox: &Sandbox, connect: &str) {
        let Addresses { grpc, admin, .. } = addresses;
        println!(
            "transatel-gateway {} against a simulated Transatel",
            env!("CARGO_PKG_VERSION")
        );
        println!("  gRPC     {grpc}");
        println!("  admin    http://{admin}/metrics");
        println!("  sandbox  {}/__sandbox/counters", sandbox.base_url());
        println!();
        let pasted = |call: &str| {
            call.replace("-plaintext", connect)
                .replace("{address}", &grpc.to_string())
        };
        println!("Try:");
        for call in TRY {
            println!("  {}", pasted(call));
        }
        println!();
        println!("Follow what happens to a SIM, and let it attach to a network meanwhile:");
        println!("  {}", pasted(FOLLOW));
        println!("  {}", ATTACH.replace("{sandbox}", &sandbox.base_url()));
        println!();
        println!("Ctrl-C stops it.");
    }

    const FOLLOW: &str = "grpcurl -plaintext -d '{\"start\":\"START_EARLIEST\"}' {address} \
                          connectivity.v1.Events/StreamEvents";
    const ATTACH: &str = "curl -H 'content-type: application/json' -d '{\"country\":\"FR\"}' \
                          {sandbox}/__sandbox/sims/882470000000004/attach";

    /// The calls that the welcome shows; a test makes each.
    pub(super) const TRY: [&str; 3] = [
        "grpcurl -plaintext {address} list",
        "grpcurl -plaintext -d '{\"countries\":[\"FR\"],\"order_by\":\"price\",\"page_size\":2}' {address} \
         connectivity.v1.Catalog/ListProducts",
        "grpcurl -plaintext -d '{\"sim\":{\"msisdn\":\"882470000000001\"},\"product_ids\":\
         [\"WW_901O_STACK_ONEOFF_FRANCE_1GB_7D\"]}' {address} connectivity.v1.Catalog/CheckEligibility",
    ];
}
