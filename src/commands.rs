//! The commands of the process.

mod health;
mod ledger;
mod move_ledger;
mod runtime;
#[cfg(feature = "sandbox")]
mod simulated;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::app::{App, Seams};
use crate::config::{self, Config, Loaded, Problems, Sources};
use crate::doctor::{self, Named};
use crate::domain::{Iccid, Msisdn};
use crate::grpc;
use crate::store;
use crate::telemetry::{self, Telemetry};

/// Wrong configuration or command line: `EX_USAGE` of sysexits.
const EXIT_USAGE: u8 = 64;
/// Stopped by a second signal.
const EXIT_SECOND_SIGNAL: u8 = 130;

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
    /// Check the settings and report every problem.
    CheckConfig,
    /// Print the settings that would take effect, without credentials too;
    /// secrets are redacted.
    PrintConfig,
    /// Check the account at the provider without changing anything; the exit
    /// code says whether the gateway can work with it.
    Doctor {
        /// As JSON instead of a table.
        #[arg(long)]
        json: bool,
        /// Check the simulated Transatel instead, with one of its SIMs.
        #[cfg(feature = "sandbox")]
        #[arg(long)]
        sandbox: bool,
        /// An eSIM of the account to read.
        #[arg(long, value_parser = iccid)]
        iccid: Option<Iccid>,
        /// A SIM of the account whose subscriptions are read.
        #[arg(long, value_parser = msisdn)]
        msisdn: Option<Msisdn>,
    },
    /// Write the contract to the standard output as a descriptor set, for tools
    /// that cannot use reflection.
    DescriptorSet {
        /// For code generators: with the options that every protoc knows, and
        /// without the rules of fields.
        #[arg(long)]
        plain: bool,
    },
    /// Show orders and resolve those that need an operator, in the ledger itself:
    /// without a call, beside a gateway that runs.
    #[command(subcommand)]
    Orders(ledger::orders::Command),
    /// Show operations on SIMs and resolve those that need an operator, as
    /// `orders` does.
    #[command(subcommand)]
    Operations(ledger::operations::Command),
    /// Import delivered SIMs into the stock, and count them, as `orders` does.
    #[command(subcommand)]
    Stock(ledger::stock::Command),
    /// Move all orders and events from a SQLite file to an empty PostgreSQL
    /// database. Stop the gateway first.
    MoveLedger(move_ledger::Options),
    /// Ask a running gateway whether it serves; the exit code says so.
    Health(health::Options),
}

/// Runs the command that the process was started with. A command line that
/// cannot be read ends with 64.
pub fn main() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => run(arguments),
        // Help and the version are answers on the standard output.
        Err(answer) => match answer.print() {
            Ok(()) if !answer.use_stderr() => ExitCode::SUCCESS,
            Ok(()) => ExitCode::from(EXIT_USAGE),
            Err(_) => ExitCode::FAILURE,
        },
    }
}

/// Runs the command. Returns the process's exit code: 0, 64 for a wrong
/// configuration or command line, 130 after a second signal, 1 for any other failure.
pub fn run(arguments: Arguments) -> ExitCode {
    run_with(arguments, Seams::default())
}

/// [`run`] with the substitutes of a test that starts a gateway in a process of
/// its own.
pub fn run_with(arguments: Arguments, seams: Seams) -> ExitCode {
    let sources = Sources::from_process(arguments.config);
    let command = arguments.command.unwrap_or(Command::Serve {
        #[cfg(feature = "sandbox")]
        sandbox: false,
    });
    let result = match command {
        #[cfg(feature = "sandbox")]
        Command::Serve { sandbox: true } => runtime::run(simulated::serve(sources)),
        Command::Serve { .. } => runtime::run(serve(sources, seams)),
        #[cfg(feature = "sandbox")]
        Command::Sandbox => runtime::run(simulated::alone(sources)),
        Command::CheckConfig => load(&sources).map(|_| {
            println!("the configuration is valid");
            ExitCode::SUCCESS
        }),
        Command::PrintConfig => print_config(&sources),
        Command::DescriptorSet { plain } => write_contract(plain)
            .map(|()| ExitCode::SUCCESS)
            .map_err(CommandError::other),
        #[cfg(feature = "sandbox")]
        Command::Doctor {
            json,
            sandbox: true,
            iccid,
            msisdn,
        } => runtime::run(simulated::doctor(sources, Named { iccid, msisdn }, json)),
        Command::Doctor {
            json, iccid, msisdn, ..
        } => runtime::run(async move {
            let config = load(&sources)?.config;
            examine(&config, &Named { iccid, msisdn }, json).await
        }),
        Command::Orders(command) => runtime::run(ledger::orders::run(sources, command)),
        Command::Operations(command) => runtime::run(ledger::operations::run(sources, command)),
        Command::Stock(command) => runtime::run(ledger::stock::run(sources, command)),
        Command::MoveLedger(options) => runtime::run(move_ledger::run(sources, options)),
        Command::Health(options) => runtime::run(health::run(options)),
    };
    result.unwrap_or_else(|failure| {
        if !matches!(failure, CommandError::Logged) {
            eprintln!("{failure}");
        }
        failure.code()
    })
}

