//! A simulated Transatel in a process of its own: what the image
//! `transatel-gateway-simulator` runs. It keeps everything in memory; a restart
//! begins with the account that it began with.

use std::{env, io, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};
use transatel_simulator::{Options, Sandbox};

const USAGE: &str = "\
A simulated Transatel: nothing here costs money or reaches a SIM, and everything is in memory.

Settings are in the environment:
  SIMULATOR_LISTEN               address and port (127.0.0.1:8080)
  SIMULATOR_WEBHOOK_URL          where events are posted; without it they are not
  SIMULATOR_WEBHOOK_SECRET_FILE  file with the secret that they are signed with
";

/// Wrong settings or command line: `EX_USAGE` of sysexits.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        None => {}
        Some("--version") => {
            println!("transatel-simulator {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some("--help") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            eprint!("{USAGE}");
            return ExitCode::from(EXIT_USAGE);
        }
    }
    let options = match Options::from_environment() {
        Ok(options) => options,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the simulator cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(options));
    // Otherwise the process would wait for a DNS server that does not answer,
    // while the receiver's name is looked up.
    runtime.shutdown_background();
    served
}

async fn serve(options: Options) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let reported = options.webhook.is_some();
    let listen = options.listen;
    let sandbox = Sandbox::start(options).await.map_err(|error| {
        let text = format!("cannot listen on {listen} (SIMULATOR_LISTEN): {error}");
        io::Error::new(error.kind(), text)
    })?;
    sandbox
        .control()
        .configure(|settings| settings.follow_ups.enabled = true);
    println!(
        "transatel-simulator {} on {}: a simulated Transatel, nothing costs money or reaches a SIM; \
         all state is in memory and ends with this process; events are {}",
        env!("CARGO_PKG_VERSION"),
        sandbox.address(),
        if reported {
            "posted to the webhook"
        } else {
            "not posted"
        },
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.stop().await;
    Ok(())
}
