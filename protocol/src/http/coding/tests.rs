//! Negotiation as clients write it, and bodies as peers and attackers make them.

use super::*;
use bytes::Bytes;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    headers
}

fn chosen(lines: &[(&str, &str)]) -> Option<(Coding, String)> {
    choose(&headers(lines), &Coding::ALL).map(|(coding, header)| (coding, header.to_string()))
}

fn zstd_in(header: &str) -> Option<(Coding, String)> {
    Some((Coding::Zstd, header.to_owned()))
}

fn gzip_in(header: &str) -> Option<(Coding, String)> {
    Some((Coding::Gzip, header.to_owned()))
}

#[test]
fn the_custom_offer_outranks_the_standard_one() {
    let standard = ("accept-encoding", "deflate, gzip, br, zstd");
    assert_eq!(chosen(&[standard, ("x-vgi-accept-encoding", "zstd, gzip")]), zstd_in("content-encoding"));
    assert_eq!(chosen(&[standard]), gzip_in("content-encoding"));
    let custom = ("x-vgi-accept-encoding", "gzip");
    assert_eq!(chosen(&[custom, ("accept-encoding", "")]), gzip_in("x-vgi-content-encoding"));
    assert_eq!(chosen(&[custom, ("accept-encoding", "zstd")]), gzip_in("x-vgi-content-encoding"));
    assert_eq!(
        chosen(&[("x-vgi-accept-encoding", "br"), ("accept-encoding", "zstd")]),
        zstd_in("content-encoding")
    );
}

#[test]
fn identity_ends_the_search() {
    assert_eq!(chosen(&[("x-vgi-accept-encoding", "identity"), ("accept-encoding", "gzip, zstd")]), None);
    assert_eq!(chosen(&[("accept-encoding", "identity, gzip")]), None);
    assert_eq!(chosen(&[("accept-encoding", "Gzip, identity")]), gzip_in("content-encoding"));
    assert_eq!(chosen(&[("accept-encoding", "identity;q=0, gzip")]), gzip_in("content-encoding"));
}

#[test]
fn order_decides_and_quality_only_withdraws() {
    assert_eq!(chosen(&[("accept-encoding", "gzip;q=0.1, zstd;q=0.9")]), gzip_in("content-encoding"));
    assert_eq!(chosen(&[("accept-encoding", "gzip ; Q = 0.0, zstd;q=0.001")]), zstd_in("content-encoding"));
    assert_eq!(
        chosen(&[("x-vgi-accept-encoding", "gzip"), ("accept-encoding", "gzip;q=0")]),
        gzip_in("x-vgi-content-encoding")
    );
    assert_eq!(chosen(&[("accept-encoding", "x-gzip")]), gzip_in("content-encoding"));
    assert_eq!(chosen(&[("accept-encoding", "*")]), None);
    assert_eq!(chosen(&[("accept-encoding", "br, deflate")]), None);
    assert_eq!(chosen(&[]), None);
}

#[test]
fn offers_may_span_lines() {
    assert_eq!(
        chosen(&[("accept-encoding", "br,,"), ("accept-encoding", " zstd")]),
        zstd_in("content-encoding")
    );
}

#[test]
fn what_cannot_be_produced_is_passed_over() {
    let offer = headers(&[("accept-encoding", "zstd, gzip")]);
    assert_eq!(choose(&offer, &[]), None);
    assert_eq!(choose(&offer, &[Coding::Gzip]), Some((Coding::Gzip, CONTENT_ENCODING)));
}

#[test]
fn a_body_has_one_known_coding_or_none() {
    let coding = |value: &str| of_request(&headers(&[("content-encoding", value)]));
    assert_eq!(of_request(&HeaderMap::new()), Ok(None));
    assert_eq!(coding(""), Ok(None));
    assert_eq!(coding("identity"), Ok(None));
    assert_eq!(coding(" ZSTD "), Ok(Some(Coding::Zstd)));
    assert_eq!(coding("gzip"), Ok(Some(Coding::Gzip)));
    assert_eq!(coding("X-Gzip"), Ok(Some(Coding::Gzip)));
    assert_eq!(coding("x-zstd"), Err(Unsupported { found: "x-zstd".into() }));
    assert_eq!(coding("br"), Err(Unsupported { found: "br".into() }));
    assert_eq!(coding("zstd, gzip"), Err(Unsupported { found: "zstd, gzip".into() }));
    let lines = headers(&[("content-encoding", "zstd"), ("content-encoding", "zstd")]);
    assert_eq!(of_request(&lines), Err(Unsupported { found: "zstd, zstd".into() }));
    assert_eq!(coding(&"x".repeat(5000)).unwrap_err().found, "x".repeat(64) + "…");
    let mut binary = HeaderMap::new();
    binary.insert(CONTENT_ENCODING, http::HeaderValue::from_bytes(b"\xff").unwrap());
    assert!(of_request(&binary).is_err());
}

