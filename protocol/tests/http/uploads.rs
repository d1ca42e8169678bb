//! URLs for uploads of large inputs. WIRE_PROTOCOL 10, "Upload URL generation".

use crate::ask::*;
use crate::common::batches::*;
use crate::common::service::service_with;
use crate::common::streams::stream_of;
use crate::serve::*;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use http::Request;
use std::time::Duration;
use vgi_rpc_protocol::effect::{self, Completion, Effect, Failure, FailureReason, UploadUrl};
use vgi_rpc_protocol::external::FetchOptions;
use vgi_rpc_protocol::ipc::Item;

/// Returns numbered URLs.
fn make_urls(effect: &Effect) -> Completion {
    let effect::Request::UploadUrls(count) = effect.request else { panic!("{effect:?}") };
    let urls = (0..count).map(|number| UploadUrl {
        upload_url: format!("https://store.example/{number}?put"),
        download_url: format!("https://store.example/{number}"),
        expires_at: START + Duration::from_secs(600),
    });
    Completion::UploadUrls(urls.collect())
}

/// Returns a server that numbers its URLs.
fn server() -> Server {
    serve_main(|builder| builder.upload_urls(Some(1 << 30))).performing(make_urls)
}

fn urls(row: RecordBatch) -> Request<Bytes> {
    let mut metadata = routing("", "__upload_url__");
    metadata.remove("vgi_rpc.protocol");
    post("/vgi/__upload_url__/init", stream_of(&[(row, metadata)]))
}

#[test]
fn as_many_as_asked_for_are_made() {
    let server = server();
    for (row, rows) in [
        (row([("count", int(3))]), 3),
        (row([("count", int(0))]), 1),
        (row([("count", int(-5))]), 1),
        (row([("count", int(i64::MAX))]), 100),
        (no_columns(1), 1),
    ] {
        let answered = server.send(urls(row));
        assert_eq!((answered.status, answered.is_marked()), (200, false));
        assert_eq!(answered.data()[0].0.num_rows(), rows);
    }
}

#[test]
fn each_is_a_pair_with_an_end() {
    let answered = server().send(urls(row([("count", int(2))])));
    let Item::Schema(schema) = &answered.items()[0] else { panic!("a stream begins with its schema") };
    let types: Vec<_> = schema
        .schema()
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field.data_type().clone(), field.is_nullable()))
        .collect();
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let expected = [
        ("upload_url", DataType::Utf8, false),
        ("download_url", DataType::Utf8, false),
        ("expires_at", timestamp, false),
    ];
    assert_eq!(types, expected);
    let batch = &answered.data()[0].0;
    let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
    assert_eq!(
        (text(0, 1), text(1, 1)),
        ("https://store.example/1?put".into(), "https://store.example/1".into())
    );
    let end = batch.column(2).as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(end, (START.as_micros() + 600_000_000) as i64);
}

#[test]
fn they_are_advertised_only_where_what_is_uploaded_is_fetched() {
    let told = |server: Server| {
        let answered = server.send(ask("HEAD", "/vgi/health"));
        let header = |name| answered.header(name).map(str::to_owned);
        (header("vgi-upload-url-support"), header("vgi-max-upload-bytes"))
    };
    assert_eq!(told(server()), (None, None), "pointers to what was uploaded are not resolved");
    let fetching = service_with(|builder| builder.fetch_external(FetchOptions::default()));
    let advertised = serve(fetching.clone(), |builder| builder.upload_urls(Some(7)));
    assert_eq!(told(advertised), (Some("true".into()), Some("7".into())));
    assert_eq!(told(serve(fetching, |builder| builder)), (None, None), "no URLs are offered");
}

#[test]
fn a_request_that_is_none_is_refused() {
    let server = server();
    let (_, body) = echo("x").into_parts();
    assert_eq!(server.send(post("/vgi/__upload_url__/init", body)).status, 400, "it names another method");
    assert_eq!(server.send(post("/vgi/__upload_url__/init", Bytes::new())).status, 400);
    assert_eq!(server.send(urls(row([("count", text("three"))]))).status, 400);
    assert_eq!(server.send(urls(row([("count", int(1))])).having("content-type", "text/plain")).status, 415);
    let get = server.send(ask("GET", "/vgi/__upload_url__/init"));
    assert_eq!((get.status, get.header("allow")), (405, Some("POST, OPTIONS")));
}

#[test]
fn a_failing_provider_is_told_like_a_failing_handler() {
    let failed = Failure::new(FailureReason::Unavailable, "not today").into();
    for (completion, text) in [(failed, "not today"), (Completion::Done, "expected upload URLs")] {
        let server = serve_main(|builder| builder.upload_urls(None)).performing(move |_| completion.clone());
        let answered = server.send(urls(row([("count", int(2))])));
        assert_eq!((answered.status, answered.is_marked()), (200, true));
        assert!(answered.error().message().contains(text), "{:?}", answered.error());
    }
}
