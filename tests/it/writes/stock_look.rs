//! A reserved SIM is looked at again before it is sold, when the look is old.

use std::time::Duration;

use jiff::SignedDuration;
use transatel_gateway_client::connectivity::v1::inventory_client::InventoryClient;
use transatel_gateway_client::connectivity::v1::*;
use transatel_simulator::ProfileStatus;
use uuid::Uuid;

use super::orders::create;
use super::orders_late::clocks::Steppable;
use super::stock::{deliver, sale};
use crate::support::gateway::{ESIM, FRANCE, Gateway, ORDERS, reason, simulator};

#[tokio::test]
async fn a_sim_that_somebody_else_has_used_since_it_was_reserved_is_not_sold() {
    let sandbox = simulator().await;
    let clock = Steppable::default();
    let gateway = Gateway::start_in(&sandbox.base_url(), &[], clock.seams()).await;
    let (control, mut orders) = (sandbox.control(), gateway.provisioning());
    let cards = deliver(&sandbox, &mut InventoryClient::new(gateway.channel()), 3).await;
    let reserve = async |ahead: i64| {
        let request = ReserveSimRequest {
            request_id: Uuid::new_v4().to_string(),
            pool: sale().pool,
            ttl: Some(Duration::from_secs(3600).try_into().unwrap()),
            ..Default::default()
        };
        let mut orders = gateway.provisioning();
        orders.reserve_sim(request.clone()).await.unwrap();
        clock.step(SignedDuration::from_secs(ahead));
        CreateOrderRequest {
            pool: String::new(),
            reservation_id: request.request_id,
            ..sale()
        }
    };

    // The look is good for a minute: no more is read than for the order itself.
    let looked = |control: &transatel_simulator::Control| control.received("GET", ESIM);
    let purchase = reserve(0).await;
    let before = looked(&control);
    create(&mut orders, &purchase).await.unwrap();
    assert_eq!(looked(&control), before);

    // One that got a subscription meanwhile, and one that was installed.
    let used: [&dyn Fn(); 2] = [
        &|| {
            control.grant(&cards[1], FRANCE).unwrap();
        },
        &|| {
            control
                .set_esim_status(&cards[2], ProfileStatus::Enabled)
                .unwrap();
        },
    ];
    let sent = control.received("POST", ORDERS);
    for use_it in used {
        let purchase = reserve(61).await;
        use_it();
        let refused = create(&mut orders, &purchase).await.unwrap_err();
        assert_eq!(reason(&refused).reason, "RESERVATION_OVER");
    }
    assert_eq!(control.received("POST", ORDERS), sent);
}
