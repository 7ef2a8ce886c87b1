//! `orders list`, `orders show` and `orders resolve`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::{Decision, List, Outcome, Show, deadline, failed, misused, open, text};
use crate::commands::{CommandError, CommandResult, Sources};
use crate::domain::change::SubscriptionAction;
use crate::domain::write::{Order, OrderKind, RequestId, State, WriteId};
use crate::domain::{Error, Scope, SimIds};
use crate::grpc::operator;
use crate::service::Writes;
use crate::service::writes::{Filter, Key};

/// What to do with orders.
#[derive(Debug, Subcommand)]
pub(in crate::commands) enum Command {
    /// List them, newest first.
    List(Orders),
    /// Show one, with its SIM.
    Show(Show),
    /// Record what became of one that needs an operator.
    Resolve(Resolve),
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Orders {
    #[command(flatten)]
    list: List,
    /// Only those in this state; may be repeated.
    #[arg(long, value_enum, conflicts_with = "needs_operator")]
    state: Vec<InState>,
}

/// The states of an order, by the names that metrics and logs use.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum InState {
    Submitting,
    Placed,
    Rejected,
    Unknown,
    NotPlaced,
    NeedsOperator,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Resolve {
    /// The order's id.
    id: String,
    /// What became of it. After not-placed, the next repeat of its request_id
    /// sends it again, and costs money: be sure.
    #[arg(value_enum)]
    outcome: Outcome,
    /// With placed: the subscription that resulted from it.
    #[arg(long, value_name = "ID", required_if_eq("outcome", "placed"))]
    subscription_id: Option<String>,
    #[command(flatten)]
    decision: Decision,
}

pub(in crate::commands) async fn run(sources: Sources, command: Command) -> CommandResult {
    match command {
        Command::List(orders) => list(&sources, orders).await,
        Command::Show(show) => {
            let (by_id, by_request) = show.keys()?;
            let writes = open(&sources).await?;
            let order = find(&writes, by_id, by_request).await.map_err(failed)?;
            print(order, show.json);
            Ok(ExitCode::SUCCESS)
        }
        Command::Resolve(resolve) => self::resolve(&sources, resolve).await,
    }
}

async fn list(sources: &Sources, orders: Orders) -> CommandResult {
    let Orders { list, state } = orders;
    let states = match list.needs_operator {
        true => vec![State::NeedsOperator],
        false => state.into_iter().map(InState::state).collect(),
    };
    let filter = Filter {
        states,
        created_from: list.since,
        ..Filter::default()
    };
    let writes = open(sources).await?;
    let page = writes.list(list.sim.as_ref(), &filter, &Scope::All, None, list.asked_for());
    let found = page.await.map_err(failed)?;
    let head = ["ORDER", "AGE", "STATE", "REASON", "PRODUCT"];
    Ok(list.print(found, head, row, operator::orders))
}

async fn resolve(sources: &Sources, resolve: Resolve) -> CommandResult {
    let Resolve {
        id,
        outcome,
        subscription_id,
        decision,
    } = resolve;
    if outcome == Outcome::NotPlaced && subscription_id.is_some() {
        return Err(CommandError::Usage(
            "--subscription-id: an order that is not-placed has none".to_owned(),
        ));
    }
    let found = outcome.finding(subscription_id.as_ref());
    let (id, resolution, text) = operator::order_decision(&id, &found, &decision.note).map_err(misused)?;
    let writes = open(sources).await?;
    let resolved = writes
        .resolve(id, &resolution, &Scope::All, decision.note(text))
        .await;
    print(resolved.map_err(failed)?, decision.json);
    Ok(ExitCode::SUCCESS)
}

/// The order of an id, which may also be the caller's.
async fn find(writes: &Writes, id: WriteId, request: RequestId) -> Result<Order, Error> {
    let wait = std::time::Duration::ZERO;
    match writes.get(Key::Write(id), wait, &Scope::All, deadline()).await {
        Err(Error::OrderNotFound) => {
            writes
                .get(Key::Request(request), wait, &Scope::All, deadline())
                .await
        }
        found => found,
    }
}

fn print(order: Order, json: bool) {
    match json {
        true => println!("{}", operator::order(order)),
        false => print!("{}", shown(&order, Timestamp::now())),
    }
}

fn row(order: &Order, now: Timestamp) -> [String; 5] {
    [
        order.id.to_string(),
        text::age(order.created_at, now),
        order.state.order_name().to_owned(),
        text::reason(order.failure.as_ref()),
        product(order).to_owned(),
    ]
}

fn product(order: &Order) -> &str {
    match &order.kind {
        OrderKind::Purchase(purchase) => &purchase.terms.product_id,
        OrderKind::Subscription(change) => &change.product_id,
    }
}

fn shown(order: &Order, now: Timestamp) -> String {
    let (kind, line, subscription, reference, list_price) = match &order.kind {
        OrderKind::Purchase(purchase) => (
            "buy",
            &purchase.line,
            purchase.subscription_id.as_deref(),
            purchase.terms.reference.as_str(),
            purchase.list_price.as_ref(),
        ),
        OrderKind::Subscription(change) => (
            match change.terms.action {
                SubscriptionAction::CancelRenewal => "cancel the renewal",
                SubscriptionAction::Terminate => "terminate the subscription",
            },
            &change.line,
            Some(change.terms.subscription_id.as_str()),
            "",
            None,
        ),
    };
    let sim = SimIds {
        msisdn: Some(line.msisdn.clone()),
        iccid: line.iccid.clone(),
    };
    let optional = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut details = text::details(&[
        ("order", order.id.to_string()),
        ("state", order.state.order_name().to_owned()),
        ("why", text::why(order.failure.as_ref())),
        ("what", kind.to_owned()),
        ("product", product(order).to_owned()),
        (
            "list price",
            list_price.map_or_else(String::new, |list| list.price.to_string()),
        ),
        ("SIM", text::sim(&sim)),
        ("subscription", optional(subscription)),
        ("requested", text::moment(order.created_at, now)),
        ("in this state", text::moment(order.updated_at, now)),
        ("next check", text::moment_if(order.next_check_at, now)),
        ("request_id", order.request_id.to_string()),
        ("caller", optional(order.caller.as_deref())),
        ("reference", reference.to_owned()),
        (
            "Transatel's reference",
            optional(order.provider_reference.as_deref()),
        ),
        ("resolved by", text::decision(order.note.as_ref())),
    ]);
    if order.state == State::NeedsOperator {
        details.push_str(&format!(
            "\nLook in Transatel's portal for the SIM, the product and the time, or ask Transatel for the order with\n\
             this id as its transaction reference. Then record what you found:\n\n  \
             orders resolve {id} placed --subscription-id ID --note WHERE --by YOU\n  \
             orders resolve {id} not-placed --note WHERE --by YOU\n",
            id = order.id
        ));
    }
    details
}

impl InState {
    fn state(self) -> State {
        match self {
            Self::Submitting => State::Submitting,
            Self::Placed => State::Done,
            Self::Rejected => State::Rejected,
            Self::Unknown => State::Unknown,
            Self::NotPlaced => State::NotDone,
            Self::NeedsOperator => State::NeedsOperator,
        }
    }
}
