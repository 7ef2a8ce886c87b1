//! Limits of what may be ordered, whichever database keeps the orders.

use futures_util::future::join_all;
use transatel_gateway::domain::limits::{CallerLimits, Limit, Limits, Refusal};
use transatel_gateway::domain::spend::{Days, Spent, Sum};

use super::*;

suite! {
    an_order_beyond_a_limit_is_not_begun,
    what_may_have_been_bought_counts_until_it_is_known,
    an_order_that_is_sent_again_is_limited_too,
    new_orders_are_counted_for_a_minute,
    all_callers_together_have_a_limit,
    many_at_once_on_all_replicas_never_exceed_a_limit,
}

const DAY: i64 = 86_400;

fn euros(units: i64) -> Money {
    Money::from_cents(Currency::parse("EUR").unwrap(), units * 100)
}

fn limits(limits: CallerLimits) -> Option<Arc<Limits>> {
    Some(Arc::new(Limits {
        caller: limits,
        account: Vec::new(),
    }))
}

fn spend(units: i64) -> CallerLimits {
    CallerLimits {
        spend_per_day: vec![euros(units)],
        ..CallerLimits::default()
    }
}

/// For one euro.
fn sale(sim: u32, caller: &str, limits: &Option<Arc<Limits>>) -> Attempt {
    let mut attempt = wanted(sim, "P", request(sim.into()));
    attempt.write.caller = (!caller.is_empty()).then(|| caller.to_owned());
    attempt.limits = limits.clone();
    purchase_mut(&mut attempt.write).list_price = list_price(100, 0);
    attempt
}

async fn refused(ledger: &dyn Ledger, attempt: Attempt) -> Refusal {
    let id = attempt.write.id;
    let begun = ledger.begin(attempt).await.unwrap();
    let Begun::Limited(refusal) = begun else {
        panic!("not limited: {begun:?}");
    };
    assert_eq!(found(ledger, id).await, None, "nothing is kept");
    refusal
}

fn reached(refusal: Refusal) -> Limit {
    match refusal {
        Refusal::Reached { limit, .. } => limit,
        Refusal::NotPriced => panic!("not priced"),
    }
}

async fn an_order_beyond_a_limit_is_not_begun(stage: &Stage) {
    let ledger = &*stage.ledger;
    let two = limits(spend(2));
    for sim in 1..3 {
        let record = begun(ledger, sale(sim, "shop", &two)).await;
        settled(ledger, &record, placed(None), 1).await;
    }
    let refusal = refused(ledger, sale(3, "shop", &two)).await;
    // The tests' time is at 8 in the morning.
    let expected = Refusal::Reached {
        limit: Limit::SpendPerDay(euros(2)),
        retry_after: std::time::Duration::from_secs(16 * 3_600),
    };
    assert_eq!(refusal, expected);
    // A request that is known is answered, whatever the limit.
    let known = Attempt {
        write: Write {
            id: next_id(),
            ..sale(2, "shop", &two).write
        },
        ..sale(2, "shop", &two)
    };
    assert!(matches!(ledger.begin(known).await.unwrap(), Begun::Known(_)));
    // Others have their own.
    for caller in ["other", ""] {
        let sim = 4 + caller.len() as u32;
        begun(ledger, sale(sim, caller, &limits(spend(1)))).await;
        let refusal = refused(ledger, sale(sim + 10, caller, &limits(spend(1)))).await;
        assert_eq!(reached(refusal), Limit::SpendPerDay(euros(1)), "{caller:?}");
    }
    let orders = limits(CallerLimits {
        orders_per_day: Some(2),
        ..CallerLimits::default()
    });
    let refusal = refused(ledger, sale(5, "shop", &orders)).await;
    assert_eq!(reached(refusal), Limit::OrdersPerDay(2));
    // The next day is another one.
    let mut tomorrow = sale(6, "shop", &two);
    tomorrow.write.created_at = at(DAY);
    tomorrow.write.updated_at = at(DAY);
    begun(ledger, tomorrow).await;
    // What has no price cannot be compared.
    let mut unpriced = sale(7, "third", &two);
    purchase_mut(&mut unpriced.write).list_price = None;
    assert_eq!(refused(ledger, unpriced).await, Refusal::NotPriced);
    // Without limits everything goes.
    begun(ledger, sale(8, "shop", &None)).await;
}

async fn what_may_have_been_bought_counts_until_it_is_known(stage: &Stage) {
    let ledger = &*stage.ledger;
    let one = limits(spend(1));
    let record = begun(ledger, sale(1, "shop", &one)).await;
    refused(ledger, sale(2, "shop", &one)).await;
    let record = settled(ledger, &record, unknown(100), 1).await;
    refused(ledger, sale(2, "shop", &one)).await;
    let record = settled(ledger, &record, Settlement::NeedsOperator(failure()), 2).await;
    refused(ledger, sale(2, "shop", &one)).await;
    settled(ledger, &record, NOT_PLACED, 3).await;
    let record = begun(ledger, sale(2, "shop", &one)).await;
    settled(ledger, &record, Settlement::Rejected(failure()), 4).await;
    let record = begun(ledger, sale(3, "shop", &one)).await;
    ledger.release(record.write.id, 1, at(5)).await.unwrap();
    let record = begun(ledger, sale(4, "shop", &one)).await;
    settled(ledger, &record, placed(None), 6).await;
    refused(ledger, sale(5, "shop", &one)).await;
}

