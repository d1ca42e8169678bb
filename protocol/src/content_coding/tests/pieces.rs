//! Bodies decode the same in pieces as whole, and are refused for the same reasons.

use super::*;
use crate::memory::Account;
#[cfg(feature = "zstd")]
use crate::memory::Budget;

/// Decodes a body that arrives in pieces of `piece` bytes, into memory of `space` bytes at a time.
fn decode(
    coding: Option<Coding>,
    body: &[u8],
    max: u64,
    (piece, space): (usize, usize),
    account: &Account,
) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(coding, max, account)?;
    let (mut decoded, mut space) = (Vec::new(), vec![0; space]);
    let mut pieces = body.chunks(piece);
    loop {
        let next = pieces.next();
        match next {
            Some(piece) => decoder.push(Bytes::copy_from_slice(piece)),
            None => decoder.end(),
        }
        loop {
            let count = decoder.read(&mut space)?;
            decoded.extend_from_slice(&space[..count]);
            if count == 0 {
                break;
            }
        }
        assert_eq!(decoder.decoded(), decoded.len() as u64);
        if next.is_none() {
            return Ok(decoded);
        }
    }
}

const SPLITS: [(usize, usize); 5] = [(1, 7), (2, 1), (13, 4096), (70_000, 100), (usize::MAX, 1 << 20)];

#[test]
fn pieces_of_any_size_decode_as_the_whole() {
    let body = text(30_000);
    let (first, second) = body.split_at(10_000);
    let account = Account::default();
    for &coding in Coding::ALL {
        let (one, other, empty) = (coded(coding, first), coded(coding, second), coded(coding, b""));
        let several = [&empty[..], &one, &empty, &other, &empty].concat();
        for split in SPLITS {
            let decoded = decode(Some(coding), &several, 30_000, split, &account);
            assert_eq!(decoded.unwrap(), body, "{coding} {split:?}");
            let refused = decode(Some(coding), &several, 29_999, split, &account);
            assert_eq!(refused, Err(DecodeError::TooLarge { max: 29_999 }), "{coding} {split:?}");
        }
    }
    for split in SPLITS {
        assert_eq!(decode(None, &body, 30_000, split, &account).unwrap(), body);
        assert_eq!(decode(None, &body, 0, split, &account), Err(DecodeError::TooLarge { max: 0 }));
    }
    assert_eq!(decode(None, b"", 0, SPLITS[0], &account).unwrap(), b"");
}

#[test]
fn what_is_cut_short_or_followed_by_something_else_is_corrupt() {
    let account = Account::default();
    for &coding in Coding::ALL {
        let whole = coded(coding, &text(3_000));
        let damaged = |body: &[u8], split| {
            let refused = decode(Some(coding), body, 10_000, split, &account);
            assert!(matches!(refused, Err(DecodeError::Corrupt { .. })), "{coding} {split:?}: {refused:?}");
        };
        for split in SPLITS {
            (0..whole.len()).step_by(97).for_each(|len| damaged(&whole[..len], split));
            damaged(&whole[..whole.len() - 1], split);
            damaged(&[&whole[..], b"x"].concat(), split);
            damaged(&[&whole[..], &[0; 20]].concat(), split);
            damaged(&[&whole[..], &whole[..7]].concat(), split);
            damaged(b"not coded at all", split);
        }
    }
}

#[test]
fn every_flipped_bit_has_the_outcome_that_it_has_in_one_piece() {
    let account = Account::default();
    for &coding in Coding::ALL {
        let whole = coded(coding, &text(300));
        for at in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            let decode = |split| decode(Some(coding), &damaged, 10_000, split, &account);
            let (bytewise, at_once) = (decode((1, 64)), decode((usize::MAX, 1 << 20)));
            assert_eq!(bytewise.clone().ok(), at_once.ok(), "{coding} {at}");
            let codecs = Codecs::default();
            assert_eq!(
                bytewise.ok(),
                codecs.decode(coding, &damaged, 10_000).ok().map(Vec::from),
                "{coding} {at}"
            );
        }
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_window_is_reserved_before_it_is_taken_and_given_back() {
    // An empty frame that requires a window of 8 MiB.
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0, (23 - 10) << 3, 1, 0, 0];
    let small = Budget::new(4 << 20);
    let refused = decode(Some(Coding::Zstd), &wide, 10, (1, 100), &small.account());
    assert!(matches!(refused, Err(DecodeError::OverBudget(_))), "{refused:?}");
    let large = Budget::new(16 << 20);
    let account = large.account();
    let mut decoder = Decoder::new(Some(Coding::Zstd), 10, &account).unwrap();
    decoder.push(Bytes::copy_from_slice(&wide));
    assert_eq!(decoder.read(&mut [0; 10]).unwrap(), 0);
    assert!(account.held() > 8 << 20, "{}", account.held());
    drop(decoder);
    assert_eq!(account.held(), 0);
    // A frame whose window is its content needs no more memory than that, whatever the budget.
    let few = coded(Coding::Zstd, &text(1_000));
    let decoded = decode(Some(Coding::Zstd), &few, 1_000, (1, 100), &Budget::new(1 << 20).account());
    assert_eq!(decoded.unwrap(), text(1_000));
}

#[test]
fn a_failed_decoder_keeps_its_error() {
    let mut decoder = Decoder::new(Some(Coding::Gzip), 10, &Account::default()).unwrap();
    decoder.push(Bytes::from_static(b"not gzip at all, and more of it"));
    let error = decoder.read(&mut [0; 10]).unwrap_err();
    assert_eq!(decoder.read(&mut [0; 10]), Err(error));
}