#[test]
fn a_response_names_its_coding_in_either_header() {
    let coding = |lines| of_response(&headers(lines));
    assert_eq!(coding(&[("x-vgi-content-encoding", "gzip")]), Ok(Some(Coding::Gzip)));
    assert_eq!(coding(&[("content-encoding", "zstd")]), Ok(Some(Coding::Zstd)));
    assert_eq!(coding(&[]), Ok(None));
    assert!(coding(&[("content-encoding", "zstd"), ("x-vgi-content-encoding", "gzip")]).is_err());
}

/// Text that shrinks, but not so far that a size is not believed.
fn text(len: usize) -> Bytes {
    (0_u64..).flat_map(|n| format!("{:x} ", n.wrapping_mul(n) % 65_537).into_bytes()).take(len).collect()
}

/// Pseudorandom bytes, which do not shrink.
fn noise(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn split(body: &Bytes, at: &[usize]) -> Vec<Bytes> {
    let mut segments = Vec::new();
    let mut from = 0;
    for to in at.iter().copied().chain([body.len()]) {
        segments.push(body.slice(from..to));
        from = to;
    }
    segments
}

#[test]
fn bodies_come_back_from_any_segments() {
    let codecs = Codecs::default();
    let body = text(140_000);
    let splits: [&[usize]; 4] = [&[], &[0, 1, 2, 9], &[70_000], &[65_536, 65_536, 131_072, 139_999]];
    for coding in Coding::ALL {
        for at in splits {
            let coded = codecs.encode(coding, &split(&body, at)).unwrap();
            assert!(coded.len() < body.len() * 2 / 3, "{coding} {}", coded.len());
            let decoded = codecs.decode(coding, &coded, body.len() as u64).unwrap();
            assert_eq!(decoded, body, "{coding} {at:?}");
            assert_eq!(decoded.as_ptr().align_offset(64), 0);
        }
    }
}

#[test]
fn short_bodies_and_bodies_that_do_not_shrink_stay_as_they_are() {
    let codecs = Codecs::default();
    for coding in Coding::ALL {
        assert_eq!(codecs.encode(coding, &[]), None);
        assert_eq!(codecs.encode(coding, &[text(1023)]), None);
        assert!(codecs.encode(coding, &[text(1024)]).is_some());
        assert_eq!(codecs.encode(coding, &[noise(70_000)]), None);
        assert_eq!(codecs.encode(coding, &split(&noise(70_000), &[10, 50_000])), None);
        // What was given up must not show in what comes next.
        let body = text(50_000);
        let coded = codecs.encode(coding, &split(&body, &[20_000])).unwrap();
        assert_eq!(codecs.decode(coding, &coded, 50_000).unwrap(), body);
    }
}

#[test]
fn the_limit_is_kept_to_the_byte() {
    let codecs = Codecs::default();
    // The second shrinks so far that its size is not believed at once.
    for body in [text(70_000), Bytes::from(vec![0; (1 << 20) + 70_000])] {
        let len = body.len() as u64;
        for coding in Coding::ALL {
            let coded = codecs.encode(coding, std::slice::from_ref(&body)).unwrap();
            assert_eq!(codecs.decode(coding, &coded, len).unwrap(), body);
            assert_eq!(codecs.decode(coding, &coded, u64::MAX).unwrap(), body);
            let refused = codecs.decode(coding, &coded, len - 1);
            assert_eq!(refused, Err(DecodeError::TooLarge { max: len - 1 }), "{coding}");
            assert_eq!(codecs.decode(coding, &coded, 0), Err(DecodeError::TooLarge { max: 0 }), "{coding}");
        }
    }
}

/// A frame made by a peer that did not know the size when it began.
fn frame_without_size(body: &[u8]) -> Vec<u8> {
    use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};
    let mut context = CCtx::create();
    context.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
    context.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
    let mut coded = Vec::with_capacity(zstd::zstd_safe::compress_bound(body.len()));
    let mut output = OutBuffer::around(&mut coded);
    let mut input = InBuffer::around(body);
    context.compress_stream(&mut output, &mut input).unwrap();
    assert_eq!((input.pos(), context.end_stream(&mut output).unwrap()), (body.len(), 0));
    coded
}

