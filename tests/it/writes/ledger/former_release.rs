//! Rows as the release before the kinds of writes wrote them, with its own
//! statements: this release reads them as what they were.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use transatel_gateway::domain::change::{Labels, SimAction, SubscriptionAction};
use transatel_gateway::domain::sim_operation::{self, SimOperation};

use super::*;

/// `act`, `details`, product, card, state, subscription.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const ROWS: [Row; 7] = [
    ("'buy'", "NULL", "P", "NULL", "placed", "'SUB-1'"),
    (
        "'buy'",
        "NULL",
        "P",
        "'8988247000000000019'",
        "not_placed",
        "NULL",
    ),
    (
        "'cancel_renewal'",
        r#"'{"subscription_id":"SUB-9"}'"#,
        "P",
        "NULL",
        "placed",
        "NULL",
    ),
    (
        "'terminate_subscription'",
        r#"'{"subscription_id":"SUB-8"}'"#,
        "P",
        "NULL",
        "unknown",
        "NULL",
    ),
    (
        "'sim_suspend'",
        "'{}'",
        "",
        "'8988247000000000019'",
        "placed",
        "NULL",
    ),
    (
        "'sim_update'",
        r#"'{"rate_plan":"PLAN 7","group":"fleet","metadata":{"depot":"Lyon"}}'"#,
        "",
        "'8988247000000000027'",
        "not_placed",
        "NULL",
    ),
    (
        "'sim_swap'",
        r#"'{"new_iccid":"8988247000000000407"}'"#,
        "",
        "'8988247000000000019'",
        "needs_operator",
        "NULL",
    ),
];

fn id(row: usize) -> WriteId {
    WriteId(Uuid::from_u128(
        0x0190_0000_0000_7000_8000_0000_0000_0000 + row as u128,
    ))
}

/// A kind that this release does not know.
const UNKNOWN_KIND: Row = ("'sell'", "NULL", "P", "NULL", "unknown", "NULL");

fn inserts(rows: &[Row]) -> String {
    let rows = rows.iter().enumerate();
    let rows = rows.map(|(at, (act, details, product, card, state, subscription))| {
        format!(
            "INSERT INTO orders (id, request_id, iccid, msisdn, product_id, reference, created_at, updated_at, \
             baseline, sent_by, act, details, state, subscription_id, attempt, checks) VALUES \
             ('{}', '{}', {card}, '{}', '{product}', '', 1800000000000000, 1800000000000000, '[]', \
             1800000000000000, {act}, {details}, '{state}', {subscription}, 1, 0);",
            id(at),
            request(at as u128).0,
            msisdn(u32::try_from(at).unwrap()).as_str(),
        )
    });
    rows.collect()
}

async fn are_read(ledger: &dyn Ledger) {
    let mut kinds = Vec::new();
    for row in 0..ROWS.len() {
        let record = found(ledger, id(row)).await.unwrap();
        assert_eq!(*record.write.kind.msisdn(), msisdn(u32::try_from(row).unwrap()));
        kinds.push(record.write);
    }
    let states: Vec<State> = kinds.iter().map(|write| write.state).collect();
    use State::{Done, NeedsOperator, NotDone, Unknown};
    assert_eq!(
        states,
        [Done, NotDone, Done, Unknown, Done, NotDone, NeedsOperator]
    );
    assert_eq!(kinds[0].bought().map(String::as_str), Some("SUB-1"));
    assert!(kinds[1].may_be_sent_again());
    let unrecorded = |write: &Write| {
        let purchase = purchase(write);
        purchase.activation_used.is_none() && purchase.list_price.is_none()
    };
    assert!(kinds[..2].iter().all(unrecorded));
    for (row, id, action) in [
        (2, "SUB-9", SubscriptionAction::CancelRenewal),
        (3, "SUB-8", SubscriptionAction::Terminate),
    ] {
        match &kinds[row].kind {
            Kind::Subscription(change) => {
                assert_eq!(
                    (change.terms.subscription_id.as_str(), change.terms.action),
                    (id, action)
                );
                assert_eq!(change.product_id, "P");
            }
            other => panic!("{other:?}"),
        }
    }
    let labels = Labels {
        group: Some("fleet".into()),
        reference: None,
        metadata: [("depot".to_owned(), "Lyon".to_owned())].into(),
    };
    let swap = SimAction::Swap {
        new_iccid: transatel_gateway::domain::Iccid::parse("8988247000000000407").unwrap(),
    };
    use sim_operation::State::{Failed, Succeeded, Unknown as Open};
    for (row, action, state) in [
        (4, SimAction::Suspend, Succeeded),
        (5, SimAction::Update(labels), Failed),
        (6, swap, Open),
    ] {
        assert!(!kinds[row].may_be_sent_again());
        let change = kinds[row].clone().into_sim_change().unwrap();
        let plan = (row == 5).then_some("PLAN 7");
        assert_eq!(change.kind.terms.plan.as_deref(), plan);
        assert_eq!(change.kind.terms.action, action);
        let operation = SimOperation::of(change, std::time::Duration::ZERO, at(0));
        assert_eq!(operation.state, state);
    }
    // Orders are listed, operations are not.
    let page = ledger.page(&Filter::default(), None, 10).await.unwrap();
    assert_eq!(page.len(), 4);
}

/// A SQLite file with these rows.
async fn file_with(rows: &[Row]) -> Folder {
    let folder = Folder::new();
    drop(folder.open().await);
    let url = format!("sqlite://{}", folder.file().display());
    let mut file = SqliteConnection::connect(&url).await.unwrap();
    let sql = AssertSqlSafe(inserts(rows));
    file.execute(sqlx::raw_sql(sql)).await.unwrap();
    file.close().await.unwrap();
    folder
}

#[tokio::test]
async fn a_sqlite_file_of_the_former_release_is_read() {
    let folder = file_with(&ROWS).await;
    are_read(&*folder.open().await.ledger).await;
}

#[tokio::test]
async fn a_row_of_an_unknown_kind_is_counted_with_the_others() {
    let folder = file_with(&[ROWS[3], UNKNOWN_KIND]).await;
    let counts = folder.open().await.ledger.counts().await.unwrap();
    let counts: Vec<_> = counts
        .iter()
        .map(|count| (count.kind, count.state, count.writes))
        .collect();
    assert_eq!(
        counts,
        [("unknown", "unknown", 1), ("subscription", "unknown", 1)]
    );
}

#[tokio::test]
async fn a_postgresql_database_of_the_former_release_is_read() {
    let Some(url) = postgres::database().await else {
        return;
    };
    drop(open_postgres(&url).await);
    let mut server = PgConnection::connect(&url).await.unwrap();
    server
        .execute(sqlx::raw_sql(AssertSqlSafe(inserts(&ROWS))))
        .await
        .unwrap();
    server.close().await.unwrap();
    are_read(&*open_postgres(&url).await).await;
}
