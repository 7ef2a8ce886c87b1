//! Answers of the simulated provider with one thing wrong, through the front
//! door: what stands beside it is shown as it was, no order is decided by what
//! was not understood, and nothing is a defect of the gateway. A sample; the
//! unit test in `src/transatel/hostile.rs` tries every place.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tonic::{Code, Status};
use transatel_gateway_client::connectivity::v1::{self as api, OrderState};
use transatel_simulator::{Criteria, Fault, Options, Sandbox, Script};

use crate::events::webhook::{all, client, deliver};
use crate::support::gateway::{
    CATALOG, ESIM, FRANCE, Gateway, ORDERS, PRODUCTS, SECRET, SUBSCRIPTIONS, Secret, TOKEN, by_iccid,
    by_msisdn, reason,
};
use crate::support::mutation::{Mutation, mutations};
use crate::writes::orders::{create, order};

const SEARCH: &str = "/sim-search/api/sim/search";

/// A SIM with two subscriptions.
const BUSY: &str = "882470000000002";

/// What is shown, by what it is about.
type Shown = BTreeMap<String, String>;

struct Hostile {
    sandbox: Sandbox,
    gateway: Gateway,
    _secret: Secret,
    /// Which mutations are tried: the same ones in every run.
    chance: fastrand::Rng,
    tried: usize,
}

impl Hostile {
    async fn open() -> Self {
        let options = Options {
            sims: 1_000,
            ..Options::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let secret = Secret::new(SECRET);
        let settings = [
            &secret.settings()[..],
            &[
                ("TRANSATEL__READ_ATTEMPTS", "1"),
                ("BREAKER__FAILURES", "1000000"),
                // An open order is left alone while the test looks at it.
                ("ORDERS__RECONCILE_AFTER", "1h"),
                ("ORDERS__RECONCILE_AT_MOST", "1h"),
                ("ORDERS__SETTLE_WINDOW", "3h"),
            ],
        ]
        .concat();
        let gateway = Gateway::start(&sandbox.base_url(), &settings).await;
        Self {
            sandbox,
            gateway,
            _secret: secret,
            chance: fastrand::Rng::with_seed(7),
            tried: 0,
        }
    }

    /// What the simulated provider answers itself.
    async fn own(&self, path: &str) -> Value {
        let (http, base) = (client(), self.sandbox.base_url());
        let options = Options::default();
        let granted = http
            .post(format!("{}{TOKEN}", base.trim_end_matches('/')))
            .basic_auth(&options.client_id, Some(&options.client_secret))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        let granted = granted.send().await.unwrap().text().await.unwrap();
        let granted: Value = serde_json::from_str(&granted).unwrap();
        let answer = http
            .get(format!("{}{path}", base.trim_end_matches('/')))
            .bearer_auth(granted["access_token"].as_str().unwrap())
            .send();
        let text = answer.await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"))
    }

    /// Some of the mutations of an answer.
    fn some(&mut self, sample: &Value, count: usize) -> Vec<Mutation> {
        let mut all = mutations(&sample.to_string());
        self.chance.shuffle(&mut all);
        all.truncate(count);
        self.tried += all.len();
        all
    }

    /// The next answer of a route.
    fn answer(&self, method: &str, route: &str, status: u16, mutation: &Mutation) {
        let body = String::from_utf8(mutation.body.clone()).unwrap();
        let fault = Fault::body(status, body).step();
        self.sandbox
            .control()
            .queue(Script::on(method, route).then(fault));
    }

    fn used_up(&self, mutation: &Mutation) {
        let left = self.sandbox.control().faults();
        assert!(left.is_empty(), "{} at {}: not asked", mutation.kind, mutation.at);
    }
}

/// Only an answer that is refused as a whole is an error, and none is a defect.
fn is_refused_well(status: &Status, mutation: &Mutation) {
    let error = reason(status);
    let what = format!("{} at {}: {status:?}", mutation.kind, mutation.at);
    assert_eq!(
        (error.code, error.reason.as_str()),
        (Code::Internal, "PROVIDER_PROTOCOL"),
        "{what}"
    );
}

/// Whether the rows beside the one with the mutation are as they were.
fn beside(mutation: &Mutation, list: &str, rows: &[String], was: &Shown, is: &Shown) {
    let inside = mutation.at.strip_prefix(&format!("/{list}/"));
    let Some(wrong) = inside.map(|rest| rest.split('/').next().unwrap()) else {
        return;
    };
    let wrong: usize = wrong.parse().unwrap();
    for (at, row) in rows.iter().enumerate().filter(|(at, _)| *at != wrong) {
        assert_eq!(
            is.get(row),
            was.get(row),
            "{} at {}: row {at}",
            mutation.kind,
            mutation.at
        );
    }
}

fn ids(list: &Value, pointer: &str) -> Vec<String> {
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| row.pointer(pointer).unwrap().as_str().unwrap().to_owned())
        .collect()
}

