//! Too much metadata: an error for the one call, and none for its neighbours.

use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::{Code, Request};
use transatel_gateway_client::connectivity::v1 as api;
use transatel_simulator::{Fault, Script};

use crate::support::gateway::{FRANCE, PRODUCTS, TestEnv, by_msisdn, get, reason, spawn};

/// Metadata of so many entries with so many bytes each.
fn metadata(entries: usize, bytes: usize) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for at in 0..entries {
        let key: AsciiMetadataKey = format!("entry-{at}").parse().unwrap();
        metadata.insert(key, "x".repeat(bytes).parse().unwrap());
    }
    metadata
}

#[tokio::test]
async fn a_call_with_too_much_metadata_is_refused_alone() {
    let env = TestEnv::open().await;
    let control = env.control();
    // In flight on the same connection all the while.
    control.queue(Script::on("GET", PRODUCTS).then(Fault::hold("neighbour").step()));
    let mut neighbour = env.catalog();
    let request = api::CheckEligibilityRequest {
        sim: by_msisdn("882470000000001"),
        product_ids: vec![FRANCE.into()],
    };
    let neighbour = spawn(async move { neighbour.check_eligibility(request).await });
    control.until_held("neighbour", 1).await;
    for (entries, bytes) in [
        (1, 20_000),
        (1, 64_000),
        (1, 200_000),
        (100, 640),
        (10_000, 8),
        (4, 200_000),
    ] {
        let mut request = Request::new(get(FRANCE));
        *request.metadata_mut() = metadata(entries, bytes);
        let status = env.catalog().get_product(request).await.unwrap_err();
        assert_eq!(
            status.code(),
            Code::ResourceExhausted,
            "{entries} of {bytes}: {status:?}"
        );
        assert_eq!(reason(&status).reason, "METADATA_TOO_LARGE");
    }
    // What proxies and meshes add fits.
    let mut request = Request::new(get(FRANCE));
    *request.metadata_mut() = metadata(50, 200);
    env.catalog().get_product(request).await.unwrap();
    control.release("neighbour");
    neighbour.await.unwrap().unwrap();
}
