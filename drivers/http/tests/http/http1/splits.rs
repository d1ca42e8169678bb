//! However the input is split and passed in, the events and the output are the same.

use super::support::{Transcript, Way};
use proptest::prelude::*;
use vgi_rpc_http::http1::Limits;

/// Messages that follow one another on a connection: valid, unusual, and invalid.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(vec![
        &b"GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"[..],
        b"\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
        b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789",
        b"POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"POST /early-close HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2 ;z\r\nde\r\n0\r\nT: u\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"\r",
        b"x",
    ])
    .prop_map(<[u8]>::to_vec);
    let with_length = prop_oneof![0usize..100, 15_000usize..70_000].prop_map(|len| {
        let mut bytes = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n").into_bytes();
        bytes.extend((0..len).map(|index| b'a' + (index % 23) as u8));
        bytes
    });
    let chunked = prop::collection::vec(prop_oneof![1usize..50, 1000usize..40_000], 0..5).prop_map(|sizes| {
        let mut bytes = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for size in sizes {
            bytes.extend(format!("{size:x}\r\n").bytes());
            bytes.extend((0..size).map(|index| b'a' + (index % 19) as u8));
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    });
    prop_oneof![4 => fixed, 1 => with_length, 1 => chunked]
}

/// A stream of messages, sometimes with changed bytes.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (prop::collection::vec(message(), 1..6), prop_oneof![3 => Just(Vec::new()), 2 => changes]).prop_map(
        |(messages, changes)| {
            let mut bytes = messages.concat();
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            bytes
        },
    )
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_head_bytes = 300;
    limits.max_target_bytes = 100;
    limits.max_trailer_bytes = 60;
    limits.max_fields = 5;
    limits
}

/// Like [`super::support::serve`], without `100 Continue`, which depends on what arrives with the head.
fn serve<'a>(
    limits: Limits,
    portions: impl IntoIterator<Item = &'a [u8]>,
    way: Way,
    eof: bool,
) -> Transcript {
    let mut transcript = super::support::serve(limits, portions, way, eof);
    transcript.output = transcript.output.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    transcript
}

fn served(bytes: &[u8], cuts: &[prop::sample::Index], way: Way, eof: bool) -> Transcript {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut portions = Vec::new();
    let mut start = 0;
    for place in places {
        portions.push(&bytes[start..place]);
        start = place;
    }
    portions.push(&bytes[start..]);
    serve(limits(), portions, way, eof)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(9112),
        ..ProptestConfig::default()
    })]

    #[test]
    fn splits_change_nothing(
        bytes in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        eof in any::<bool>(),
    ) {
        let whole = served(&bytes, &[], Way::Receive, eof);
        prop_assert_eq!(&served(&bytes, &cuts, Way::Receive, eof), &whole);
        prop_assert_eq!(&served(&bytes, &cuts, Way::ReadBuf, eof), &whole);
        prop_assert_eq!(&served(&bytes, &[], Way::ReadBuf, eof), &whole);
        if bytes.len() < 4000 {
            prop_assert_eq!(&serve(limits(), bytes.chunks(1), Way::Receive, eof), &whole);
            prop_assert_eq!(&serve(limits(), bytes.chunks(1), Way::ReadBuf, eof), &whole);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), eof in any::<bool>()) {
        let whole = serve(limits(), [&bytes[..]], Way::Receive, eof);
        prop_assert_eq!(&serve(limits(), bytes.chunks(3), Way::ReadBuf, eof), &whole);
    }
}
