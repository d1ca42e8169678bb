//! Compression of a token's contents before encryption, because encrypted data cannot be compressed (WIRE_PROTOCOL 10,
//! "Compression happens inside the seal").

#[cfg(feature = "zstd")]
use super::compression::{compress, decompress};
use super::error::TokenError;
use super::key::TAG_BYTES;
use bytes::Bytes;

const RAW: u8 = 0;
const ZSTD: u8 = 1;

/// Shorter contents are not compressed. They consist mostly of ids and times, which do not compress, and a zstd frame adds a
/// dozen bytes: at best, two dozen bytes would be saved.
const WORTH_A_TRY: usize = 64;

/// Appends the codec's number and the contents, compressed if that makes them smaller.
pub(super) fn pack(contents: &[u8], into: &mut Vec<u8>) {
    let compressed = (contents.len() >= WORTH_A_TRY).then(|| compress(contents)).flatten();
    let (codec, payload) = match &compressed {
        Some(smaller) if smaller.len() < contents.len() => (ZSTD, smaller.as_slice()),
        _ => (RAW, contents),
    };
    // With space for the tag, which is appended next.
    into.reserve(1 + payload.len() + TAG_BYTES);
    into.push(codec);
    into.extend_from_slice(payload);
}

/// Reverses [`pack`]. More than `limit` bytes are refused and never written.
pub(super) fn unpack(mut packed: Bytes, limit: usize) -> Result<Bytes, TokenError> {
    let codec = *packed.first().ok_or(TokenError::Invalid)?;
    let payload = packed.split_off(1);
    match codec {
        RAW if payload.len() <= limit => Ok(payload),
        // Without this check, no input would be accepted as an empty frame.
        ZSTD if !payload.is_empty() => {
            decompress(&payload, limit).map(Bytes::from).ok_or(TokenError::Invalid)
        }
        _ => Err(TokenError::Invalid),
    }
}

/// Without zstd, contents are never compressed.
#[cfg(not(feature = "zstd"))]
fn compress(_contents: &[u8]) -> Option<Vec<u8>> {
    None
}

/// Without zstd, this server has issued no compressed token.
#[cfg(not(feature = "zstd"))]
fn decompress(_payload: &[u8], _limit: usize) -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(contents: &[u8]) -> Bytes {
        let mut into = Vec::new();
        pack(contents, &mut into);
        into.into()
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn a_large_redundant_text_is_compressed() {
        let contents: Vec<u8> = (0..8192_u32).map(|at| (at / 7 % 11) as u8).collect();
        let small = packed(&contents);
        assert_eq!(small[0], ZSTD);
        assert!(small.len() < contents.len() / 4, "{} bytes", small.len());
        assert_eq!(unpack(small, contents.len()).unwrap(), contents);
    }

    #[test]
    fn what_does_not_compress_stays_raw_and_does_not_grow() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(4096)
        .collect();
        for contents in [&[][..], &[7], &[0; WORTH_A_TRY - 1], &noise] {
            let same = packed(contents);
            assert_eq!((same[0], same.len()), (RAW, contents.len() + 1));
            assert_eq!(unpack(same, contents.len()).unwrap(), contents);
        }
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn contents_beyond_the_limit_are_refused_in_either_codec() {
        let bomb = packed(&vec![0; 1 << 20]);
        assert!(bomb.len() < 1024);
        assert_eq!(unpack(bomb.clone(), (1 << 20) - 1), Err(TokenError::Invalid));
        assert_eq!(unpack(bomb, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(unpack(packed(&[1; 10]), 9), Err(TokenError::Invalid));
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn a_frame_that_hides_or_understates_its_size_is_refused_too() {
        // Streamed frames record no size; two frames in a row record half of it each.
        let hidden = zstd::stream::encode_all(&vec![0; 1 << 20][..], 3).unwrap();
        let one = zstd::bulk::compress(&vec![0; 1 << 19], 3).unwrap();
        for payload in [hidden, [one.clone(), one].concat()] {
            let bomb = Bytes::from([&[ZSTD][..], &payload].concat());
            assert_eq!(unpack(bomb.clone(), (1 << 20) - 1), Err(TokenError::Invalid));
            assert_eq!(unpack(bomb, 1 << 20).unwrap().len(), 1 << 20);
        }
    }

    #[test]
    fn unknown_codecs_are_refused() {
        assert_eq!(unpack(Bytes::new(), 100), Err(TokenError::Invalid));
        for codec in 2..=255 {
            assert_eq!(unpack(vec![codec, 1, 2, 3].into(), 100), Err(TokenError::Invalid));
        }
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn corrupt_payloads_are_refused() {
        let good = packed(&[5; 1000]);
        for end in 1..good.len() {
            assert_eq!(unpack(good.slice(..end), 1000), Err(TokenError::Invalid), "cut at {end}");
        }
        assert_eq!(unpack(good, 1000).unwrap(), vec![5; 1000], "a failure must not spoil the context");
    }
}
