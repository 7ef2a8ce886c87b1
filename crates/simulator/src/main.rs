//! A simulated Transatel in a process of its own: what the image
//! `transatel-gateway-simulator` runs. It keeps everything in memory; a restart
//! begins with the account that it began with.

use std::{env, fs, io, net::SocketAddr, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};
use transatel_simulator::{Options, Sandbox, Webhook};

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
    let options = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the simulator cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn options() -> Result<Options, String> {
    const LISTEN: &str = "SIMULATOR_LISTEN";
    const URL: &str = "SIMULATOR_WEBHOOK_URL";
    const SECRET: &str = "SIMULATOR_WEBHOOK_SECRET_FILE";
    let listen = setting(LISTEN).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listen: SocketAddr = listen
        .parse()
        .map_err(|_| format!("{LISTEN}: {listen:?} is not ADDRESS:PORT"))?;
    let webhook = match (setting(URL), setting(SECRET)) {
        (None, None) => None,
        (Some(url), Some(file)) => {
            let secret = fs::read_to_string(&file)
                .map_err(|error| format!("{SECRET}: cannot read {file}: {error}"))?;
            Some(Webhook::new(url, secret.trim_end_matches(['\r', '\n'])))
        }
        _ => return Err(format!("{URL} and {SECRET} are set both, or neither")),
    };
    Ok(Options {
        listen,
        webhook,
        ..Options::default()
    })
}

async fn serve(options: Options) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let reported = options.webhook.is_some();
    let sandbox = Sandbox::start(options).await?;
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