/// What is missing to start does not keep anybody from looking: it is on the
/// standard error.
fn print_config(sources: &Sources) -> CommandResult {
    let (toml, missing) = config::preview(sources)?;
    print!("{toml}");
    for problem in missing {
        eprintln!("missing, to start with these settings: {problem}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("{0}")]
    Configuration(#[from] Problems),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Other(Box<dyn std::error::Error>),
    /// The log has it.
    #[error("the log says why")]
    Logged,
}

impl CommandError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) | Self::Usage(_) => ExitCode::from(EXIT_USAGE),
            Self::Other(_) | Self::Logged => ExitCode::FAILURE,
        }
    }

    fn other(error: impl Into<Box<dyn std::error::Error>>) -> Self {
        Self::Other(error.into())
    }
}

type CommandResult = Result<ExitCode, CommandError>;

fn write_contract(plain: bool) -> Result<(), io::Error> {
    let contract = if plain {
        grpc::descriptor_set::plain()
    } else {
        grpc::descriptor_set::whole()
    }?;
    io::stdout().write_all(&contract)
}

fn load(sources: &Sources) -> Result<Loaded, CommandError> {
    Ok(config::load(sources)?)
}

async fn serve(sources: Sources, seams: Seams) -> CommandResult {
    let config = load(&sources)?.config;
    let mut signals = Signals::new().map_err(CommandError::other)?;
    let telemetry = telemetry::init(&config.telemetry).map_err(CommandError::other)?;
    let Some(app) = build(config, seams, &telemetry, &mut signals).await? else {
        telemetry.flush().await;
        return Ok(ExitCode::SUCCESS);
    };
    let addresses = app.addresses().map_err(CommandError::other)?;
    tracing::info!(
        grpc = %addresses.grpc,
        admin = %addresses.admin,
        webhook = addresses.webhook.map(tracing::field::display),
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    let outcome = Box::pin(until_stopped(app, signals)).await;
    telemetry.flush().await;
    outcome
}

/// Builds the gateway, for as long as its ledger takes; `None` after a signal.
async fn build(
    config: Config,
    seams: Seams,
    telemetry: &Telemetry,
    signals: &mut Signals,
) -> Result<Option<App>, CommandError> {
    let seams = Seams {
        log_level: Some(telemetry.log_level()),
        ..seams
    };
    let building = Box::pin(App::build_with(config, seams));
    tokio::select! {
        built = building => match built {
            Ok(app) => Ok(Some(app)),
            Err(error) => {
                tracing::error!(%error, "the gateway cannot start");
                Err(CommandError::Logged)
            }
        },
        () = signals.next() => {
            tracing::info!("stopping: nothing was served yet");
            Ok(None)
        }
    }
}

/// Runs until a signal and through the drain; a second signal ends it
/// immediately.
async fn until_stopped(app: App, mut signals: Signals) -> CommandResult {
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
        result = app.run(stopped) => match result {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => {
                tracing::error!(%error, "the gateway stopped on its own");
                Err(CommandError::Logged)
            }
        },
        () = twice => {
            eprintln!("second signal: not waiting for calls in flight");
            Ok(ExitCode::from(EXIT_SECOND_SIGNAL))
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

async fn examine(config: &Config, named: &Named, json: bool) -> CommandResult {
    let mut report = doctor::examine(config, named)
        .await
        .map_err(CommandError::other)?;
    report.store = Some(store::durability(&config.store).await);
    if json {
        println!("{}", report.to_json().map_err(CommandError::other)?);
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
