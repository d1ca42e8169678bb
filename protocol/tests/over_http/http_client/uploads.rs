//! URLs for uploads.

use super::pair::*;
use crate::common::batches::*;
use std::time::Duration;
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::client::Event;
use vgi_rpc_protocol::effect::{Completion, Effect, Request, UploadUrl};
use vgi_rpc_protocol::http::client::upload_urls;

fn make_urls(effect: &Effect) -> Completion {
    let Request::UploadUrls(count) = effect.request else { panic!("{effect:?}") };
    let url = UploadUrl {
        upload_url: "https://store/put".into(),
        download_url: "https://store/get".into(),
        expires_at: Duration::from_secs(1_000_060),
    };
    Completion::UploadUrls(vec![url; count])
}

#[test]
fn urls_come_as_a_batch() {
    let mut pair = Pair::new(unlimited(), vec![endpoint(|builder| builder.upload_urls(Some(1 << 30)))]);
    pair.perform = Box::new(make_urls);
    pair.caller.request_upload_urls(3).unwrap();
    pair.go().unwrap();
    assert_eq!(pair.last().path, "/vgi/__upload_url__/init");
    let Next::Event(Event::Output(batch, _)) = pair.caller.poll_event() else { panic!("no batch") };
    let urls = upload_urls(&batch).unwrap();
    assert_eq!(urls.len(), 3);
    assert_eq!(urls[0].download_url, "https://store/get");
    assert_eq!(urls[0].expires_at, Duration::from_secs(1_000_060));
    assert_eq!(pair.told(), ["finished"]);
    let capabilities = pair.caller.capabilities().unwrap();
    assert_eq!(capabilities.upload, None, "not advertised by default");
    assert!(upload_urls(&row([("upload_url", int(1))])).is_err());
}

#[test]
fn a_server_without_a_store_says_so() {
    let mut pair = pair();
    pair.caller.request_upload_urls(1).unwrap();
    pair.go().unwrap();
    let told = pair.told();
    assert!(told[0].contains("vends no upload URLs") && told[1] == "finished", "{told:?}");
    assert!(pair.caller.is_idle());
}
