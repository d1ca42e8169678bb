//! Compressed bodies, and false uncompressed lengths.

use super::*;

/// Returns the positions and lengths of the non-empty buffers of the last record batch.
fn buffers(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    loop {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        if len == 0 {
            return found;
        }
        let message = arrow_ipc::root_as_message(&bytes[at + 8..at + 8 + len]).unwrap();
        let body = at + 8 + len;
        if let Some(batch) = message.header_as_record_batch() {
            let buffers = batch.buffers().unwrap().iter();
            let buffers = buffers.map(|buffer| (body + buffer.offset() as usize, buffer.length() as usize));
            found = buffers.filter(|(_, len)| *len > 0).collect();
        }
        at = body + message.bodyLength() as usize;
    }
}

#[test]
fn a_lie_about_the_uncompressed_length_is_a_typed_error() {
    let text = "a text that is long enough to be compressed ".repeat(20);
    let batch = row([("value", common::batches::text(&text)), ("list", labels([Some(&text), None]))]);
    for &codec in COMPRESSIONS {
        let good = compressed(&batch, codec);
        let buffers = buffers(&good);
        assert!(buffers.len() > 3);
        let mut lies = 0;
        for (at, _) in buffers {
            let truth = i64::from_le_bytes(good[at..at + 8].try_into().unwrap());
            for lie in [truth - 1, truth + 1, truth * 2, 0, 1, 7, -2, i64::MIN, i64::MAX, 1 << 31, 1 << 40] {
                // An uncompressed buffer has the length -1; only another length would be false.
                if lie == truth || (truth == -1 && lie == 0) {
                    continue;
                }
                let mut bytes = good.to_vec();
                bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
                let mut reader = Reader::new(Limits::default());
                reader.receive(bytes.into());
                let error = loop {
                    match reader.next_item() {
                        Ok(Some(Item::EndOfStream)) => panic!("{lie} for {truth} was believed"),
                        Ok(item) => assert!(item.is_some()),
                        Err(error) => break error,
                    }
                };
                assert!(matches!(error, ReadError::Message(_)), "{error:?}");
                assert!(matches!(reader.next_item(), Ok(Some(Item::EndOfStream))), "the reader continues");
                assert!(reader.is_at_boundary());
                lies += 1;
            }
        }
        assert!(lies > 20);
    }
}

#[test]
fn a_buffer_that_was_left_uncompressed_is_read() {
    let batch = row([("value", int(7))]);
    let bytes = compressed(&batch, CompressionType::LZ4_FRAME);
    let (at, _) = buffers(&bytes)[0];
    assert_eq!(bytes[at..at + 8], [0xff; 8]);
    assert_eq!(decode_batch(bytes, &Limits::default()).unwrap().0, batch);
}

#[cfg(not(feature = "zstd"))]
#[test]
fn a_build_without_zstd_refuses_it_and_names_the_feature() {
    let batch = row([("value", text(&"a text that is long enough to be compressed ".repeat(20)))]);
    let error = decode_batch(compressed(&batch, CompressionType::ZSTD), &Limits::default()).unwrap_err();
    let ReadError::Message(MessageError::Inconsistent { expected, got }) = error else { panic!("{error}") };
    assert_eq!(expected, "LZ4 frame compression of each buffer");
    assert!(got.contains("zstd") && got.contains("feature"), "{got}");
}
