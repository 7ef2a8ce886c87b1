//! Which index each filter of a page reads.

use sqlx::{Connection as _, SqliteConnection};

use super::*;
use crate::domain::Iccid;
use crate::domain::change::SubscriptionAction;
use crate::store::migrations;
use crate::store::row::Cells as _;

/// How SQLite would read the pages, without statistics.
async fn plan(connection: &mut SqliteConnection, query: Query) -> Vec<String> {
    let (sql, values) = query.finish(50);
    let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")).into_sql_str();
    let rows = connection.rows(sql, values).await.unwrap();
    rows.iter()
        .map(|row| row.text("detail").unwrap().unwrap())
        .collect()
}

#[tokio::test]
async fn every_filter_has_an_index_in_the_order_of_the_list() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    migrations::sqlite(&mut connection).await.unwrap();
    let text = || Some("X".to_owned());
    let at = Timestamp::from_second(1_800_000_000).ok();
    let msisdn = Msisdn::parse("882470000000001");
    let iccid = Iccid::parse("8988247000000000019").map(SimRef::Iccid);
    let none = Filter::default;
    let by_states = |states: &[State]| Filter {
        states: states.to_vec(),
        ..none()
    };
    let action = |action| Filter {
        action: Some(action),
        ..none()
    };
    let renewal = OrderAction::Subscription(SubscriptionAction::CancelRenewal);
    let orders = [
        (none(), "sqlite_autoindex_orders_1"),
        (
            Filter {
                created_until: at,
                ..none()
            },
            "sqlite_autoindex_orders_1 (id<?)",
        ),
        (
            Filter {
                created_from: at,
                created_until: at,
                ..none()
            },
            "sqlite_autoindex_orders_1 (id>? AND id<?)",
        ),
        (Filter { msisdn, ..none() }, "orders_of_sim (msisdn=?)"),
        (
            Filter {
                reference: text(),
                ..none()
            },
            "orders_by_reference (reference=?)",
        ),
        (
            Filter {
                product_id: text(),
                ..none()
            },
            "orders_of_product (product_id=?)",
        ),
        (
            Filter {
                caller: text(),
                ..none()
            },
            "orders_of_caller (caller=?)",
        ),
        (action(OrderAction::Buy), "sqlite_autoindex_orders_1"),
        (action(renewal), "orders_of_kind (act=?)"),
        (by_states(&[State::Done]), "sqlite_autoindex_orders_1"),
        (by_states(&[State::Rejected]), "orders_in_state (state=?)"),
        (
            by_states(&[State::Unknown, State::NotDone]),
            "orders_in_state (state=?)",
        ),
    ];
    // A product may have most of all orders.
    let with_product = [
        (
            Filter {
                msisdn: Msisdn::parse("882470000000001"),
                product_id: text(),
                ..none()
            },
            "orders_of_sim (msisdn=?)",
        ),
        (
            Filter {
                reference: text(),
                product_id: text(),
                ..none()
            },
            "orders_by_reference (reference=?)",
        ),
    ];
    // The same of one caller, which has its own index where the filter admits many.
    let own = |filter: Filter| Filter {
        caller: text(),
        ..filter
    };
    let own_orders = [
        (
            Filter {
                created_from: at,
                created_until: at,
                ..none()
            },
            "orders_of_caller (caller=? AND id>? AND id<?)",
        ),
        (
            Filter {
                msisdn: Msisdn::parse("882470000000001"),
                ..none()
            },
            "orders_of_sim (msisdn=?)",
        ),
        (
            Filter {
                reference: text(),
                ..none()
            },
            "orders_by_reference (reference=?)",
        ),
        (
            Filter {
                product_id: text(),
                ..none()
            },
            "orders_of_caller_and_product (caller=? AND product_id=?)",
        ),
        (action(OrderAction::Buy), "orders_of_caller (caller=?)"),
        (action(renewal), "orders_of_caller_and_kind (caller=? AND act=?)"),
        (by_states(&[State::Done]), "orders_of_caller (caller=?)"),
        (
            by_states(&[State::Unknown, State::NotDone]),
            "orders_of_caller_in_state (caller=? AND state=?)",
        ),
    ];
    let own_orders = { own_orders.into_iter() }.chain(with_product.clone());
    let orders = { orders.into_iter() }
        .chain(with_product)
        .chain(own_orders.map(|(filter, index)| (own(filter), index)));
    let none = OperationFilter::default;
    let own = |filter: OperationFilter| OperationFilter {
        caller: text(),
        ..filter
    };
    let own_operations = [
        (none(), "orders_of_caller_and_product (caller=? AND product_id=?)"),
        (
            OperationFilter {
                created_until: at,
                ..none()
            },
            "orders_of_caller_and_product (caller=? AND product_id=? AND id<?)",
        ),
        (
            OperationFilter {
                sim: iccid.clone(),
                ..none()
            },
            "operations_of_card (iccid=?)",
        ),
        (
            OperationFilter {
                needs_operator: true,
                ..none()
            },
            "operations_of_caller_in_state (caller=? AND state=?)",
        ),
        (
            OperationFilter {
                states: OperationState::ALL.to_vec(),
                ..none()
            },
            "operations_of_caller_in_state (caller=? AND state=?)",
        ),
    ];
    let operations = [
        (none(), "orders_operations"),
        (
            OperationFilter {
                created_until: at,
                ..none()
            },
            "orders_operations (id<?)",
        ),
        (
            OperationFilter { sim: iccid, ..none() },
            "operations_of_card (iccid=?)",
        ),
        (
            OperationFilter {
                needs_operator: true,
                ..none()
            },
            "operations_in_state (state=?)",
        ),
        (
            OperationFilter {
                states: OperationState::ALL.to_vec(),
                ..none()
            },
            "operations_in_state (state=?)",
        ),
    ];
    let operations =
        { operations.into_iter() }.chain(own_operations.map(|(filter, index)| (own(filter), index)));
    let orders = orders.map(|(filter, index)| (format!("{filter:?}"), of_orders(&filter, None), index));
    let operations =
        operations.map(|(filter, index)| (format!("{filter:?}"), of_operations(&filter, None), index));
    for (filter, query, index) in orders.chain(operations) {
        let parts = query.parts.len().max(1);
        let plan = plan(&mut connection, query).await;
        let reads: Vec<&String> = plan.iter().filter(|step| step.contains(" orders ")).collect();
        assert_eq!(reads.len(), parts, "{filter}: {plan:?}");
        for step in reads {
            assert!(step.contains(index), "{filter}: {plan:?}");
        }
        // What is sorted is a page of each part.
        let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(!sorts || parts > 1, "{filter}: {plan:?}");
    }
}
