//! Every truncation and every damaged byte: each machine finishes, and none panics.

use super::*;

/// Returns streams with every part of a header and a body, small enough to damage every byte.
fn small_streams() -> Vec<(&'static str, Bytes)> {
    let views = {
        let column: arrow_array::StringViewArray =
            ["short", "a text that does not fit into a view"].into_iter().map(Some).collect();
        row([("view", Arc::new(column) as _)])
    };
    let wide: Vec<_> = columns::all()
        .into_iter()
        .filter(|column| {
            use DataType::*;
            matches!(
                column.data_type(),
                Union(..) | RunEndEncoded(..) | ListView(_) | Map(..) | Dictionary(..)
            )
        })
        .enumerate()
        .map(|(n, column)| (format!("c{n}"), column.slice(1, 3)))
        .collect();
    let wide = RecordBatch::try_from_iter(wide.iter().map(|(name, column)| (name, column.clone()))).unwrap();
    let plain = |batch: RecordBatch| stream_of(&[(batch, Metadata::new())]);
    let nested = row([
        ("labels", labels([Some("a"), None])),
        ("point", point(0.5, None)),
        ("counts", counts([("k", 1)])),
    ]);
    vec![
        ("a request", converse(vec![echo("hello")]).request),
        ("an answer", converse(vec![echo("hello")]).response()),
        ("an error", converse(scenarios::unary_error()).response()),
        ("a producer's turns", converse(scenarios::producer_to_the_end()).request),
        ("views", plain(views)),
        ("nested columns", plain(nested.clone())),
        ("compressed columns", compressed(&nested, CompressionType::LZ4_FRAME)),
        ("columns that are rare", plain(wide)),
    ]
}

/// Streams longer than this are passed only to the reader, which the other machines are built on.
const LONG: usize = 3000;

/// Passes damaged bytes to every machine, and validates every value read.
fn survive(bytes: &Bytes) {
    let mut reader = Reader::new(Limits::default());
    reader.receive(bytes.clone());
    // A damaged stream has at most one item per message, and a message has at least 8 bytes.
    for _ in 0..bytes.len() / 8 + 2 {
        match reader.next_item() {
            Ok(None) | Err(ReadError::Framing(_)) => break,
            Err(ReadError::Message(_)) => {}
            Ok(Some(Item::Batch(batch, _))) => {
                for column in batch.columns() {
                    column.to_data().validate_full().unwrap();
                }
            }
            Ok(Some(_)) => {}
        }
    }
    assert!(!matches!(reader.next_item(), Ok(Some(_))), "the items come to an end");
    if bytes.len() > LONG {
        return;
    }

    let mut server = responder(Limits::default());
    server.receive(bytes.clone());
    server.receive_eof();
    let rest = serve(&mut server, usize::MAX, &mut Vec::new());
    assert!(matches!(rest, Rest::Closed | Rest::Failed(_)), "{rest:?}");

    let mut client = client::Connection::new(Limits::default());
    stream("count", row([("count", int(1))])).issue(&mut client).unwrap();
    client.receive(bytes.clone());
    client.receive_eof();
    let rest = listen(&mut client, &mut Vec::new());
    assert!(matches!(rest, Rest::Closed | Rest::Failed(_)), "{rest:?}");
}

#[test]
fn every_truncation_comes_to_an_end() {
    for (_, bytes) in small_streams() {
        let step = if bytes.len() > SHORT { 3 } else { 1 };
        for len in (0..=bytes.len()).step_by(step) {
            survive(&bytes.slice(..len));
        }
    }
}

/// Streams longer than this are damaged at every byte, but not in every way.
const SHORT: usize = 1000;

/// Damages every byte in each of these ways; in a long stream, in one or two of them in turn.
fn assert_survives(ways: &[fn(u8) -> u8]) {
    for (name, bytes) in small_streams() {
        for at in 0..bytes.len() {
            let some = [at % ways.len(), (at / 2 + 3) % ways.len()];
            for (index, way) in ways.iter().enumerate() {
                if bytes.len() > SHORT && !some.contains(&index) {
                    continue;
                }
                let mut damaged = bytes.to_vec();
                damaged[at] = way(damaged[at]);
                let damaged = Bytes::from(damaged);
                let survived = std::panic::catch_unwind(|| survive(&damaged));
                assert!(survived.is_ok(), "{name} with byte {at} set to {}", damaged[at]);
            }
        }
    }
}

#[test]
fn every_flipped_bit_comes_to_an_end() {
    assert_survives(&[
        |byte| byte ^ 1,
        |byte| byte ^ 1 << 1,
        |byte| byte ^ 1 << 2,
        |byte| byte ^ 1 << 3,
        |byte| byte ^ 1 << 4,
        |byte| byte ^ 1 << 5,
        |byte| byte ^ 1 << 6,
        |byte| byte ^ 1 << 7,
    ]);
}

#[test]
fn every_byte_set_to_an_extreme_comes_to_an_end() {
    assert_survives(&[|_| 0, |_| 0x7f, |_| 0x80, |_| 0xff]);
}

#[test]
fn every_message_left_out_or_repeated_comes_to_an_end() {
    for (_, bytes) in small_streams() {
        let cuts = message_ends(&bytes);
        for (index, end) in cuts.iter().enumerate() {
            let start = if index == 0 { 0 } else { cuts[index - 1] };
            survive(&[&bytes[..start], &bytes[*end..]].concat().into());
            survive(&[&bytes[..*end], &bytes[start..]].concat().into());
        }
    }
}
