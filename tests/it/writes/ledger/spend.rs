//! Sums of what was ordered, whichever database keeps them.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use transatel_gateway::domain::spend::{Days, Spent, Sum};

use super::*;
use crate::events::event_log::Stage;

suite_of! { crate::events::event_log::Stage:
    purchases_are_summed_by_day_caller_product_and_currency,
    what_may_have_been_bought_is_summed_apart,
    an_order_counts_on_the_day_of_its_last_attempt,
    what_is_forgotten_stays_in_the_sums,
    a_change_of_a_subscription_is_in_no_sum,
}

const DAY: i64 = 86_400;
/// The day of the tests' time.
const TODAY: i64 = 1_800_000_000 / DAY;

/// Caller, product, currency, and whether it is placed.
type Key = (String, String, String, bool);

async fn sums(ledger: &dyn Ledger, first: i64, end: i64) -> BTreeMap<Key, Sum> {
    let key = |spent: &Spent| {
        let currency = spent.currency.map(|currency| currency.code().to_owned());
        (
            spent.caller.clone().unwrap_or_default(),
            spent.product_id.clone(),
            currency.unwrap_or_default(),
            spent.is_placed,
        )
    };
    let spent = ledger.spend(Days { first, end }, None).await.unwrap();
    let sums: BTreeMap<_, _> = spent.iter().map(|spent| (key(spent), spent.sum)).collect();
    assert_eq!(sums.len(), spent.len(), "each once");
    sums
}

/// Caller, product, currency, whether it is placed, and orders, units and nanos.
type Expected<'a> = (&'a str, &'a str, &'a str, bool, (i64, i64, i64));

/// Today's, before and after they were added to the totals.
async fn assert_sums(stage: &Stage, expected: &[Expected<'_>]) {
    let key = |(caller, product, currency, placed, (orders, units, nanos)): &Expected<'_>| {
        let key = (
            (*caller).to_owned(),
            (*product).to_owned(),
            (*currency).to_owned(),
            *placed,
        );
        (key, Sum::new(*orders, *units, *nanos))
    };
    let expected: BTreeMap<_, _> = expected.iter().map(key).collect();
    assert_eq!(sums(&*stage.ledger, TODAY, TODAY + 1).await, expected);
    stage.other.publish().await.unwrap();
    assert_eq!(sums(&*stage.ledger, TODAY, TODAY + 1).await, expected);
}

fn sale(sim: u32, product: &str, caller: Option<&str>, cents: Option<i64>) -> Attempt {
    let mut attempt = wanted(sim, product, request(sim.into()));
    attempt.write.caller = caller.map(Into::into);
    purchase_mut(&mut attempt.write).list_price = cents.and_then(|cents| list_price(cents, 0));
    attempt
}

async fn purchases_are_summed_by_day_caller_product_and_currency(stage: &Stage) {
    let ledger = &*stage.ledger;
    let dollars = |sim| {
        let mut attempt = sale(sim, "P", Some("shop"), Some(100));
        let price = Money::from_cents(Currency::parse("USD").unwrap(), 100);
        let purchase = purchase_mut(&mut attempt.write);
        purchase.list_price.as_mut().unwrap().price = price;
        attempt
    };
    let tomorrow = |sim| {
        let mut attempt = sale(sim, "P", Some("shop"), Some(350));
        attempt.write.created_at = at(DAY);
        attempt.write.updated_at = at(DAY);
        attempt
    };
    for attempt in [
        sale(1, "P", Some("shop"), Some(350)),
        sale(2, "P", Some("shop"), Some(360)),
        sale(3, "Q", Some("shop"), Some(350)),
        sale(4, "P", None, Some(1)),
        sale(5, "P", Some("shop"), None),
        // Names that look alike when they are joined.
        sale(6, "a/b", Some("c"), Some(100)),
        sale(7, "a", Some("b/c"), Some(200)),
        dollars(8),
        tomorrow(9),
    ] {
        let record = begun(ledger, attempt).await;
        settled(ledger, &record, placed(None), 1).await;
    }
    assert_sums(
        stage,
        &[
            ("", "P", "EUR", true, (1, 0, 10_000_000)),
            ("b/c", "a", "EUR", true, (1, 2, 0)),
            ("c", "a/b", "EUR", true, (1, 1, 0)),
            ("shop", "P", "", true, (1, 0, 0)),
            ("shop", "P", "EUR", true, (2, 6, 1_100_000_000)),
            ("shop", "P", "USD", true, (1, 1, 0)),
            ("shop", "Q", "EUR", true, (1, 3, 500_000_000)),
        ],
    )
    .await;
    let both = sums(ledger, TODAY, TODAY + 2).await;
    let key = ("shop".to_owned(), "P".to_owned(), "EUR".to_owned(), true);
    assert_eq!(both[&key], Sum::new(3, 9, 1_600_000_000));
    assert_eq!(sums(ledger, TODAY + 1, TODAY + 2).await.len(), 1);
    assert_eq!(sums(ledger, TODAY - 9, TODAY).await, BTreeMap::new());
}

