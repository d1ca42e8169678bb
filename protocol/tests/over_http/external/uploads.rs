//! Requests that exceed the server's limit: uploaded to a URL from the server, and sent as a pointer.

use super::http::pair_of;
use super::store::*;
use crate::common::batches::*;
use crate::common::service::service_with;
use crate::http_client::pair::*;
use vgi_rpc_protocol::effect::FailureReason;
use vgi_rpc_protocol::http::EndpointBuilder;
use vgi_rpc_protocol::ipc::Metadata;

const LIMIT: u64 = 4096;

fn limited(builder: EndpointBuilder) -> EndpointBuilder {
    builder.max_request_bytes(Some(LIMIT)).upload_urls(None)
}

fn paths(pair: &Pair) -> Vec<(String, u16)> {
    pair.exchanged.iter().map(|sent| (sent.path.clone(), sent.status.as_u16())).collect()
}

fn large() -> arrow_array::RecordBatch {
    // Numbers that no coding compresses enough.
    let mut state = 7_u64;
    let letters: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + (state >> 57) as u8 % 26)
    })
    .take(20_000)
    .collect();
    row([("value", text(&letters))])
}

fn shown() -> String {
    use arrow_array::cast::AsArray;
    large().column(0).as_string::<i32>().value(0).to_owned()
}

#[test]
fn a_request_that_was_refused_as_too_large_is_uploaded() {
    let store = Store::default();
    let service = service_with(|builder| builder.fetch_external(options()));
    let mut pair = pair_of(&service, &store, limited);
    let told = pair.call("echo", UNARY, &large());
    assert_eq!(told, [format!("output \"{}\"", shown()), "finished".into()]);
    let expected =
        [("/vgi/test.Main.v1/echo", 413), ("/vgi/__upload_url__/init", 200), ("/vgi/test.Main.v1/echo", 200)];
    assert_eq!(paths(&pair), expected.map(|(path, status)| (path.to_owned(), status)));
    assert_eq!((store.objects(), store.fetched()), (1, 1));
    // The server's limit is known now.
    pair.exchanged.clear();
    pair.call("echo", UNARY, &large());
    assert_eq!(
        paths(&pair),
        expected[1..].iter().map(|(path, status)| ((*path).to_owned(), *status)).collect::<Vec<_>>()
    );
    pair.exchanged.clear();
    assert_eq!(pair.call("echo", UNARY, &row([("value", text("short"))])).len(), 2);
    assert_eq!(paths(&pair).len(), 1);
}

#[test]
fn an_input_that_is_too_large_is_uploaded() {
    let store = Store::default();
    let service = service_with(|builder| builder.fetch_external(options()));
    let mut pair = pair_of(&service, &store, limited);
    pair.call("scale", STREAM, &row([("factor", floats([2.0]))]));
    let batch = row([(
        "value",
        std::sync::Arc::new(arrow_array::Float64Array::from_iter_values((0..2000).map(f64::from))) as _,
    )]);
    pair.caller.send(&encoded(&batch), &batch, &Metadata::new()).unwrap();
    pair.go().unwrap();
    let told = pair.told();
    assert!(told.len() == 1 && told[0].starts_with("output ") && told[0].contains("3998.0"), "{told:?}");
    assert_eq!((store.objects(), store.fetched()), (1, 1));
    assert_eq!(pair.send(&row([("value", floats([4.0]))])), ["output 8.0"], "the stream continues");
}

#[test]
fn without_uploads_a_request_that_is_too_large_fails() {
    let store = Store::default();
    let service = service_with(|builder| builder.fetch_external(options()));
    let mut pair = pair_of(&service, &store, |builder| builder.max_request_bytes(Some(LIMIT)));
    let told = pair.call("echo", UNARY, &large());
    assert!(told[0].contains("the server vends no upload URLs"), "{told:?}");
    assert_eq!(told[1], "finished");
    assert_eq!(pair.call("echo", UNARY, &row([("value", text("alive"))])).len(), 2);
}

#[test]
fn an_upload_that_fails_is_the_error_of_its_call() {
    let store = Store::default();
    let service = service_with(|builder| builder.fetch_external(options()));
    let mut pair = pair_of(&service, &store, limited);
    pair.call("echo", UNARY, &large());
    let fails = store.clone();
    let vending = store.clone();
    pair.perform = Box::new(move |effect| {
        if let vgi_rpc_protocol::effect::Request::Upload(_) = effect.request {
            fails.fail_next(FailureReason::Failed, "PUT failed: HTTP 500");
        }
        vending.perform(effect)
    });
    let told = pair.call("echo", UNARY, &large());
    assert_eq!(told, ["failed the request could not be uploaded: PUT failed: HTTP 500", "finished"]);
    assert_eq!(pair.call("echo", UNARY, &row([("value", text("alive"))])).len(), 2);
}

#[test]
fn urls_that_the_policy_refuses_are_not_used() {
    let store = Store::default();
    let service = service_with(|builder| builder.fetch_external(options()));
    let mut pair = pair_of(&service, &store, limited);
    pair.perform = Box::new(|effect| {
        let vgi_rpc_protocol::effect::Request::UploadUrls(_) = effect.request else { panic!("{effect:?}") };
        let url = |url: &str| url.to_owned();
        vgi_rpc_protocol::effect::Completion::UploadUrls(vec![vgi_rpc_protocol::effect::UploadUrl {
            upload_url: url(&format!("http://127.0.0.1/put?signature={SECRET}")),
            download_url: url("https://store.example/1"),
            expires_at: std::time::Duration::from_secs(1),
        }])
    });
    let told = pair.call("echo", UNARY, &large());
    assert!(told[0].contains("URL rejected") && !told[0].contains(SECRET), "{told:?}");
}
