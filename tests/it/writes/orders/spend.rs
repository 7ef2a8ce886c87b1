//! Sums of what was ordered, over gRPC.

use api::{OrderState, SpendGroup};
use jiff::Timestamp;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_gateway_client::google::r#type::Money;
use transatel_simulator::{Criteria, Fault};

use super::{create, euros, fault, order};
use crate::support::gateway::{FRANCE, Provisioning, TestEnv, reason, violations};

const DAY: i64 = 86_400;

/// Yesterday to the day after tomorrow: midnight may be near.
fn these_days(group_by: &[SpendGroup]) -> api::GetSpendRequest {
    let today = Timestamp::now().as_second() / DAY;
    let day = |day| {
        Some(prost_types::Timestamp {
            seconds: day * DAY,
            nanos: 0,
        })
    };
    api::GetSpendRequest {
        from: day(today - 1),
        to: day(today + 2),
        group_by: group_by.iter().map(|group| (*group).into()).collect(),
    }
}

pub async fn spend(client: &mut Provisioning, group_by: &[SpendGroup]) -> api::GetSpendResponse {
    client.get_spend(these_days(group_by)).await.unwrap().into_inner()
}

fn sum(orders: i64, list_price: Money) -> Option<api::SpendSum> {
    Some(api::SpendSum {
        orders,
        list_price: Some(list_price),
        cost: None,
    })
}

#[tokio::test]
async fn spend_is_summed_by_caller_product_and_countries() {
    let env = TestEnv::with(&[
        ("CALLERS__HEADER", "l5d-client-id"),
        ("CALLERS__HEADER_FROM", "127.0.0.1"),
    ])
    .await;
    let control = env.control();
    control.set_price(FRANCE, 350);
    let mut client = env.provisioning();
    let sims = control.find_sims(Criteria::FRESH, 4);
    let as_caller = async |name: &'static str, request: api::CreateOrderRequest| {
        let mut call = Request::new(request);
        call.metadata_mut()
            .insert("l5d-client-id", MetadataValue::from_static(name));
        env.provisioning()
            .create_order(call)
            .await
            .unwrap()
            .into_inner()
            .order
            .unwrap()
    };
    as_caller("shop", order(&sims[0].msisdn)).await;
    as_caller("shop", order(&sims[1].msisdn)).await;
    // May have been bought.
    fault(&env, Fault::hold("post"));
    let waiting = order(&sims[2].msisdn);
    let sent = super::spawn_create(env.provisioning(), &waiting);
    control.until_held("post", 1).await;
    let half = |units| Money {
        nanos: 500_000_000,
        ..euros(units)
    };
    let by_caller = spend(&mut client, &[SpendGroup::Caller]).await;
    assert_eq!(by_caller.orders_without_price, 0);
    let expected = |caller: &str, placed, open| api::Spend {
        caller: caller.into(),
        currency_code: "EUR".into(),
        placed,
        open,
        ..Default::default()
    };
    assert_eq!(
        by_caller.spend,
        [
            expected("", sum(0, euros(0)), sum(1, half(3))),
            expected("shop", sum(2, euros(7)), sum(0, euros(0))),
        ]
    );
    env.control().release("post");
    assert_eq!(sent.await.unwrap().unwrap().state(), OrderState::Placed);
    let all = spend(&mut client, &[]).await.spend;
    assert_eq!(all, [expected("", sum(3, half(10)), sum(0, euros(0)))]);
    let france = spend(&mut client, &[SpendGroup::Countries, SpendGroup::Product])
        .await
        .spend;
    let france_only = api::Spend {
        product_id: FRANCE.into(),
        countries: vec!["FR".into()],
        ..all[0].clone()
    };
    assert_eq!(france, [france_only]);
    // A refused order is in no sum.
    fault(&env, Fault::problem(402, "INSUFFICIENT_FUND"));
    create(&mut client, &order(&sims[3].msisdn)).await.unwrap_err();
    assert_eq!(spend(&mut client, &[]).await.spend, all);
    // Nothing was bought then.
    let then = api::GetSpendRequest {
        from: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
        to: Some(prost_types::Timestamp {
            seconds: 366 * DAY,
            nanos: 0,
        }),
        ..Default::default()
    };
    let answer = client.get_spend(then).await.unwrap().into_inner();
    assert_eq!(answer, api::GetSpendResponse::default());
}

#[tokio::test]
async fn a_request_for_sums_names_whole_days_and_groups_once() {
    let env = TestEnv::open().await;
    let mut client = env.provisioning();
    let at = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let request = |from, to, group_by: &[i32]| api::GetSpendRequest {
        from,
        to,
        group_by: group_by.to_vec(),
    };
    for (request, fields) in [
        (request(None, None, &[]), &["from", "to"][..]),
        (request(at(1, 0), at(DAY, 1), &[]), &["from", "to"]),
        (request(at(DAY, 0), at(DAY, 0), &[]), &["to"]),
        (request(at(DAY, 0), at(0, 0), &[]), &["to"]),
        (request(at(0, 0), at(367 * DAY, 0), &[]), &["to"]),
        (request(at(i64::MAX, 0), at(DAY, 0), &[]), &["from"]),
        (
            request(at(0, 0), at(DAY, 0), &[0, 999]),
            &["group_by[0]", "group_by[1]"],
        ),
        (request(at(0, 0), at(DAY, 0), &[1, 1]), &["group_by[1]"]),
        (request(at(0, 0), at(DAY, 0), &[1, 2, 3, 1]), &["group_by"]),
    ] {
        let status = client.get_spend(request.clone()).await.unwrap_err();
        assert_eq!(reason(&status).code, Code::InvalidArgument);
        assert_eq!(violations(&status), fields, "{request:?}");
    }
}
