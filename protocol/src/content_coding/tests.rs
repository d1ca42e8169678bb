//! Bodies as peers and attackers encode them.

#[cfg(feature = "zstd")]
mod frames;

mod pieces;

use super::*;
use bytes::Bytes;

/// Returns text that is compressible, but not so much that its size is not trusted.
fn text(len: usize) -> Bytes {
    (0_u64..).flat_map(|n| format!("{:x} ", n.wrapping_mul(n) % 65_537).into_bytes()).take(len).collect()
}

/// Returns pseudorandom bytes, which do not shrink.
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
    for &coding in Coding::ALL {
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
    for &coding in Coding::ALL {
        assert_eq!(codecs.encode(coding, &[]), None);
        assert_eq!(codecs.encode(coding, &[text(1023)]), None);
        assert!(codecs.encode(coding, &[text(1024)]).is_some());
        assert_eq!(codecs.encode(coding, &[noise(70_000)]), None);
        assert_eq!(codecs.encode(coding, &split(&noise(70_000), &[10, 50_000])), None);
        // A decode that was abandoned must not affect the next one.
        let body = text(50_000);
        let coded = codecs.encode(coding, &split(&body, &[20_000])).unwrap();
        assert_eq!(codecs.decode(coding, &coded, 50_000).unwrap(), body);
    }
}

#[test]
fn the_limit_is_kept_to_the_byte() {
    let codecs = Codecs::default();
    // The second shrinks so much that its size is not trusted at first.
    for body in [text(70_000), Bytes::from(vec![0; (1 << 20) + 70_000])] {
        let len = body.len() as u64;
        for &coding in Coding::ALL {
            let coded = codecs.encode(coding, std::slice::from_ref(&body)).unwrap();
            assert_eq!(codecs.decode(coding, &coded, len).unwrap(), body);
            assert_eq!(codecs.decode(coding, &coded, u64::MAX).unwrap(), body);
            let refused = codecs.decode(coding, &coded, len - 1);
            assert_eq!(refused, Err(DecodeError::TooLarge { max: len - 1 }), "{coding}");
            assert_eq!(codecs.decode(coding, &coded, 0), Err(DecodeError::TooLarge { max: 0 }), "{coding}");
        }
    }
}

fn coded(coding: Coding, body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    match coding {
        #[cfg(feature = "zstd")]
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

/// Checks that consecutive frames or members of `body` decode within the limit, and that trailing data is refused.
fn assert_decodes(coding: Coding, several: &[u8], body: &[u8]) {
    let (codecs, max) = (Codecs::default(), body.len() as u64);
    assert_eq!(codecs.decode(coding, several, max).unwrap(), body, "{coding}");
    let refused = codecs.decode(coding, several, max - 1);
    assert_eq!(refused, Err(DecodeError::TooLarge { max: max - 1 }), "{coding}");
    for junk in [&b"junk"[..], &[0; 20], &several[..7]] {
        let refused = codecs.decode(coding, &[several, junk].concat(), 1 << 20);
        assert!(matches!(refused, Err(DecodeError::Corrupt { .. })), "{coding}: {refused:?}");
    }
}

#[test]
fn a_body_of_several_frames_or_members_is_their_contents_one_after_the_other() {
    let codecs = Codecs::default();
    let body = text(150_000);
    let (first, second) = body.split_at(50_000);
    for &coding in Coding::ALL {
        let (one, other, empty) = (coded(coding, first), coded(coding, second), coded(coding, b""));
        assert_decodes(coding, &[&one[..], &other].concat(), &body);
        assert_decodes(coding, &[&empty[..], &one, &empty, &empty, &other, &empty].concat(), &body);
        assert_eq!(codecs.decode(coding, &empty, 0).unwrap(), "", "{coding}");
        assert!(codecs.decode(coding, b"", 10).is_err(), "{coding}: no frame or member at all");
    }
}

#[test]
fn the_limit_holds_over_the_sum_of_frames_that_shrink_far() {
    let codecs = Codecs::default();
    let megabyte = vec![0; 1 << 20];
    for &coding in Coding::ALL {
        let several = coded(coding, &megabyte).repeat(4);
        assert_eq!(codecs.decode(coding, &several, 4 << 20).unwrap().len(), 4 << 20, "{coding}");
        for max in [(4 << 20) - 1, 1 << 20, 5] {
            assert_eq!(codecs.decode(coding, &several, max), Err(DecodeError::TooLarge { max }), "{coding}");
        }
    }
}

/// Checks that a body damaged in any of several ways is corrupt, and that the same contexts then decode the intact body.
fn assert_damage_is_noticed(codecs: &Codecs, coding: Coding, whole: &[u8], body: &[u8]) {
    let corrupt = |bytes: &[u8]| {
        let refused = codecs.decode(coding, bytes, 1 << 20);
        assert!(matches!(refused, Err(DecodeError::Corrupt { .. })), "{coding}: {refused:?}");
    };
    (0..whole.len()).step_by(997).for_each(|len| corrupt(&whole[..len]));
    corrupt(&whole[..whole.len() - 1]);
    corrupt(b"not coded at all");
    corrupt(&[whole, b"x"].concat());
    corrupt(&[whole, &whole[..whole.len() - 1]].concat());
    corrupt(&[whole, &[0; 8]].concat());
    assert_eq!(codecs.decode(coding, whole, 1 << 20).unwrap(), body);
}

#[test]
fn damaged_bodies_are_corrupt_and_leave_the_contexts_usable() {
    let (codecs, body) = (Codecs::default(), text(100_000));
    for &coding in Coding::ALL {
        let whole = codecs.encode(coding, std::slice::from_ref(&body)).unwrap();
        assert_damage_is_noticed(&codecs, coding, &whole, &body);
    }
}

#[test]
fn no_flipped_bit_is_more_than_an_error() {
    let codecs = Codecs::default();
    let body = text(1024);
    for &coding in Coding::ALL {
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
fn bodies_of_the_canonical_implementation_are_decoded() {
    // Output of python-zstandard at level 1 and zlib at level 6 for b"vgi " * 5.
    #[cfg(feature = "zstd")]
    let zstd = b"\x28\xb5\x2f\xfd\x20\x14\x55\x00\x00\x20\x76\x67\x69\x20\x01\x00\x23\x8e\x08";
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x2b\x4b\xcf\x54\x28\x43\xc3\x00\x57\x46\xc2\xcb\x14\x00\x00\x00";
    let body = "vgi ".repeat(5);
    let codecs = Codecs::default();
    #[cfg(feature = "zstd")]
    assert_eq!(codecs.decode(Coding::Zstd, zstd, 20).unwrap(), body);
    assert_eq!(codecs.decode(Coding::Gzip, gzip, 20).unwrap(), body);
}