async fn what_may_have_been_bought_is_summed_apart(stage: &Stage) {
    let ledger = &*stage.ledger;
    let begin = async |sim| begun(ledger, sale(sim, "P", None, Some(100))).await;
    let open = |orders| ("", "P", "EUR", false, (orders, orders, 0));
    let bought = |orders| ("", "P", "EUR", true, (orders, orders, 0));
    let first = begin(1).await;
    assert_sums(stage, &[open(1)]).await;
    // Not sent after all.
    ledger.release(first.write.id, 1, at(1)).await.unwrap();
    assert_sums(stage, &[]).await;
    let unclear = settled(ledger, &begin(2).await, unknown(100), 1).await;
    let stuck = settled(ledger, &begin(3).await, unknown(100), 1).await;
    let stuck = settled(ledger, &stuck, Settlement::NeedsOperator(failure()), 2).await;
    let refused = begin(4).await;
    settled(ledger, &refused, Settlement::Rejected(failure()), 1).await;
    assert_sums(stage, &[open(2)]).await;
    settled(ledger, &stuck, placed(Some("S3")), 3).await;
    assert_sums(stage, &[open(1), bought(1)]).await;
    let gone = settled(ledger, &unclear, NOT_PLACED, 3).await;
    assert_sums(stage, &[bought(1)]).await;
    // Late proof, and once more with its subscription.
    let late = settled(ledger, &gone, placed(None), 4).await;
    assert_sums(stage, &[bought(2)]).await;
    settled(ledger, &late, placed(Some("S2")), 5).await;
    assert_sums(stage, &[bought(2)]).await;
}

async fn an_order_counts_on_the_day_of_its_last_attempt(stage: &Stage) {
    let ledger = &*stage.ledger;
    let mut first = sale(1, "P", None, Some(100));
    first.write.created_at = at(-3 * DAY);
    first.write.updated_at = at(-3 * DAY);
    let record = begun(ledger, first).await;
    let record = settled(ledger, &record, unknown(100), 1).await;
    settled(ledger, &record, NOT_PLACED, 2).await;
    let mut again = repeating(&record, sale(1, "P", None, Some(200)));
    again.generation = 1;
    let record = begun(ledger, again).await;
    assert_sums(stage, &[("", "P", "EUR", false, (1, 2, 0))]).await;
    settled(ledger, &record, placed(None), 3).await;
    assert_sums(stage, &[("", "P", "EUR", true, (1, 2, 0))]).await;
    assert_eq!(sums(ledger, TODAY - 9, TODAY).await, BTreeMap::new());
}

async fn what_is_forgotten_stays_in_the_sums(stage: &Stage) {
    let ledger = &*stage.ledger;
    let record = begun(ledger, sale(1, "P", None, Some(100))).await;
    settled(ledger, &record, placed(Some("S1")), 1).await;
    assert_eq!(ledger.purge(at(2)).await.unwrap(), 1);
    assert_sums(stage, &[("", "P", "EUR", true, (1, 1, 0))]).await;
}