#[test]
fn a_frame_without_its_size_is_decoded_and_limited() {
    let codecs = Codecs::default();
    for len in [0, 1, 4096, 3_000_000] {
        let body = text(len);
        let coded = frame_without_size(&body);
        assert_eq!(codecs.decode(Coding::Zstd, &coded, len as u64).unwrap(), body);
        if let Some(max) = len.checked_sub(1) {
            let max = max as u64;
            assert_eq!(codecs.decode(Coding::Zstd, &coded, max), Err(DecodeError::TooLarge { max }));
        }
    }
}

/// A skippable frame: ignored, whatever is in it.
fn skippable(content: &[u8]) -> Vec<u8> {
    let mut frame = 0x184d_2a53_u32.to_le_bytes().to_vec();
    frame.extend_from_slice(&(content.len() as u32).to_le_bytes());
    frame.extend_from_slice(content);
    frame
}

fn coded(coding: Coding, body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    match coding {
        Coding::Zstd => zstd::bulk::compress(body, 1).unwrap(),
        Coding::Gzip => {
            let mut encoder = flate2::GzBuilder::new()
                .filename("a name")
                .comment("a comment")
                .extra([1, 2, 3])
                .write(Vec::new(), flate2::Compression::fast());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
    }
}

#[test]
fn a_body_of_several_frames_or_members_is_their_contents_one_after_the_other() {
    let codecs = Codecs::default();
    let body = text(150_000);
    let (first, second) = body.split_at(50_000);
    for coding in Coding::ALL {
        let (one, other, empty) = (coded(coding, first), coded(coding, second), coded(coding, b""));
        let mut bodies =
            vec![[&one[..], &other].concat(), [&empty[..], &one, &empty, &empty, &other, &empty].concat()];
        if coding == Coding::Zstd {
            let (skipped, unsized_one) = (skippable(b"skip"), frame_without_size(first));
            bodies.push([&skipped[..], &one, &skippable(b""), &other, &skipped].concat());
            bodies.push([&unsized_one[..], &skipped, &other, &frame_without_size(b"")].concat());
        }
        for (at, several) in bodies.iter().enumerate() {
            assert_eq!(codecs.decode(coding, several, 150_000).unwrap(), body, "{coding} {at}");
            let refused = codecs.decode(coding, several, 149_999);
            assert_eq!(refused, Err(DecodeError::TooLarge { max: 149_999 }), "{coding} {at}");
            for junk in [&b"junk"[..], &[0; 20], &several[..7]] {
                let refused = codecs.decode(coding, &[several, junk].concat(), 1 << 20);
                assert!(matches!(refused, Err(DecodeError::Corrupt { .. })), "{coding} {at}: {refused:?}");
            }
        }
        assert_eq!(codecs.decode(coding, &empty, 0).unwrap(), "", "{coding}");
        assert!(codecs.decode(coding, b"", 10).is_err(), "{coding}: no frame or member at all");
    }
    assert_eq!(codecs.decode(Coding::Zstd, &skippable(b"skip"), 0).unwrap(), "");
}

#[test]
fn the_limit_holds_over_the_sum_of_frames_that_shrink_far() {
    let codecs = Codecs::default();
    let megabyte = vec![0; 1 << 20];
    for coding in Coding::ALL {
        let several = coded(coding, &megabyte).repeat(4);
        assert_eq!(codecs.decode(coding, &several, 4 << 20).unwrap().len(), 4 << 20, "{coding}");
        for max in [(4 << 20) - 1, 1 << 20, 5] {
            assert_eq!(codecs.decode(coding, &several, max), Err(DecodeError::TooLarge { max }), "{coding}");
        }
    }
    let several = frame_without_size(&megabyte).repeat(4);
    assert_eq!(codecs.decode(Coding::Zstd, &several, 4 << 20).unwrap().len(), 4 << 20);
    let max = (4 << 20) - 1;
    assert_eq!(codecs.decode(Coding::Zstd, &several, max), Err(DecodeError::TooLarge { max }));
}

#[test]
fn every_frame_keeps_to_the_largest_window() {
    // A frame of no content with a window of 16 MiB, which only a decoder that goes in steps has to hold.
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0, (24 - 10) << 3, 1, 0, 0];
    let narrow = [0x28, 0xb5, 0x2f, 0xfd, 0, (23 - 10) << 3, 1, 0, 0];
    let codecs = Codecs::default();
    assert_eq!(codecs.decode(Coding::Zstd, &narrow.repeat(3), 10).unwrap(), "");
    for body in [wide.to_vec(), [narrow, wide].concat()] {
        let refused = codecs.decode(Coding::Zstd, &body, 10);
        assert!(matches!(refused, Err(DecodeError::Corrupt { .. })), "{refused:?}");
    }
}

