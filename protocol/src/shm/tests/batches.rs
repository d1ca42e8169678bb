//! Tests of batches that one side stores and the other reads.

use super::*;
use crate::ipc::decode_batch;
use crate::memory::Budget;
use crate::{Limits, wire::error::RpcError};

#[test]
fn batches_of_every_kind_come_back() {
    for memory in [Memory::new(1 << 20), Memory::lending(1 << 20)] {
        let (client, server, counters) = pair(&memory, 1);
        for batch in kinds() {
            let pointer = send(&client, &batch);
            assert_eq!(server.read(pointer, batch.schema_ref()).unwrap(), batch);
        }
        server.settle().unwrap();
        assert_eq!(client.header().unwrap().regions(), []);
        let counts = counters.counts();
        assert_eq!((counts.attached, counts.written, counts.read, counts.no_room), (1, 5, 5, 0));
    }
}

#[test]
fn a_batch_without_a_dictionary_is_a_whole_stream_and_one_with_a_dictionary_is_not() {
    let memory = Memory::new(1 << 20);
    let (client, ..) = pair(&memory, 1);
    for (index, batch) in kinds().into_iter().enumerate() {
        let Pointer { offset, len } = send(&client, &batch);
        assert_eq!(offset % 64, 0);
        let bytes = memory.0.lock().unwrap()[offset as usize..][..len as usize].to_vec();
        let whole = decode_batch(bytes.clone().into(), &Limits::default());
        match index {
            2 | 4 => {
                assert!(whole.is_err());
                let schema = EncodedSchema::new(batch.schema()).unwrap();
                let framed = [schema.message(), &bytes[..]].concat();
                assert_eq!(decode_batch(framed.into(), &Limits::default()).unwrap().0, batch);
                assert_ne!(bytes[bytes.len() - 8..], [255, 255, 255, 255, 0, 0, 0, 0]);
            }
            _ => {
                assert_eq!(whole.unwrap().0, batch);
                assert_eq!(bytes[bytes.len() - 8..], [255, 255, 255, 255, 0, 0, 0, 0]);
            }
        }
    }
}

#[test]
fn only_batches_of_the_least_size_are_stored() {
    let (client, ..) = pair(&Memory::new(1 << 20), 4000);
    assert!(store(&client, &numbers(300)).is_none());
    assert!(store(&client, &numbers(600)).is_some());
    // The array owns more memory than the slice uses.
    assert!(store(&client, &numbers(600).slice(0, 300)).is_none());
    let (client, ..) = pair(&Memory::new(1 << 20), 0);
    assert!(store(&client, &numbers(0)).is_none(), "a pointer has no rows");
    assert!(store(&client, &numbers(1)).is_some());
}

#[test]
fn what_finds_no_room_is_counted_and_not_stored() {
    let (client, server, counters) = pair(&Memory::new(HEADER_BYTES as usize + 20_000), 1);
    let pointer = send(&client, &numbers(1000));
    assert!(store(&client, &numbers(2000)).is_none());
    assert_eq!(counters.counts().no_room, 1);
    server.read(pointer, numbers(0).schema_ref()).unwrap();
    assert!(store(&server, &numbers(2000)).is_some(), "regions that were read are freed first");
}

#[test]
fn what_is_not_sent_is_freed_in_the_next_turn() {
    let (client, ..) = pair(&Memory::new(1 << 20), 1);
    let stored = store(&client, &numbers(100));
    assert_eq!(client.header().unwrap().regions().len(), 1);
    drop(stored);
    assert_eq!(client.header().unwrap().regions().len(), 1, "not in the middle of the peer's turn");
    client.settle().unwrap();
    assert_eq!(client.header().unwrap().regions(), []);
}

#[test]
fn what_is_lent_stays_in_use_until_it_is_dropped() {
    let (client, server, _) = pair(&Memory::lending(1 << 20), 1);
    let pointer = send(&server, &numbers(100));
    let batch = client.read(pointer, numbers(0).schema_ref()).unwrap();
    client.settle().unwrap();
    (0..4).for_each(|_| assert!(client.begin_call().unwrap()));
    assert_eq!(server.header().unwrap().regions().len(), 1);
    drop(batch);
    assert_eq!(server.header().unwrap().regions().len(), 1);
    client.settle().unwrap();
    assert_eq!(server.header().unwrap().regions(), []);
}

/// The peer may read it in place and keep it for any time.
#[test]
fn the_owner_frees_nothing_that_it_has_sent() {
    let (client, server, _) = pair(&Memory::lending(1 << 20), 1);
    let pointer = send(&client, &numbers(100));
    let held = server.read(pointer, numbers(0).schema_ref()).unwrap();
    for _ in 0..10 {
        assert!(client.begin_call().unwrap());
        server.settle().unwrap();
    }
    assert!(client.header().unwrap().is_in_use(pointer.region()));
    drop(held);
    server.settle().unwrap();
    assert_eq!(client.header().unwrap().regions(), []);
}

