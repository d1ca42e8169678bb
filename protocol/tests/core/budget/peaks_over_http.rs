//! No request over HTTP takes more memory than the budget, the floor and a small constant.

use super::hostile_streams;
use super::peaks::{audit, audit_of};
use super::{KIB, MIB};
use crate::common::inline::answer;
use crate::common::service::{MAIN, service};
use bytes::Bytes;
use http::Request;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::http::coding::{Codecs, Coding};
use vgi_rpc_protocol::http::headers::ARROW_STREAM;
use vgi_rpc_protocol::http::{Endpoint, RequestOrigin};

#[test]
fn a_body_over_http_stays_within_the_budget() {
    let endpoint = Endpoint::builder(service(), |memory| memory.fill(7)).prefix("/vgi").build().unwrap();
    let endpoint: Arc<Endpoint> = endpoint;
    for path in ["echo", "scale/init", "scale/exchange"] {
        let head = Request::post(format!("/vgi/{MAIN}/{path}")).header("content-type", ARROW_STREAM);
        let (head, ()) = head.body(()).unwrap().into_parts();
        audit(path, |account, bytes| {
            let now = Duration::from_secs(1_800_000_000);
            let arrival = RequestOrigin { now, account: account.clone(), ..RequestOrigin::default() };
            answer(&endpoint, Request::from_parts(head.clone(), bytes.clone()), arrival);
        });
    }
}

/// Requests whose handlers run, and whose answers are as large as the requests.
#[test]
fn an_echo_over_http_stays_within_the_budget() {
    let (main, _) = super::service::service();
    let endpoint: Arc<Endpoint> =
        Endpoint::builder(main, |memory| memory.fill(7)).prefix("/vgi").build().unwrap();
    for (name, method, bytes) in hostile_streams::echoed() {
        let streams = [(name, bytes)];
        let path = format!("/vgi/{}/{method}", super::service::LARGE);
        let head = Request::post(path).header("content-type", ARROW_STREAM).body(()).unwrap().into_parts().0;
        audit_of("echoed over HTTP", &streams, |account, bytes| {
            let now = Duration::from_secs(1_800_000_000);
            let arrival = RequestOrigin { now, account: account.clone(), ..RequestOrigin::default() };
            answer(&endpoint, Request::from_parts(head.clone(), bytes.clone()), arrival);
        });
    }
}

/// Returns a frame of 64 MiB that does not state its size and has a window of 8 MiB: a repeated block of 128 KiB of one byte.
#[cfg(feature = "zstd")]
fn frame_without_size() -> Vec<u8> {
    let [block, last] = [2_u32, 3].map(|kind| ((128 << 10) << 3 | kind).to_le_bytes());
    let block = [&block[..3], &[0]].concat();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x68][..], &block.repeat(511), &last[..3], &[0]].concat()
}

/// Bodies that expand when HTTP decodes them, whether or not they state their size.
#[test]
fn a_coded_body_stays_within_the_budget() {
    let (main, _) = super::service::service();
    let endpoint: Arc<Endpoint> =
        Endpoint::builder(main, |memory| memory.fill(7)).prefix("/vgi").build().unwrap();
    let codecs = Codecs::default();
    for &coding in Coding::ALL {
        let mut streams = Vec::new();
        for len in [512 * KIB, 8 * MIB, 64 * MIB] {
            let body = codecs.encode(coding, &[vec![0; len].into()]).unwrap();
            streams.push((format!("{} KiB of {coding}", len / KIB), Bytes::from(body)));
        }
        #[cfg(feature = "zstd")]
        if coding == Coding::Zstd {
            let frame = frame_without_size();
            assert_eq!(codecs.decode(coding, &frame, 65 << 20).unwrap().len(), 64 * MIB);
            streams.push(("64 MiB of a frame without a size".into(), frame.into()));
        }
        let path = format!("/vgi/{}/length", super::service::LARGE);
        let head = Request::post(path).header("content-type", ARROW_STREAM);
        let head = head.header("content-encoding", coding.as_str()).body(()).unwrap().into_parts().0;
        audit_of("coded", &streams, |account, bytes| {
            let now = Duration::from_secs(1_800_000_000);
            let arrival = RequestOrigin { now, account: account.clone(), ..RequestOrigin::default() };
            answer(&endpoint, Request::from_parts(head.clone(), bytes.clone()), arrival);
        });
    }
}