impl Hostile {
    async fn inventory(&self) -> Result<Shown, Status> {
        let request = api::GetInventoryRequest {
            sim: by_msisdn(BUSY),
            include_ended: true,
            include_infrastructure: true,
            ..Default::default()
        };
        let mut client = api::inventory_client::InventoryClient::new(self.gateway.channel.clone());
        let answer = client.get_inventory(request).await?.into_inner();
        let subscriptions = answer.subscriptions.into_iter();
        Ok(subscriptions
            .map(|one| (one.subscription_id.clone(), format!("{one:?}")))
            .collect())
    }

    async fn inventories(&mut self) {
        let sample = self.own(&format!("{SUBSCRIPTIONS}?msisdn={BUSY}&withBalances=true&statuses=active&statuses=readyForUse&statuses=pendingForFirstUse")).await;
        let rows = ids(&sample["productSubscriptions"], "/subscriptionId");
        assert!(rows.len() > 1, "{sample}");
        let was = self.inventory().await.unwrap();
        for mutation in self.some(&sample, 60) {
            self.answer("GET", SUBSCRIPTIONS, 200, &mutation);
            match self.inventory().await {
                Ok(is) => beside(&mutation, "productSubscriptions", &rows, &was, &is),
                Err(status) => {
                    assert!(
                        !mutation.at.starts_with("/productSubscriptions/"),
                        "{}",
                        mutation.at
                    );
                    is_refused_well(&status, &mutation);
                }
            }
            self.used_up(&mutation);
        }
    }

    async fn esims(&mut self) {
        let iccid = self.sandbox.control().sim(BUSY).unwrap().iccid;
        let sample = self
            .own(&format!("{}?history=true", ESIM.replace("{simSerial}", &iccid)))
            .await;
        let mut client = api::esim_client::EsimClient::new(self.gateway.channel.clone());
        for mutation in self.some(&sample, 45) {
            self.answer("GET", ESIM, 200, &mutation);
            let request = api::GetEsimRequest {
                sim: by_iccid(&iccid),
                include_history: true,
            };
            match client.get_esim(request).await {
                Ok(answer) => assert!(answer.into_inner().esim.is_some()),
                Err(status) => {
                    assert!(!mutation.at.starts_with("/history"), "{}", mutation.at);
                    is_refused_well(&status, &mutation);
                }
            }
            self.used_up(&mutation);
        }
    }

    async fn sims(&mut self) {
        let mut sample = self.own(&format!("{SEARCH}?size=3&page=1")).await;
        let rows = ids(&sample["sims"], "/simSerial");
        assert_eq!(rows.len(), 3);
        sample["totalPages"] = json!(1);
        let mut client = api::inventory_client::InventoryClient::new(self.gateway.channel.clone());
        let mut list = async || -> Result<Shown, Status> {
            let request = api::ListSimsRequest {
                page_size: 3,
                ..Default::default()
            };
            let found = client.list_sims(request).await?.into_inner().sims.into_iter();
            Ok(found
                .map(|found| {
                    let name = found.ids.clone().unwrap_or_default().iccid;
                    (name, format!("{:?}", api::Sim { as_of: None, ..found }))
                })
                .collect())
        };
        let was = list().await.unwrap();
        for mutation in self.some(&sample, 40) {
            self.answer("GET", SEARCH, 200, &mutation);
            match list().await {
                Ok(is) => beside(&mutation, "sims", &rows, &was, &is),
                Err(status) => {
                    assert!(!mutation.at.starts_with("/sims/"), "{}", mutation.at);
                    is_refused_well(&status, &mutation);
                }
            }
            self.used_up(&mutation);
        }
    }

    async fn products(&mut self) {
        let mut sample = self
            .own(&format!(
                "{}?availabilityStatus=ALL",
                CATALOG.replace("{cosRef}", "WW_M2MA_COS_SPC")
            ))
            .await;
        sample["products"].as_array_mut().unwrap().truncate(3);
        let rows = ids(&sample["products"], "/productDefinition/productId");
        let mut client = self.gateway.catalog();
        // A language of its own for each: a catalog is read once.
        let mut list = async |number: usize| -> Result<Shown, Status> {
            let request = api::ListProductsRequest {
                language_code: format!("en-{number}"),
                include_unavailable: true,
                ..Default::default()
            };
            let found = client
                .list_products(request)
                .await?
                .into_inner()
                .products
                .into_iter();
            Ok(found
                .map(|product| (product.product_id.clone(), format!("{product:?}")))
                .collect())
        };
        let whole = Mutation {
            kind: "nothing",
            at: String::new(),
            body: sample.to_string().into_bytes(),
        };
        self.answer("GET", CATALOG, 200, &whole);
        let was = list(0).await.unwrap();
        assert!(!was.is_empty());
        for (number, mutation) in self.some(&sample, 40).into_iter().enumerate() {
            self.answer("GET", CATALOG, 200, &mutation);
            match list(number + 1).await {
                Ok(is) => beside(&mutation, "products", &rows, &was, &is),
                Err(status) => {
                    assert!(!mutation.at.starts_with("/products/"), "{}", mutation.at);
                    is_refused_well(&status, &mutation);
                }
            }
            self.used_up(&mutation);
        }
    }