async fn an_order_that_is_sent_again_is_limited_too(stage: &Stage) {
    let ledger = &*stage.ledger;
    let one = limits(spend(1));
    let record = begun(ledger, sale(1, "shop", &one)).await;
    let record = settled(ledger, &record, unknown(100), 1).await;
    let record = settled(ledger, &record, NOT_PLACED, 2).await;
    let other = begun(ledger, sale(2, "shop", &one)).await;
    let mut again = repeating(&record, sale(1, "shop", &one));
    again.generation = 1;
    let answer = ledger.begin(again.clone()).await.unwrap();
    assert!(matches!(answer, Begun::Limited(_)), "{answer:?}");
    assert_eq!(found(ledger, record.write.id).await, Some(record));
    ledger.release(other.write.id, 1, at(3)).await.unwrap();
    begun(ledger, again).await;
}

async fn new_orders_are_counted_for_a_minute(stage: &Stage) {
    let ledger = &*stage.ledger;
    let two = limits(CallerLimits {
        orders_per_minute: Some(2),
        ..CallerLimits::default()
    });
    let sale_at = |sim, caller, second| {
        let mut attempt = sale(sim, caller, &two);
        attempt.write.id = WriteId::at(at(second));
        attempt.write.created_at = at(second);
        attempt.write.updated_at = at(second);
        attempt
    };
    for (sim, caller) in [(10, "shop"), (20, "")] {
        let record = begun(ledger, sale_at(sim, caller, 0)).await;
        // Whatever becomes of them.
        settled(ledger, &record, Settlement::Rejected(failure()), 1).await;
        begun(ledger, sale_at(sim + 1, caller, 20)).await;
        let refusal = refused(ledger, sale_at(sim + 2, caller, 45)).await;
        let expected = Refusal::Reached {
            limit: Limit::OrdersPerMinute(2),
            retry_after: std::time::Duration::from_secs(15),
        };
        assert_eq!(refusal, expected);
        begun(ledger, sale_at(sim + 2, caller, 60)).await;
    }
}

async fn all_callers_together_have_a_limit(stage: &Stage) {
    let ledger = &*stage.ledger;
    let account = Some(Arc::new(Limits {
        caller: CallerLimits::default(),
        account: vec![euros(2)],
    }));
    begun(ledger, sale(1, "shop", &account)).await;
    begun(ledger, sale(2, "", &account)).await;
    let refusal = refused(ledger, sale(3, "other", &account)).await;
    assert_eq!(reached(refusal), Limit::AccountSpendPerDay(euros(2)));
}

/// Waves of orders, each of which ends in its own way: what is placed or may be
/// never exceeds the limit, and in the end it is used up.
async fn many_at_once_on_all_replicas_never_exceed_a_limit(stage: &Stage) {
    let account = Limits {
        caller: CallerLimits::default(),
        account: vec![euros(24)],
    };
    for (caller, limit, most) in [("shop", limits(spend(12)), 12), ("", Some(Arc::new(account)), 24)] {
        let first = 1_000 * caller.len() as u32;
        for wave in 0..6_u32 {
            let sims = (0..30).map(|number| first + wave * 30 + number);
            let attempts = sims.map(|sim| {
                let replica = if sim % 2 == 0 { &stage.ledger } else { &stage.other };
                replica.begin(sale(sim, caller, &limit))
            });
            let answers = join_all(attempts).await;
            let spent = stage.ledger.spend(Days::of(at(0)), None).await.unwrap();
            let mut sum = Sum::default();
            let counts = |spent: &&Spent| caller.is_empty() || spent.caller.as_deref() == Some(caller);
            spent.iter().filter(counts).for_each(|part| sum.add(part.sum));
            assert_eq!(sum.orders, most, "wave {wave} of {caller:?}");
            for (number, answer) in (wave..).zip(answers) {
                let record = match answer.unwrap() {
                    Begun::Yes(record) => record,
                    Begun::Limited(_) => continue,
                    other => panic!("{other:?}"),
                };
                match number % 4 {
                    0 => drop(settled(&*stage.other, &record, placed(None), 1).await),
                    1 => drop(settled(&*stage.other, &record, unknown(100), 1).await),
                    2 => drop(settled(&*stage.other, &record, Settlement::Rejected(failure()), 1).await),
                    _ => drop(stage.other.release(record.write.id, 1, at(1)).await.unwrap()),
                }
            }
        }
    }
}