#[test]
fn the_owner_rests_after_a_failure_until_its_peer_has_freed_what_it_was_sent() {
    let (client, server, _) = pair(&Memory::new(1 << 20), 1);
    let pointer = send(&client, &numbers(100));
    assert!(client.begin_call().unwrap(), "the call before did not fail");
    client.call_failed();
    assert!(client.begin_call().unwrap(), "nothing was sent in the call that failed");
    let lost = send(&client, &numbers(100));
    client.call_failed();
    assert!(!client.begin_call().unwrap());
    // A second failure in between changes nothing.
    client.call_failed();
    assert!(!client.begin_call().unwrap());
    server.discard(pointer);
    server.settle().unwrap();
    assert!(!client.begin_call().unwrap());
    server.discard(lost);
    server.settle().unwrap();
    assert!(client.begin_call().unwrap());
}

/// The canonical implementation allocates more than it writes.
#[test]
fn what_is_freed_is_the_region_that_was_pointed_to() {
    let (client, server, _) = pair(&Memory::new(1 << 20), 1);
    let pointer = send(&client, &numbers(100));
    server.discard(Pointer { len: pointer.len + 1, ..pointer });
    server.discard(Pointer { offset: pointer.offset + 1, ..pointer });
    server.settle().unwrap();
    assert!(client.header().unwrap().is_in_use(pointer.region()), "those are other regions");
    server.discard(Pointer { len: pointer.len - 1, ..pointer });
    server.settle().unwrap();
    assert_eq!(client.header().unwrap().regions(), []);
}

#[test]
fn an_answer_in_the_place_of_its_request_is_not_freed_as_that_is() {
    let (client, server, _) = pair(&Memory::lending(1 << 20), 1);
    let request = send(&client, &numbers(100));
    drop(server.read(request, numbers(0).schema_ref()).unwrap());
    let answer = send(&server, &numbers(100));
    assert_eq!(answer.offset, request.offset);
    let kept = client.read(answer, numbers(0).schema_ref()).unwrap();
    (0..5).for_each(|_| assert!(client.begin_call().unwrap()));
    assert!(client.header().unwrap().is_in_use(answer.region()));
    drop(kept);
    assert!(client.begin_call().unwrap());
    assert_eq!(client.header().unwrap().regions(), []);
}

#[test]
fn what_is_read_is_reserved_in_the_account_and_its_memory_is_used_again() {
    let memory = Memory::new(4 << 20);
    let (client, server, _) = pair(&memory, 1);
    let budget = Budget::new(3 << 20);
    let account = budget.account();
    let server = server.bounded(&Limits::default(), &account);
    let pointer = send(&client, &numbers(200_000));
    let batch = server.read(pointer, numbers(0).schema_ref()).unwrap();
    assert!(account.held() >= 1_600_000);
    let address = batch.column(0).to_data().buffers()[0].as_ptr();
    assert_eq!(address.align_offset(64), 0);
    assert!(budget.used() < 2_000_000, "no more than the batch");
    drop(batch);
    server.settle().unwrap();
    let batch = server.read(send(&client, &numbers(200_000)), numbers(0).schema_ref()).unwrap();
    assert_eq!(batch.column(0).to_data().buffers()[0].as_ptr(), address);
    server.settle().unwrap();

    // There is no room for it beside the batch that is kept.
    let pointer = send(&client, &numbers(210_000));
    let other = server.read(pointer, numbers(0).schema_ref()).unwrap_err();
    assert_eq!(
        RpcError::from(other).error_type(),
        RpcError::from(account.reserve(9 << 20).unwrap_err()).error_type()
    );
    server.settle().unwrap();
    assert_eq!(client.header().unwrap().regions().len(), 0, "its region is freed anyway");
}

#[test]
fn memory_that_is_kept_for_batches_can_be_given_back() {
    let (client, server, _) = pair(&Memory::new(4 << 20), 1);
    let account = Budget::new(16 << 20).account();
    let server = server.bounded(&Limits::default(), &account);
    drop(server.read(send(&client, &numbers(200_000)), numbers(0).schema_ref()).unwrap());
    assert!(account.held() >= 1_600_000);
    server.release_memory();
    assert_eq!(account.held(), 0);
}

#[test]
fn limits_hold_for_batches_in_a_segment() {
    let (client, server, _) = pair(&Memory::new(1 << 20), 1);
    let limits = Limits { max_body_bytes: 1000, ..Limits::default() };
    let server = server.bounded(&limits, &Account::default());
    let pointer = send(&client, &numbers(200));
    assert!(matches!(server.read(pointer, numbers(0).schema_ref()), Err(SegmentError::Read(_))));
}

#[test]
fn bytes_behind_the_end_of_the_stream_are_passed_over() {
    let (client, server, _) = pair(&Memory::new(1 << 20), 1);
    let pointer = send(&client, &numbers(200));
    let longer = Pointer { len: pointer.len + 40, ..pointer };
    assert_eq!(server.read(longer, numbers(0).schema_ref()).unwrap(), numbers(200));
    let pointer = send(&client, &numbers(100));
    assert_eq!(server.read(pointer, numbers(0).schema_ref()).unwrap(), numbers(100));
}