    async fn verdicts(&mut self) {
        let fresh = self
            .sandbox
            .control()
            .find_sims(Criteria::FRESH, 1)
            .remove(0)
            .msisdn;
        let route = PRODUCTS
            .replace("{cosRef}", "WW_M2MA_COS_SPC")
            .replace("{productId}", FRANCE);
        let mut sample = self.own(&format!("{route}?msisdn={fresh}")).await;
        // As the provider refuses a product.
        for row in sample["products"].as_array_mut().unwrap() {
            row["canSubscribe"] = json!({ "allowed": false, "errorKey": "NO" });
        }
        let mut client = self.gateway.catalog();
        for mutation in self.some(&sample, 40) {
            self.answer("GET", PRODUCTS, 200, &mutation);
            let request = api::CheckEligibilityRequest {
                sim: by_msisdn(&fresh),
                product_ids: vec![FRANCE.into()],
            };
            match client.check_eligibility(request).await {
                Ok(answer) => {
                    let is_said = mutation.at.ends_with("/allowed") && mutation.kind == "true";
                    let allows = answer.into_inner().results[0].eligible;
                    assert!(!allows || is_said, "{} at {}", mutation.kind, mutation.at);
                }
                Err(status) => is_refused_well(&status, &mutation),
            }
            self.used_up(&mutation);
        }
    }

    /// Receipts and refusals: an order is placed, and refused, only by what is
    /// understood.
    async fn orders(&mut self) {
        let mut fresh = self.sandbox.control().find_sims(Criteria::FRESH, 100).into_iter();
        let mut client = self.gateway.provisioning();
        let receipt =
            json!({ "id": "TSL-1", "orderReference": "TSL-2", "status": "done", "subscriptionId": "S" });
        let refusal = json!({ "title": "INSUFFICIENT_FUND", "status": 400, "detail": "no money" });
        for (http, sample, place, decides) in [
            (201, receipt, OrderState::Placed, "/status"),
            (400, refusal, OrderState::Rejected, "/title"),
        ] {
            for mutation in self.some(&sample, 40) {
                let request = order(&fresh.next().unwrap().msisdn);
                self.answer("POST", ORDERS, http, &mutation);
                let state = match create(&mut client, &request).await {
                    Ok(order) => order.state(),
                    Err(status) => {
                        let error = reason(&status);
                        assert!(
                            error.metadata.contains_key("order_id"),
                            "{} at {}: {status:?}",
                            mutation.kind,
                            mutation.at
                        );
                        OrderState::Rejected
                    }
                };
                let what = format!("{} at {:?}: {state:?}", mutation.kind, mutation.at);
                assert!([place, OrderState::Unknown].contains(&state), "{what}");
                let is_nonsense = [
                    "true",
                    "number",
                    "list",
                    "object",
                    "nested lists",
                    "in a list",
                    "twice, another last",
                ];
                if mutation.at == decides && is_nonsense.contains(&mutation.kind) {
                    assert_eq!(state, OrderState::Unknown, "{what}");
                }
                self.used_up(&mutation);
            }
        }
    }

    /// Everything that is signed is taken; an event that can be named is shown.
    async fn events(&mut self) {
        let body = json!({
            "msisdn": BUSY, "iccid": "8988247000000000027", "externalReference": "fleet 7",
            "productSubscription": { "subscriptionId": "S", "productDefinition": { "productId": "P" } },
        });
        let header = json!({ "eventId": "E", "eventType": "OCS/PRODUCT/PRELOADED", "eventDate": "2026-11-25T06:00:00Z" });
        let sample = json!({ "header": header, "body": body });
        let (http, url) = (client(), self.gateway.webhook());
        let mut good = Vec::new();
        for (number, mutation) in self.some(&sample, 40).into_iter().enumerate() {
            let mutated = String::from_utf8(mutation.body.clone()).unwrap();
            assert_eq!(
                deliver(&http, &url, mutated).await,
                Some(204),
                "{} at {}",
                mutation.kind,
                mutation.at
            );
            let mut beside = sample.clone();
            beside["header"]["eventId"] = json!(format!("good {number}"));
            assert_eq!(deliver(&http, &url, beside.to_string()).await, Some(204));
            good.push(format!("good {number}"));
        }
        let listed = all(&mut self.gateway.events()).await;
        let listed: Vec<String> = listed.into_iter().map(|event| event.event_id).collect();
        assert!(good.iter().all(|id| listed.contains(id)), "{listed:?}");
    }
}

#[tokio::test]
async fn one_wrong_place_hides_nothing_else_and_decides_no_order() {
    let mut hostile = Hostile::open().await;
    hostile.inventories().await;
    hostile.esims().await;
    hostile.sims().await;
    hostile.products().await;
    hostile.verdicts().await;
    hostile.orders().await;
    hostile.events().await;
    assert!(hostile.tried >= 300, "{}", hostile.tried);
}