#[test]
fn damaged_bodies_are_corrupt_and_leave_the_contexts_usable() {
    let codecs = Codecs::default();
    let body = text(100_000);
    let mut coded: Vec<(Coding, Vec<u8>)> = Coding::ALL
        .map(|coding| (coding, codecs.encode(coding, std::slice::from_ref(&body)).unwrap()))
        .to_vec();
    coded.push((Coding::Zstd, frame_without_size(&body)));
    for (coding, whole) in coded {
        let corrupt = |bytes: &[u8]| {
            let refused = codecs.decode(coding, bytes, 1 << 20);
            assert!(matches!(refused, Err(DecodeError::Corrupt { .. })), "{coding}: {refused:?}");
        };
        (0..whole.len()).step_by(997).for_each(|len| corrupt(&whole[..len]));
        corrupt(&whole[..whole.len() - 1]);
        corrupt(b"not coded at all");
        corrupt(&[&whole[..], b"x"].concat());
        corrupt(&[&whole[..], &whole[..whole.len() - 1]].concat());
        corrupt(&[&whole[..], &[0; 8]].concat());
        assert_eq!(codecs.decode(coding, &whole, 1 << 20).unwrap(), body);
    }
}

#[test]
fn no_flipped_bit_is_more_than_an_error() {
    let codecs = Codecs::default();
    let body = text(1024);
    for coding in Coding::ALL {
        let whole = codecs.encode(coding, std::slice::from_ref(&body)).unwrap();
        for at in (0..200).chain((200..whole.len() * 8).step_by(13)) {
            let mut damaged = whole.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            if let Ok(decoded) = codecs.decode(coding, &damaged, 10_000) {
                assert!(decoded.len() <= 10_000);
            }
        }
    }
}

#[test]
fn a_frame_that_announces_a_huge_size_takes_no_memory_for_it() {
    // Single segment, 8-byte content size, then an empty last block.
    let mut lie = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    lie.extend_from_slice(&(1_u64 << 40).to_le_bytes());
    lie.extend_from_slice(&[1, 0, 0]);
    let refused = Codecs::default().decode(Coding::Zstd, &lie, u64::MAX);
    assert!(matches!(refused, Err(DecodeError::Corrupt { coding: Coding::Zstd, .. })), "{refused:?}");
    assert_eq!(Codecs::default().decode(Coding::Zstd, &lie, 9), Err(DecodeError::TooLarge { max: 9 }));
}

#[test]
fn bodies_of_the_canonical_implementation_are_decoded() {
    // python-zstandard at level 1 and zlib at level 6, of b"vgi " * 5.
    let zstd = b"\x28\xb5\x2f\xfd\x20\x14\x55\x00\x00\x20\x76\x67\x69\x20\x01\x00\x23\x8e\x08";
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x2b\x4b\xcf\x54\x28\x43\xc3\x00\x57\x46\xc2\xcb\x14\x00\x00\x00";
    let body = "vgi ".repeat(5);
    let codecs = Codecs::default();
    assert_eq!(codecs.decode(Coding::Zstd, zstd, 20).unwrap(), body);
    assert_eq!(codecs.decode(Coding::Gzip, gzip, 20).unwrap(), body);
}
