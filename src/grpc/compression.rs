//! Which answers are compressed: lists, from a size on, for callers that accept
//! gzip. Most gRPC libraries accept it without being asked to, and compressing
//! a page takes longer than the rest of a cached call: inside a cluster only
//! large pages gain.

use http::HeaderMap;
use prost::Message;
use tonic::Response;
use tonic::metadata::MetadataMap;

/// Smaller answers are sent as they are.
pub const FROM_BYTES: usize = 64 << 10;

/// Whether these headers of a request accept gzip.
pub fn is_accepted(headers: &HeaderMap) -> bool {
    let accepted = headers.get("grpc-accept-encoding");
    let names = accepted.and_then(|names| names.to_str().ok()).unwrap_or_default();
    names.split(',').any(|name| name.trim() == "gzip")
}

/// Whether a request with this path is answered with a list.
pub fn is_list(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .is_some_and(|method| method.starts_with("List"))
}

/// A list as the answer to a request with this metadata.
pub fn list<T: Message>(metadata: &MetadataMap, message: T) -> Response<T> {
    let is_small = is_accepted(metadata.as_ref()) && message.encoded_len() < FROM_BYTES;
    let mut response = Response::new(message);
    if is_small {
        response.disable_compression();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_accepted_when_it_is_named() {
        for (names, expected) in [
            ("gzip", true),
            ("identity, deflate, gzip", true),
            ("identity,gzip", true),
            ("identity, deflate", false),
            ("gzip2", false),
            ("", false),
        ] {
            let headers = [(
                http::HeaderName::from_static("grpc-accept-encoding"),
                names.parse().unwrap(),
            )];
            assert_eq!(is_accepted(&HeaderMap::from_iter(headers)), expected, "{names}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }

    #[test]
    fn lists_are_known_by_their_path() {
        assert!(is_list("/connectivity.v1.Catalog/ListProducts"));
        assert!(!is_list("/connectivity.v1.Catalog/GetProduct"));
        assert!(!is_list("/connectivity.v1.Events/StreamEvents"));
        assert!(!is_list(""));
    }
}
