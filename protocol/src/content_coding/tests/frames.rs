//! zstd frames as other writers make them: without a size, skippable, with too large a window, or with a false size.

use super::*;
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

/// Returns a frame by a peer that did not know the size in advance.
fn frame_without_size(body: &[u8]) -> Vec<u8> {
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

/// Returns a skippable frame: decoders ignore its content.
fn skippable(content: &[u8]) -> Vec<u8> {
    let mut frame = 0x184d_2a53_u32.to_le_bytes().to_vec();
    frame.extend_from_slice(&(content.len() as u32).to_le_bytes());
    frame.extend_from_slice(content);
    frame
}

#[test]
fn frames_of_every_kind_are_decoded_one_after_the_other() {
    let body = text(150_000);
    let (first, second) = body.split_at(50_000);
    let (one, other) = (coded(Coding::Zstd, first), coded(Coding::Zstd, second));
    let (skipped, unsized_one) = (skippable(b"skip"), frame_without_size(first));
    let several = [&skipped[..], &one, &skippable(b""), &other, &skipped].concat();
    assert_decodes(Coding::Zstd, &several, &body);
    let several = [&unsized_one[..], &skipped, &other, &frame_without_size(b"")].concat();
    assert_decodes(Coding::Zstd, &several, &body);
    assert_eq!(Codecs::default().decode(Coding::Zstd, &skipped, 0).unwrap(), "");
}

#[test]
fn the_limit_holds_over_the_sum_of_frames_without_a_size() {
    let codecs = Codecs::default();
    let several = frame_without_size(&vec![0; 1 << 20]).repeat(4);
    assert_eq!(codecs.decode(Coding::Zstd, &several, 4 << 20).unwrap().len(), 4 << 20);
    let max = (4 << 20) - 1;
    assert_eq!(codecs.decode(Coding::Zstd, &several, max), Err(DecodeError::TooLarge { max }));
}

#[test]
fn damage_to_a_frame_without_a_size_is_noticed() {
    let body = text(100_000);
    assert_damage_is_noticed(&Codecs::default(), Coding::Zstd, &frame_without_size(&body), &body);
}

#[test]
fn every_frame_keeps_to_the_largest_window() {
    // An empty frame with a window of 16 MiB, which only a streaming decoder has to allocate.
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
fn a_frame_that_announces_a_huge_size_takes_no_memory_for_it() {
    // Single segment, 8-byte content size, then an empty last block.
    let mut lie = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    lie.extend_from_slice(&(1_u64 << 40).to_le_bytes());
    lie.extend_from_slice(&[1, 0, 0]);
    let refused = Codecs::default().decode(Coding::Zstd, &lie, u64::MAX);
    assert!(matches!(refused, Err(DecodeError::Corrupt { coding: Coding::Zstd, .. })), "{refused:?}");
    assert_eq!(Codecs::default().decode(Coding::Zstd, &lie, 9), Err(DecodeError::TooLarge { max: 9 }));
}
