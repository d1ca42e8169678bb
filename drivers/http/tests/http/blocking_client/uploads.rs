//! Upload URLs, requested by the client that makes the calls.

use super::serving::*;
use std::time::Duration;
use vgi_rpc_effects::Performer;
use vgi_rpc_http::client::CallError;
use vgi_rpc_protocol::effect::{Completion, Failure, Request, UploadUrl};

fn url(number: usize) -> UploadUrl {
    UploadUrl {
        upload_url: format!("https://store/put/{number}"),
        download_url: format!("https://store/get/{number}"),
        expires_at: Duration::from_secs(1_000_060),
    }
}

fn store() -> Performer {
    Performer::new(|request: &Request| match request {
        Request::UploadUrls(count) => Completion::UploadUrls((0..*count).map(url).collect()),
        _ => Failure::unsupported().into(),
    })
}

#[test]
fn urls_come_between_calls() {
    let server = serve_with(|builder| builder.upload_urls(Some(1 << 30)), |server| server.effects(store()));
    let mut client = server.client().client();
    for count in [1, 3] {
        let expected: Vec<_> = (0..usize::from(count)).map(url).collect();
        assert_eq!(client.upload_urls(count).unwrap(), expected);
        client.unary(&remote().method("echo"), &text("x")).unwrap();
    }
    // An abandoned stream leaves the connection to this request.
    let remote = remote();
    let mut stream = client.stream(&remote.method("count"), &int("value", 2)).unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
    assert_eq!(client.upload_urls(1).unwrap(), [url(0)]);
}

#[test]
fn a_server_without_a_store_says_so() {
    let server = serve(|builder| builder);
    let mut client = server.client().client();
    let error = client.upload_urls(1).unwrap_err();
    assert!(matches!(&error, CallError::Rpc(_)), "{error}");
    client.unary(&remote().method("echo"), &text("x")).unwrap();
}
