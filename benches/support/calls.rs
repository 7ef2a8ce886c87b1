//! The calls that are measured, as h2load sends them.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;
use transatel_gateway_client::connectivity::v1::{GetProductRequest, ListProductsRequest};

/// One call with its request, always the same.
pub struct Call {
    /// `Service.Method`, as tables name it.
    pub name: &'static str,
    /// Where it is sent.
    pub path: &'static str,
    /// Encoded request.
    pub request: Bytes,
    /// Fewest bytes of a true reply's body: a gRPC error is an HTTP 200
    /// without a body.
    pub least_reply: u64,
}

impl Call {
    fn new(name: &'static str, path: &'static str, request: &impl Message, least_reply: u64) -> Self {
        Self {
            name,
            path,
            request: request.encode_to_vec().into(),
            least_reply,
        }
    }

    /// The request's body: not compressed, length, message.
    pub fn frame(&self) -> Bytes {
        let mut frame = BytesMut::with_capacity(5 + self.request.len());
        frame.put_u8(0);
        frame.put_u32(u32::try_from(self.request.len()).expect("requests are small"));
        frame.put_slice(&self.request);
        frame.freeze()
    }
}

/// A product that the simulator always sells.
const PRODUCT: &str = "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D";

/// One product from the cache.
pub fn get_product() -> Call {
    let request = GetProductRequest {
        product_id: PRODUCT.to_owned(),
        ..Default::default()
    };
    Call::new(
        "Catalog.GetProduct",
        "/connectivity.v1.Catalog/GetProduct",
        &request,
        100,
    )
}

/// A shop's page: what works in one country, cheapest first.
pub fn list_products() -> Call {
    let request = ListProductsRequest {
        countries: vec!["FR".to_owned()],
        order_by: "price".to_owned(),
        page_size: 50,
        ..Default::default()
    };
    Call::new(
        "Catalog.ListProducts",
        "/connectivity.v1.Catalog/ListProducts",
        &request,
        5_000,
    )
}
