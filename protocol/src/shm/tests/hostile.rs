//! Segments that a peer has damaged, or damages during an access.

use super::*;

fn read_header(change: impl FnOnce(&Memory)) -> HeaderError {
    let memory = Memory::new(1 << 20);
    let (client, ..) = pair(&memory, 1);
    for _ in 0..3 {
        send(&client, &numbers(100));
    }
    change(&memory);
    Header::read(&*lend(&memory)).unwrap_err()
}

/// Sets a field of a region's entry.
fn entry(memory: &Memory, index: u64, field: u64, value: u64) {
    memory.change(24 + index * 16 + field * 8, &value.to_le_bytes());
}

#[test]
fn every_lie_in_a_header_is_found() {
    assert!(matches!(read_header(|m| m.change(0, b"vgis")), HeaderError::Magic(_)));
    assert_eq!(read_header(|m| m.change(4, &[2])), HeaderError::Version(2));
    let lying = read_header(|m| m.change(8, &u64::MAX.to_le_bytes()));
    assert_eq!(lying, HeaderError::DataSize { expected: (1 << 20) - HEADER_BYTES, got: u64::MAX });
    assert_eq!(read_header(|m| m.change(16, &4095_u32.to_le_bytes())), HeaderError::Count(4095));
    assert_eq!(read_header(|m| m.change(16, &[0xff; 4])), HeaderError::Count(u32::MAX));
    // Within the header, past the end, overflowing, overlapping the previous one, out of order.
    for (index, field, value) in [
        (0, 0, 64),
        (2, 1, 1 << 20),
        (2, 1, u64::MAX),
        (2, 0, u64::MAX - 3),
        (1, 0, HEADER_BYTES + 1),
        (0, 0, HEADER_BYTES + 8192),
        (0, 1, 8192),
    ] {
        let found = read_header(|memory| entry(memory, index, field, value));
        assert!(matches!(found, HeaderError::Region { .. }), "{index} {field} {value}: {found:?}");
    }
    assert!(matches!(read_header(|m| m.truncate(1000)), HeaderError::TooShort { .. }));
}

#[test]
fn a_segment_must_be_longer_than_its_header() {
    for len in [0, 1, HEADER_BYTES as usize - 1, HEADER_BYTES as usize] {
        let memory = lend(&Memory::new(len));
        assert_eq!(Header::initialise(&*memory), Err(HeaderError::TooShort { len: len as u64 }));
        assert_eq!(Header::read(&*memory), Err(HeaderError::TooShort { len: len as u64 }));
    }
    let memory = lend(&Memory::new(HEADER_BYTES as usize + 1));
    assert!(matches!(Header::read(&*memory), Err(HeaderError::Magic([0, 0, 0, 0]))));
}

#[test]
fn pointers_out_of_bounds_are_refused_before_anything_is_read() {
    let (client, server, _) = pair(&Memory::new(1 << 20), 1);
    let schema = numbers(0).schema();
    send(&client, &numbers(100));
    for (offset, len) in [
        (0, 100),
        (HEADER_BYTES - 1, 100),
        (1 << 20, 1),
        ((1 << 20) - 10, 11),
        (HEADER_BYTES, u64::MAX),
        (u64::MAX, u64::MAX),
        (u64::MAX, 0),
    ] {
        let error = server.read(Pointer { offset, len }, &schema).unwrap_err();
        assert!(matches!(error, SegmentError::OutOfBounds { .. }), "{offset} {len}: {error:?}");
    }
    for len in [0, 4, 8, 100] {
        let error = server.read(Pointer { offset: HEADER_BYTES, len }, &schema).unwrap_err();
        assert!(!matches!(error, SegmentError::OutOfBounds { .. }), "{error:?}");
    }
    // The connection remains usable.
    assert_eq!(server.read(send(&client, &numbers(70)), &schema).unwrap(), numbers(70));
}

#[test]
fn a_segment_that_was_truncated_fails_and_ends_nothing() {
    let memory = Memory::new(1 << 20);
    let (client, server, _) = pair(&memory, 1);
    let pointer = send(&client, &numbers(20_000));
    memory.truncate(HEADER_BYTES as usize + 100);
    let error = server.read(pointer, numbers(0).schema_ref()).unwrap_err();
    assert!(matches!(error, SegmentError::Access(AccessError::OutOfBounds { .. })), "{error:?}");
    memory.truncate(10);
    assert!(matches!(server.header(), Err(HeaderError::Access(_))));
    assert!(server.settle().is_err());
}

#[test]
fn a_batch_must_have_the_schema_of_its_pointer() {
    let (client, server, _) = pair(&Memory::new(1 << 20), 1);
    let pointer = send(&client, &numbers(100));
    let other = &kinds()[1];
    assert_eq!(server.read(pointer, other.schema_ref()), Err(SegmentError::Schema));
    let pointer = send(&client, &numbers(100));
    // Read with a schema that has a dictionary, whose schema message is not in the segment.
    let error = server.read(pointer, kinds()[2].schema_ref()).unwrap_err();
    assert!(matches!(error, SegmentError::Read(_)), "{error:?}");
}

#[test]
fn a_body_that_is_longer_than_its_pointer_says_takes_no_memory_for_the_rest() {
    let memory = Memory::new(4 << 20);
    let (client, server, _) = pair(&memory, 1);
    let budget = crate::memory::Budget::new(1 << 20);
    let server = server.bounded(&crate::Limits::default(), &budget.account());
    let pointer = send(&client, &numbers(300_000));
    let cut = Pointer { len: 100_000, ..pointer };
    let error = server.read(cut, numbers(0).schema_ref()).unwrap_err();
    assert!(matches!(&error, SegmentError::Read(crate::ipc::ReadError::Framing(_))), "{error:?}");
}

#[test]
fn every_byte_of_a_stored_batch_may_be_anything() {
    for batch in kinds() {
        let memory = Memory::new(1 << 18);
        let (client, server, _) = pair(&memory, 1);
        let pointer = send(&client, &batch);
        let original = memory.0.lock().unwrap().clone();
        for at in (0..pointer.len).step_by(5) {
            memory.change(pointer.offset + at, &[original[(pointer.offset + at) as usize] ^ 0xff]);
            if let Ok(read) = server.read(pointer, batch.schema_ref()) {
                for column in read.columns() {
                    column.to_data().validate_full().unwrap();
                }
            }
            // Restores its byte and its region.
            memory.change(pointer.offset, &original[pointer.offset as usize..][..pointer.len as usize]);
            memory.change(0, &original[..64]);
        }
        assert_eq!(server.read(pointer, batch.schema_ref()).unwrap(), batch);
    }
}

#[test]
fn an_answer_to_a_damaged_segment_is_an_error_of_its_own_kind() {
    let memory = Memory::new(1 << 20);
    let (_, server, _) = pair(&memory, 1);
    memory.change(0, b"XXXX");
    let schema = EncodedSchema::new(numbers(0).schema()).unwrap();
    let error = server.store(&numbers(100), &schema, &Account::default()).unwrap_err();
    assert_eq!(error, SegmentError::Header(HeaderError::Magic(*b"XXXX")));
    assert_eq!(memory.0.lock().unwrap()[HEADER_BYTES as usize..][..64], [0; 64], "nothing was written");
}
