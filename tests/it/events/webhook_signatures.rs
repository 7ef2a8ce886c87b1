//! Signatures that are not valid: which form of the secret would have matched.

use serde_json::json;

use crate::events::webhook::{client, envelope, post, signature};
use crate::support::gateway::{Secret, settings};
use crate::support::process::Process;

/// As generators print one: text, and 12 bytes in base64.
const SECRET: &str = "c2VjcmV0IG9mIDMy";

#[tokio::test]
async fn a_secret_in_another_form_is_refused_and_named_in_the_log_a_few_times_a_minute() {
    const LINE: &str = "without a valid signature";
    let secret = Secret::new(SECRET);
    let mut process = Process::start(&["serve"], &settings("http://127.0.0.1:9", &secret.settings()));
    let line = process.logged("listening").await;
    let address = line.split("webhook=").nth(1).unwrap().split(' ').next().unwrap();
    let url = format!("http://{address}/webhooks/transatel");
    let body = envelope("A", "T", json!({}));
    let client = client();
    let documented = |secret: &str| signature(secret, body.as_bytes());
    let bare = documented(SECRET).replace("sha256=", "");
    for (header, said) in [
        (
            bare.clone(),
            "without \\\"sha256=\\\", and would match the secret as configured",
        ),
        (
            documented("secret of 32"),
            "as documented, and would match the secret decoded from base64",
        ),
        (documented("another"), "matches no form of the configured secrets"),
    ] {
        assert_eq!(post(&client, &url, body.clone(), Some(&header)).await, Some(401));
        let line = process.logged(LINE).await;
        assert!(
            line.replace('\\', "").contains(&said.replace('\\', "")),
            "{said} not in {line}"
        );
        for hidden in [SECRET, &bare[..8], &header[10..18]] {
            assert!(!line.contains(hidden), "{line}");
        }
    }
    for _ in 0..50 {
        assert_eq!(post(&client, &url, body.clone(), Some(&bare)).await, Some(401));
    }
    let accepted = documented(SECRET);
    assert_eq!(
        post(&client, &url, body.clone(), Some(&accepted)).await,
        Some(204)
    );
    process.signal("TERM").await;
    while let Some(line) = process.stderr.next_line().await.unwrap() {
        assert!(!line.contains(LINE), "{line}");
    }
    assert_eq!(process.ended().await, Some(0));
}
