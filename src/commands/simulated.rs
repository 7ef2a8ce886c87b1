//! The commands that need the simulated provider.

use super::{
    CommandError, CommandResult, ExitCode, Iccid, Msisdn, Named, Seams, Signals, Sources, build, examine,
    load, telemetry, until_stopped,
};
use crate::app::{Addresses, App};
use crate::config::{Config, Trust};
use crate::domain::Pool;
use crate::domain::change::OptionalOperation;
use crate::domain::stock::Delivered;
use transatel_simulator::{Options, Sandbox, Webhook};

const OPTION: &str = "--sandbox";

/// The simulated provider keeps nothing, and neither does the ledger, unless
/// the settings say where to. Events are received on a free port. What becomes
/// of an order without an answer shows in seconds: the provider's own pace is
/// not known, the simulated one's is. The first check may be set to the usual
/// 5 s alone: the window is twice that.
const DEFAULTS: &str = r#"
store.url = "sqlite::memory:"
webhook.listen = "127.0.0.1:0"
orders.send_timeout = "5s"
orders.reconcile_after = "1s"
orders.settle_window = "10s"
"#;

/// The settings of a gateway whose provider is the sandbox at `base_url`.
fn point_at(sources: &mut Sources, base_url: &str, options: &Options) {
    sources.defaults = Some(DEFAULTS);
    let mut set = |key: &str, value: &str| sources.options.push((key.into(), value.into(), OPTION));
    set("transatel.provider", "simulator");
    set("transatel.base_url", base_url);
    set("transatel.client_id", &options.client_id);
    set("transatel.client_secret", &options.client_secret);
    set("transatel.cos", &options.cos);
    set("transatel.mvno_ref", &options.mvno_ref);
    set("transatel.rate_plan", &options.rate_plan);
    set("transatel.empty_label", "clears");
    // Everything is enabled.
    let operations = OptionalOperation::ALL.map(OptionalOperation::name).join(",");
    set("transatel.enabled_operations", &operations);
    // No load balancer has to notice that this replica shuts down.
    set("shutdown.propagation_delay", "0s");
}

/// Starts the sandbox on the configured address and points the settings at it.
async fn start(sources: &mut Sources) -> Result<Sandbox, CommandError> {
    let options = Options::default();
    point_at(sources, "http://127.0.0.1", &options);
    let listen = load(sources)?.config.sandbox.listen;
    let sandbox = Sandbox::start(Options {
        listen,
        ..options.clone()
    })
    .await
    .map_err(|error| CommandError::other(format!("cannot listen on {listen} (sandbox.listen): {error}")))?;
    let control = sandbox.control();
    control.configure(|settings| settings.follow_ups.enabled = true);
    point_at(sources, &sandbox.base_url(), &options);
    Ok(sandbox)
}

pub(super) async fn serve(mut sources: Sources) -> CommandResult {
    let mut signals = Signals::new().map_err(CommandError::other)?;
    let sandbox = start(&mut sources).await?;
    let mut config = load(&sources)?.config;
    let telemetry = telemetry::init(&config.telemetry).map_err(CommandError::other)?;
    let secret = uuid::Uuid::new_v4().to_string();
    let own = trust(&mut config, &secret);
    let path = config.webhook.path.clone();
    let connect = how_to_connect(&config);
    let Some(app) = build(config, Seams::default(), &telemetry, &mut signals).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let addresses = app.addresses().map_err(CommandError::other)?;
    if let (true, Some(address)) = (own, addresses.webhook) {
        let webhook = Webhook::new(format!("http://{address}{path}"), secret);
        let set = sandbox.control().set_webhook(Some(webhook));
        set.map_err(|error| CommandError::other(error.to_string()))?;
    }
    deliver(&app, &sandbox).await?;
    welcome(&addresses, &sandbox, connect);
    let outcome = Box::pin(until_stopped(app, signals)).await;
    sandbox.stop().await;
    telemetry.flush().await;
    outcome
}

