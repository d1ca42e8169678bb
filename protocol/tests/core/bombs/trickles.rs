//! Much data in small pieces: input that trickles, and output that is never fetched.

use super::*;
use crate::common::driver::{Command, Rest, serve};
use crate::common::messages::Header;
use crate::common::scenarios::{count, tick};
use crate::common::service::responder;
use allocation_counter::measure;
use bytes::Buf;
use vgi_rpc_protocol::Next;
use vgi_rpc_protocol::client::Connection;
use vgi_rpc_protocol::ipc::EncodedSchema;

/// Bytes that arrive in one-byte buffers must not be kept in them.
#[test]
fn a_body_that_trickles_in_takes_about_its_size() {
    let numbers = crate::common::batches::schema([("value", arrow_schema::DataType::Int64)]);
    let schema = EncodedSchema::new(numbers).unwrap();
    let len = 1_i64 << 20;
    let head = Header::with_body(len).batch(len / 8, &[(len / 8, 0)], &[(0, 0), (0, len)]);
    for polled in [true, false] {
        let mut reader = Reader::new(Limits::default());
        reader.receive(schema.message().clone());
        reader.receive(head.clone());
        assert!(matches!(reader.next_item(), Ok(Some(Item::Schema(_)))));
        let taken = measure(|| {
            for n in 1..=len {
                assert!(!polled || matches!(reader.next_item(), Ok(None)));
                let lent = reader.read_buf();
                lent[0] = 0;
                reader.advance(1);
                if !polled && n % 4096 == 0 && n < len {
                    assert!(matches!(reader.next_item(), Ok(None)));
                }
            }
            assert!(matches!(reader.next_item(), Ok(Some(Item::Batch(..)))));
        });
        assert_below(&format!("a megabyte byte by byte, polled: {polled}"), taken.bytes_max, 6 * len as u64);
    }
}

/// Requests whose answers are never fetched: the responder stops accepting work.
#[test]
fn answers_that_nobody_fetches_are_bounded() {
    let mut client = Connection::new(Limits::default());
    let mut take = |command: Command| {
        command.issue(&mut client).unwrap();
        let outbox = client.poll_transmit().unwrap();
        outbox.copy_to_bytes(outbox.len())
    };
    let (open, first, next) = (take(count(i64::MAX)), take(tick()), take(tick()));
    let ticks = 20_000;
    let input: Bytes = [&open[..], &first, &next.repeat(ticks)].concat().into();
    let mut server = responder(limits(|limits| limits.max_buffered_output = 64 << 10));
    let mut turns = 0;
    let taken = measure(|| {
        server.receive(input.clone());
        while let Ok(Next::Event(work)) = server.poll_work() {
            server.complete(work.run()).unwrap();
            turns += 1;
        }
        assert!(matches!(server.poll_work(), Ok(Next::NeedDrain)));
    });
    assert!(turns < 2000, "{turns} turns before any output was fetched");
    assert_below("answers that wait", taken.bytes_max, 8 * 64 * KIB);
    assert_eq!(serve(&mut server, usize::MAX, &mut Vec::new()), Rest::NeedInput);
}