async fn a_change_of_a_subscription_is_in_no_sum(stage: &Stage) {
    use transatel_gateway::domain::change::SubscriptionAction;
    use transatel_gateway::domain::write::{SubscriptionChange, SubscriptionTerms};
    let ledger = &*stage.ledger;
    let mut attempt = wanted(1, "P", request(1));
    attempt.write.kind = Kind::Subscription(SubscriptionChange {
        line: Line {
            msisdn: msisdn(1),
            iccid: None,
        },
        product_id: "P".into(),
        terms: SubscriptionTerms {
            subscription_id: "S1".into(),
            action: SubscriptionAction::Terminate,
        },
    });
    let record = begun(ledger, attempt).await;
    assert_sums(stage, &[]).await;
    settled(ledger, &record, placed(None), 1).await;
    assert_sums(stage, &[]).await;
}

/// Orders of a former release: two bought, one refused, one of another kind.
fn rows_before() -> String {
    let row = |number: u128, act, state| {
        format!(
            "INSERT INTO orders (id, request_id, msisdn, product_id, reference, created_at, updated_at, baseline, \
             sent_by, act, details, state, attempt, checks) VALUES \
             ('{}', '{}', '{}', 'P', '', 1800000000000000, 1800000000000000, '[]', 1800000000000000, '{act}', \
             '{{\"subscription_id\":\"S\"}}', '{state}', 1, 0);",
            next_id(),
            request(number),
            msisdn(u32::try_from(number).unwrap()).as_str(),
        )
    };
    [
        row(1, "buy", "placed"),
        row(2, "buy", "placed"),
        row(3, "buy", "rejected"),
        row(4, "cancel_renewal", "placed"),
    ]
    .concat()
}

macro_rules! orders_before {
    ($connection:ty, $url:expr, $undo:expr) => {{
        let url: String = $url;
        drop(open(StoreUrl::parse(&url).unwrap()).await);
        let mut database = <$connection>::connect(&url).await.unwrap();
        let sql = format!(
            "{} DROP TABLE spend_totals; ALTER TABLE orders DROP COLUMN sent_day; \
             DELETE FROM _sqlx_migrations WHERE version IN (13, 14); {}",
            $undo,
            rows_before()
        );
        database.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
        database.close().await.unwrap();
        let opened = open(StoreUrl::parse(&url).unwrap()).await;
        let key = (String::new(), "P".to_owned(), String::new(), true);
        let expected = BTreeMap::from([(key, Sum::new(2, 0, 0))]);
        assert_eq!(sums(&*opened.ledger, TODAY, TODAY + 1).await, expected);
        // What is settled from now on is added.
        let record = begun(&*opened.ledger, sale(9, "P", None, None)).await;
        settled(&*opened.ledger, &record, placed(None), 1).await;
        opened.events.publish().await.unwrap();
        let sums = sums(&*opened.ledger, TODAY, TODAY + 1).await;
        assert_eq!(sums.into_values().collect::<Vec<_>>(), [Sum::new(3, 0, 0)]);
    }};
}

#[tokio::test]
async fn orders_from_before_there_were_sums_are_in_them_in_a_file() {
    let folder = Folder::new();
    let url = format!("sqlite://{}", folder.file().display());
    orders_before!(SqliteConnection, url, "DROP TRIGGER orders_spent;");
}

#[tokio::test]
async fn orders_from_before_there_were_sums_are_in_them_in_postgresql() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let undo = "DROP FUNCTION begin_order; ALTER TABLE order_changes DROP COLUMN day, DROP COLUMN caller, DROP COLUMN product_id, \
                DROP COLUMN currency, DROP COLUMN units, DROP COLUMN nanos;";
    orders_before!(PgConnection, url, undo);
}