/// The pool of the stock that the simulator delivers SIMs to.
const POOL: &str = "sandbox";

/// Adds a delivery to the stock, unless an earlier start has.
async fn deliver(app: &App, sandbox: &Sandbox) -> Result<(), CommandError> {
    let cards = sandbox.control().delivery().into_iter();
    let sims = cards
        .filter_map(|sim| Iccid::parse(&sim.iccid))
        .map(|iccid| Delivered {
            iccid,
            // As in a real delivery: the gateway finds it.
            msisdn: None,
        });
    let pool = Pool::parse(POOL).ok_or_else(|| CommandError::other("the name of the pool"))?;
    let imported = app.stock().import(&pool, sims.collect()).await;
    imported.map(|_| ()).map_err(CommandError::other)
}

/// The options that grpcurl needs to connect.
fn how_to_connect(config: &Config) -> &'static str {
    match &config.grpc.tls {
        None => "-plaintext",
        Some(tls) if tls.client_ca_file.is_none() => "-cacert CA.crt",
        Some(_) => "-cacert CA.crt -cert OWN.crt -key OWN.key",
    }
}

/// Lets the gateway accept the simulator's events, unless the settings name
/// another secret.
fn trust(config: &mut Config, secret: &str) -> bool {
    let own = !config.webhook.is_on();
    if own {
        config.webhook.trust = Trust::Secret(secret.into());
        config.events.expected = true;
    }
    own
}

pub(super) async fn alone(mut sources: Sources) -> CommandResult {
    let mut signals = Signals::new().map_err(CommandError::other)?;
    let sandbox = start(&mut sources).await?;
    let options = Options::default();
    println!("simulated Transatel on {}", sandbox.base_url());
    println!(
        "  client id {:?}, client secret {:?}",
        options.client_id, options.client_secret
    );
    println!("  COS {:?}, MVNO {:?}", options.cos, options.mvno_ref);
    println!("  control: curl {}/__sandbox/", sandbox.base_url());
    signals.next().await;
    sandbox.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// The first SIM of the simulated stock, whose history is scripted.
const SIM: (&str, &str) = ("8988247000000000019", "882470000000001");

pub(super) async fn doctor(mut sources: Sources, named: Named, json: bool) -> CommandResult {
    // Besides a gateway that may be running here.
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

/// Prints the addresses and calls to try. The calls work as pasted.
fn welcome(addresses: &Addresses, sandbox: &Sandbox, connect: &str) {
    let Addresses { grpc, admin, .. } = addresses;
    println!(
        "transatel-gateway {} against a simulated Transatel",
        env!("CARGO_PKG_VERSION")
    );
    println!("  gRPC     {grpc}");
    println!("  admin    http://{admin}/metrics");
    println!("  sandbox  {}/__sandbox/", sandbox.base_url());
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

const FOLLOW: &str = "grpcurl -plaintext -d '{\"start\":\"STREAM_START_EARLIEST\"}' {address} \
                      connectivity.v1.Events/StreamEvents";
const ATTACH: &str = "curl -H 'content-type: application/json' -d '{\"country\":\"FR\"}' \
                      {sandbox}/__sandbox/sims/882470000000004/attach";

/// The calls that the welcome prints; a test makes each.
pub(super) const TRY: [&str; 3] = [
    "grpcurl -plaintext {address} list",
    "grpcurl -plaintext -d '{\"countries\":[\"FR\"],\"order_by\":\"price\",\"page_size\":2}' {address} \
     connectivity.v1.Catalog/ListProducts",
    "grpcurl -plaintext -d '{\"sim\":{\"msisdn\":\"882470000000001\"},\"product_ids\":\
     [\"WW_901O_STACK_ONEOFF_FRANCE_1GB_7D\"]}' {address} connectivity.v1.Catalog/CheckEligibility",
];
