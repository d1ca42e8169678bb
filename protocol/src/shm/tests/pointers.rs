//! Tests of pointer batches and advertisements.

use super::*;
use crate::wire::keys;

fn metadata(entries: &[(&str, &str)]) -> Metadata {
    entries.iter().copied().collect()
}

#[test]
fn a_pointer_keeps_the_metadata_of_its_batch_and_its_reader_says_where_it_was() {
    let own = metadata(&[("application", "x"), (keys::STREAM_STATE, "y")]);
    let pointer = Pointer { offset: 65536, len: 77 };
    let sent = pointer.add_to(own.clone());
    assert_eq!(Pointer::recognise(0, &sent), Ok(Some(pointer)));
    assert_eq!(sent.get_str(keys::SHM_OFFSET), Some("65536"));
    assert_eq!(sent.get_str("application"), Some("x"));
    let resolved = Pointer::resolve(sent, "vgi-test");
    let expected =
        metadata(&[("application", "x"), (keys::STREAM_STATE, "y"), (keys::SHM_SOURCE, "vgi-test")]);
    assert!(resolved.iter().eq(expected.iter()), "{resolved:?}");
}

#[test]
fn what_has_rows_is_a_log_or_lies_in_an_object_is_no_pointer() {
    let good = metadata(&[(keys::SHM_OFFSET, "65536"), (keys::SHM_LENGTH, "1")]);
    assert_eq!(Pointer::recognise(1, &good), Ok(None));
    for key in [keys::LOG_LEVEL, keys::LOCATION] {
        let mut other = good.clone();
        other.push(key, "INFO");
        assert_eq!(Pointer::recognise(0, &other), Ok(None));
    }
    assert_eq!(Pointer::recognise(0, &metadata(&[(keys::SHM_LENGTH, "1")])), Ok(None));
}

#[test]
fn numbers_are_decimal_and_there_once() {
    for bad in ["", "-1", "+1", " 1", "0x10", "1.0", "18446744073709551616", "\u{663}"] {
        for (offset, len, key) in [(bad, "1", keys::SHM_OFFSET), ("1", bad, keys::SHM_LENGTH)] {
            let found =
                Pointer::recognise(0, &metadata(&[(keys::SHM_OFFSET, offset), (keys::SHM_LENGTH, len)]));
            assert_eq!(found, Err(PointerError::Number { key }), "{bad:?}");
        }
    }
    let missing = metadata(&[(keys::SHM_OFFSET, "1")]);
    assert_eq!(Pointer::recognise(0, &missing), Err(PointerError::Number { key: keys::SHM_LENGTH }));
    let twice = [(keys::SHM_OFFSET, "1"), (keys::SHM_LENGTH, "1"), (keys::SHM_OFFSET, "1")];
    assert_eq!(Pointer::recognise(0, &metadata(&twice)), Err(PointerError::Duplicate(keys::SHM_OFFSET)));
}

#[test]
fn where_a_batch_was_is_said_of_the_last_segment_alone() {
    let pointer = Pointer { offset: 65536, len: 77 };
    let echoed = metadata(&[("application", "x"), (keys::SHM_SOURCE, "first")]);
    let sent = pointer.add_to(echoed);
    assert_eq!(sent.get(keys::SHM_SOURCE), None);
    // As the canonical implementation sends it.
    let mut other = sent.clone();
    other.push(keys::SHM_SOURCE, "first");
    for sent in [sent, other] {
        assert_eq!(Pointer::recognise(0, &sent), Ok(Some(pointer)));
        let expected = metadata(&[("application", "x"), (keys::SHM_SOURCE, "second")]);
        let resolved = Pointer::resolve(sent, "second");
        assert!(resolved.iter().eq(expected.iter()), "{resolved:?}");
    }
}

#[test]
fn a_request_names_its_segment() {
    let segment = AttachSegment::new("vgi-rpc-1", 4 << 20);
    let mut request = metadata(&[(keys::METHOD, "m")]);
    segment.advertise(&mut request);
    assert_eq!(AttachSegment::of_request(&request), Some(segment));
    request.set(keys::SHM_SEGMENT_SIZE, "many");
    assert_eq!(AttachSegment::of_request(&request), None);
    request.remove(keys::SHM_SEGMENT_SIZE);
    assert_eq!(AttachSegment::of_request(&request), None);
}

#[test]
fn a_name_is_no_path() {
    for good in ["x", "/x", "psm_21467_46075", "vgi-rpc-0123456789abcdef", "/..x"] {
        assert!(is_segment_name(good), "{good:?}");
    }
    let long = "x".repeat(255);
    for bad in ["", "/", "//x", "/a/b", "a/b", "../x", "..", "/..", ".", "a b", "a\0b", "a\nb", "é", &long] {
        assert!(!is_segment_name(bad), "{bad:?}");
    }
}
