//! Content codings of requests and responses. WIRE_PROTOCOL 10, "Content-encoding negotiation".

use crate::ask::*;
use crate::serve::*;
use bytes::Bytes;
use http::Request;
use std::io::Write;
use vgi_rpc_protocol::http::coding::{Codecs, Coding};

/// Returns a call whose response is worth coding.
fn long() -> Request<Bytes> {
    echo(&"long ".repeat(2000))
}

/// Returns the codings named by the response, by header.
fn named(answered: &Answered) -> (Option<&str>, Option<&str>) {
    (answered.header("content-encoding"), answered.header("x-vgi-content-encoding"))
}

fn decoded(answered: &Answered, coding: Coding) -> Bytes {
    Codecs::default().decode(coding, &answered.body, 1 << 20).unwrap()
}

#[test]
fn the_first_coding_that_the_client_offers_is_used() {
    let plain = main().send(long()).body;
    let cases = [
        #[cfg(feature = "zstd")]
        ("zstd", Coding::Zstd),
        ("gzip", Coding::Gzip),
        ("gzip, zstd", Coding::Gzip),
        ("br, GZIP;q=0.1", Coding::Gzip),
        #[cfg(feature = "zstd")]
        ("br, ZSTD;q=0.1, gzip", Coding::Zstd),
        ("zstd;q=0, gzip", Coding::Gzip),
    ];
    for (offered, coding) in cases {
        let answered = main().send(long().with("accept-encoding", offered));
        assert_eq!(named(&answered), (Some(coding.as_str()), None), "{offered}");
        assert!(answered.body.len() < plain.len() / 2, "{offered}");
        assert_eq!(decoded(&answered, coding), plain, "{offered}");
    }
}

#[cfg(feature = "zstd")]
#[test]
fn the_protocols_own_header_comes_first_and_is_answered_by_its_own() {
    let ask = |own: &str, standard: Option<&str>| {
        let request = long().with("x-vgi-accept-encoding", own);
        main()
            .send(standard.into_iter().fold(request, |request, offer| request.with("accept-encoding", offer)))
    };
    assert_eq!(named(&ask("zstd", None)), (None, Some("zstd")));
    assert_eq!(named(&ask("zstd", Some("gzip, br"))), (None, Some("zstd")));
    assert_eq!(named(&ask("zstd", Some("gzip, zstd"))), (Some("zstd"), None), "both offer it");
    assert_eq!(named(&ask("br", Some("gzip"))), (Some("gzip"), None));
    assert_eq!(named(&ask("identity, zstd", Some("zstd"))), (None, None), "as asked for");
    let plain = main().send(long()).body;
    assert_eq!(decoded(&ask("zstd", None), Coding::Zstd), plain);
}

#[cfg(not(feature = "zstd"))]
#[test]
fn a_build_without_zstd_neither_produces_nor_reads_it() {
    assert_eq!(named(&main().send(long().with("accept-encoding", "zstd"))), (None, None));
    let refused = main().send(long().with("content-encoding", "zstd"));
    assert_eq!((refused.status, refused.header("vgi-supported-encodings")), (415, Some("gzip")));
}

#[test]
fn without_an_offer_nothing_is_coded() {
    for offered in ["", "*", "br", "identity", "zstd;q=0"] {
        let answered = main().send(long().with("accept-encoding", offered));
        assert_eq!(named(&answered), (None, None), "{offered}");
        assert_eq!(answered.text().len(), 10_000);
    }
}

#[test]
fn short_answers_and_pages_are_left_alone() {
    let short = main().send(echo("x").with("accept-encoding", "gzip"));
    assert_eq!((named(&short), short.text().as_str()), ((None, None), "x"));
    let page = main().send(ask("GET", "/vgi").with("accept-encoding", "gzip"));
    assert_eq!(named(&page), (None, None));
}

#[test]
fn a_server_may_leave_answers_alone_and_still_reads_coded_requests() {
    let server = serve_main(|builder| builder.compress(false));
    let (_, body) = long().into_parts();
    for &coding in Coding::ALL {
        let coded = Codecs::default().encode(coding, std::slice::from_ref(&body)).unwrap();
        let request = post("/vgi/test.Main.v1/echo", coded.into())
            .with("content-encoding", coding.as_str())
            .with("accept-encoding", "zstd, gzip")
            .with("x-vgi-accept-encoding", "zstd");
        let answered = server.send(request);
        assert_eq!(named(&answered), (None, None), "{coding}");
        assert_eq!(answered.header("vgi-supported-encodings"), Some(""), "{coding}");
        assert_eq!(answered.text().len(), 10_000, "{coding}");
    }
    assert_eq!(main().send(long()).header("vgi-supported-encodings"), Some(ALL_CODINGS));
}

#[test]
fn vary_names_what_the_answer_depends_on() {
    let vary = |server: &Server, request| server.send(request).header("vary").map(str::to_owned);
    let codings = Some("accept-encoding, x-vgi-accept-encoding".to_owned());
    for request in [long(), long().with("accept-encoding", "gzip"), long().with("accept-encoding", "br")] {
        assert_eq!(vary(&main(), request), codings, "whether or not this one is coded");
    }
    assert_eq!(vary(&main(), post("/vgi/test.Main.v1/echo", Bytes::new())), codings, "a refusal");
    assert_eq!(vary(&main(), ask("GET", "/vgi/health")), None, "a response never coded does not vary");
    assert_eq!(vary(&main(), ask("GET", "/vgi")), None);
    assert_eq!(vary(&serve_main(|builder| builder.compress(false)), long()), None);
}

#[test]
fn whole_streams_pass_in_codings() {
    let server = main();
    let coded = |request: Request<Bytes>| {
        let (head, body) = request.into_parts();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&body).unwrap();
        Request::from_parts(head, encoder.finish().unwrap().into()).with("content-encoding", "gzip")
    };
    let mut tokens = Tokens::of(&server.send(coded(init_count(3))));
    for at in 1..3 {
        let answered = server.send(coded(tick("count", &tokens)));
        assert_eq!(answered.told(), [format!("data {at}"), "token".into()]);
        tokens.follow(&answered);
    }
}

#[test]
fn a_request_may_be_several_frames_or_members() {
    let (_, body) = long().into_parts();
    let (first, second) = body.split_at(1000);
    let gzip = |part: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    #[cfg(feature = "zstd")]
    let zstd = |part: &[u8]| zstd::bulk::compress(part, 1).unwrap();
    let cases = [
        #[cfg(feature = "zstd")]
        ("zstd", [zstd(first), zstd(b""), zstd(second)].concat()),
        ("gzip", [gzip(first), gzip(b""), gzip(second)].concat()),
        ("x-gzip", [gzip(first), gzip(second)].concat()),
    ];
    for (coding, coded) in cases {
        let send = |body: Vec<u8>, most: u64| {
            let server = serve_main(|builder| builder.max_request_bytes(Some(most)));
            server.send(post("/vgi/test.Main.v1/echo", body.into()).with("content-encoding", coding))
        };
        let len = body.len() as u64;
        assert_eq!(send(coded.clone(), len).text().len(), 10_000, "{coding}");
        assert_eq!(send(coded.clone(), len - 1).status, 413, "{coding}: the sum is limited");
        let refused = send([&coded[..], b"junk"].concat(), len);
        assert_eq!((refused.status, refused.error().error_type()), (400, "ValueError"), "{coding}");
    }
}
