//! Content codings: decoded bodies are within the limit and the same for every decoder, coded bodies decode to
//! themselves, and any header value names codings or is refused.
//!
//! The first byte of an input selects the kind of the rest, and the second the limit on a decoded body.

use crate::support::edits;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::cell::OnceCell;
use vgi_rpc_protocol::http::coding::{
    CodecSettings, Codecs, Coding, DecodeError, choose, of_request, of_response,
};
use vgi_rpc_protocol::http::headers;

/// Decodes, codes or negotiates the input in `data`.
pub fn run(data: &[u8]) {
    let Some(([manner, size], rest)) = data.split_first_chunk::<2>() else { return };
    let coding = Coding::ALL[usize::from(manner & 1)];
    let max = match size >> 6 {
        0 => u64::from(*size),
        1 => u64::from(size & 0x3f) << 7,
        2 => u64::from(size & 0x3f) << 14,
        _ => 1 << 20,
    };
    match manner >> 1 & 3 {
        0 => decode(coding, rest, max),
        1 => code(coding, rest, *size),
        2 => code_and_edit(coding, rest, max),
        _ => negotiate(rest, *manner),
    }
}

thread_local! {
    /// Kept between inputs, as in a server: a failure must not affect later uses.
    static USED: OnceCell<Codecs> = const { OnceCell::new() };
}

fn used<T>(work: impl FnOnce(&Codecs) -> T) -> T {
    USED.with(|cell| work(cell.get_or_init(Codecs::default)))
}

fn decode(coding: Coding, body: &[u8], max: u64) {
    let decoded = used(|codecs| codecs.decode(coding, body, max));
    assert_eq!(decoded, Codecs::default().decode(coding, body, max), "regardless of earlier uses");
    match decoded {
        Err(DecodeError::OverBudget(error)) => panic!("without a budget: {error}"),
        Ok(decoded) => {
            let len = decoded.len() as u64;
            assert!(len <= max, "{len} bytes of at most {max}");
            assert_eq!(used(|codecs| codecs.decode(coding, body, len)).as_ref(), Ok(&decoded), "exactly");
            if let Some(less) = len.checked_sub(1) {
                let refused = used(|codecs| codecs.decode(coding, body, less));
                assert_eq!(refused, Err(DecodeError::TooLarge { max: less }));
            }
            let longer = [body, b"\0"].concat();
            let refused = used(|codecs| codecs.decode(coding, &longer, max));
            assert!(matches!(refused, Err(DecodeError::Corrupt { .. })), "something follows it");
        }
        Err(DecodeError::TooLarge { max: told }) => assert_eq!(told, max),
        Err(DecodeError::Corrupt { coding: told, .. }) => assert_eq!(told, coding),
    }
}

/// Bytes in segments, repeated so that coding them is worth it.
fn segments(data: &[u8], cut: u8) -> Vec<Bytes> {
    if data.is_empty() {
        return vec![Bytes::new()];
    }
    let data = Bytes::from(data.repeat(2500_usize.div_ceil(data.len())));
    let cut = usize::from(cut) * 16 % data.len();
    if cut == 0 { vec![data] } else { vec![data.slice(..cut), Bytes::new(), data.slice(cut..)] }
}

fn code(coding: Coding, data: &[u8], cut: u8) {
    let segments = segments(data, cut);
    let whole = segments.concat();
    let levels = CodecSettings { zstd_level: i32::from(cut % 6) - 2, gzip_level: u32::from(cut % 8) };
    for coded in
        [used(|codecs| codecs.encode(coding, &segments)), Codecs::new(levels).encode(coding, &segments)]
    {
        let Some(coded) = coded else { continue };
        assert!(coded.len() < whole.len(), "a body that does not shrink is not coded");
        let decoded = used(|codecs| codecs.decode(coding, &coded, whole.len() as u64));
        assert_eq!(decoded.as_deref(), Ok(&whole[..]));
        decode(coding, &coded, whole.len() as u64 - 1);
    }
}

/// Codes a body and edits it: the input contains the body's length, the body, and the edits.
fn code_and_edit(coding: Coding, data: &[u8], max: u64) {
    let Some((len, rest)) = data.split_first() else { return };
    let (body, edits) = rest.split_at(rest.len().min(usize::from(*len)));
    let Some(coded) = used(|codecs| codecs.encode(coding, &segments(body, 0))) else { return };
    decode(coding, &edits::apply(&coded, edits).0, max);
}

/// Each line is a header's value; the first byte selects the header.
fn negotiate(data: &[u8], manner: u8) {
    let names: [HeaderName; 4] = [
        header::ACCEPT_ENCODING,
        headers::ACCEPT_ENCODING,
        header::CONTENT_ENCODING,
        headers::CONTENT_ENCODING,
    ];
    let mut map = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((which, value)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        map.append(names[usize::from(which & 3)].clone(), value);
    }
    let both = [Coding::Zstd, Coding::Gzip];
    let producible = [&both[..], &both[..1], &both[1..], &[]][usize::from(manner >> 3 & 3)];
    if let Some((coding, named)) = choose(&map, producible) {
        assert!(producible.contains(&coding));
        assert!([header::CONTENT_ENCODING, headers::CONTENT_ENCODING].contains(&named));
        let asked_for = if named == header::CONTENT_ENCODING { &names[0] } else { &names[1] };
        assert!(map.contains_key(asked_for), "{coding} was not requested");
    }
    for named in [of_request(&map), of_response(&map)] {
        match named {
            Ok(None) => {}
            Ok(Some(coding)) => {
                let says = |name| {
                    let mut lines = map.get_all(name).iter().filter_map(|line| line.to_str().ok());
                    lines.any(|line| line.to_ascii_lowercase().contains(coding.as_str()))
                };
                assert!(says(&names[2]) || says(&names[3]), "{coding} was not listed");
            }
            Err(unsupported) => assert!(unsupported.found.len() <= 1000, "repeated text is truncated"),
        }
    }
}
