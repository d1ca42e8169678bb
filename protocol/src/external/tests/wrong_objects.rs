//! Objects that do not match their pointers: a typed error, none of their data returned, and no secret in any text.

use super::*;
use crate::memory::Budget;
use crate::wire::error::{ErrorContext, RpcError};
use arrow_array::Float64Array;

const PIECES: [usize; 4] = [1, 97, 5_000, usize::MAX];

/// Returns the error of an object, and checks that it is the same whatever the pieces.
#[track_caller]
fn refused(
    pointer: &Pointer,
    object_limits: ObjectLimits,
    coding: Option<&str>,
    object: &[u8],
) -> ResolveErrorKind {
    let mut kinds = PIECES.map(|piece| {
        let mut resolution = resolution(pointer.clone(), &Account::default(), object_limits);
        let error = resolve(&mut resolution, coding, object, piece).expect_err("a wrong object");
        let again = resolution.receive(Bytes::from_static(b"x")).or_else(|_| resolution.begin(None));
        assert_eq!(again, Ok(()), "another attempt may begin");
        let rpc = RpcError::from(error.clone());
        let texts = format!("{error} {error:?} {resolution:?} {rpc} {}", rpc.message());
        assert!(!texts.contains("s3cr3t"), "{texts}");
        assert!(error.to_string().contains("https://h.example/object"), "{error}");
        error.kind
    });
    kinds.sort_by_key(ToString::to_string);
    let [first, .., last] = kinds;
    assert_eq!(first, last, "the same error whatever the pieces");
    first
}

fn refused_without_digest(object: &[u8]) -> ResolveErrorKind {
    refused(&pointer(None), ObjectLimits::default(), None, object)
}

/// Checks that the error is the same with the object's digest as without.
#[track_caller]
fn refused_for_its_content(object: &[u8]) -> ResolveErrorKind {
    let kind = refused_without_digest(object);
    let verified = match refused(&pointer(Some(object)), ObjectLimits::default(), None, object) {
        ResolveErrorKind::Unreadable(kind) => *kind,
        kind => kind,
    };
    assert_eq!(verified, kind);
    kind
}

#[test]
fn a_wrong_digest_is_the_error_whatever_else_is_wrong() {
    let right = object(100);
    let checksum = |object: &[u8]| {
        let kind = refused(&pointer(Some(&right)), ObjectLimits::default(), None, object);
        let got = digest_of(object);
        assert_eq!(kind, ResolveErrorKind::Checksum { expected: digest_of(&right), got });
        assert!(kind.to_string().contains("checksum"));
    };
    checksum(&object(99));
    checksum(b"no stream at all, but so many bytes");
    checksum(&right[..right.len() - 1]);
    checksum(b"");
    checksum(&[&right[..], b"x"].concat());
    for at in (0..right.len()).step_by(61) {
        let mut damaged = right.to_vec();
        damaged[at] ^= 0x10;
        checksum(&damaged);
    }
}

#[test]
fn both_caps_hold_to_the_byte_while_the_object_arrives() {
    let object = object(5_000);
    let len = object.len() as u64;
    let object_limits =
        |max_fetch_bytes, max_decompressed_bytes| ObjectLimits { max_fetch_bytes, max_decompressed_bytes };
    let pointer = pointer(Some(&object));
    let mut whole = resolution(pointer.clone(), &Account::default(), object_limits(len, len));
    assert!(resolve(&mut whole, None, &object, 1000).is_ok());
    let kind = refused(&pointer, object_limits(len - 1, len), None, &object);
    assert_eq!(kind, ResolveErrorKind::TooLarge { max: len - 1 });
    assert!(kind.to_string().contains("max_fetch_bytes"));
    let kind = refused(&pointer, object_limits(len, len - 1), None, &object);
    assert_eq!(kind, ResolveErrorKind::DecodedTooLarge { max: len - 1 });
    let kind = refused(&pointer, object_limits(len, 10_000), None, &object);
    assert_eq!(kind, ResolveErrorKind::DecodedTooLarge { max: 10_000 });
    // Without a digest, a body larger than the cap is refused before it has arrived completely.
    let kind = refused(&self::pointer(None), object_limits(len, 10_000), None, &object[..1500]);
    assert_eq!(kind, ResolveErrorKind::DecodedTooLarge { max: 10_000 });
    for &coding in Coding::ALL {
        let stored = coded(coding, &object);
        let name = Some(coding.as_str());
        let kind = refused(&pointer, object_limits(stored.len() as u64, 1_000), name, &stored);
        assert!(kind.to_string().contains("max_decompressed_bytes"), "{kind}");
        let bomb = coded(coding, &Bytes::from(vec![0; 4 << 20]));
        let kind = refused(&pointer, object_limits(1 << 20, 1 << 20), name, &bomb);
        assert!(
            matches!(kind, ResolveErrorKind::DecodedTooLarge { .. } | ResolveErrorKind::Stream(_)),
            "{kind}"
        );
        let kind = refused(&pointer, object_limits(stored.len() as u64 - 1, len), name, &stored);
        assert!(kind.to_string().contains("max_fetch_bytes"), "{kind}");
    }
}

#[test]
fn what_is_no_stream_or_is_cut_short_is_refused() {
    let object = object(100);
    for len in [0, 1, 7, 8, 100, object.len() - 9, object.len() - 1] {
        let kind = refused_without_digest(&object[..len]);
        let is_expected = matches!(kind, ResolveErrorKind::Stream(_) | ResolveErrorKind::NoBatch);
        assert!(is_expected, "{len}: {kind}");
    }
    assert!(matches!(refused_for_its_content(b"<html>not found</html>"), ResolveErrorKind::Stream(_)));
    assert_eq!(refused_for_its_content(&[&object[..], b"x"].concat()), ResolveErrorKind::Trailing);
    assert_eq!(refused_for_its_content(&object.repeat(2)), ResolveErrorKind::Trailing);
    for &coding in Coding::ALL {
        let stored = coded(coding, &object);
        for wrong in [&stored[..stored.len() - 1], b"no coding", &[&stored[..], b"junk"].concat(), b""] {
            let kind = refused(&pointer(None), ObjectLimits::default(), Some(coding.as_str()), wrong);
            assert!(matches!(kind, ResolveErrorKind::Coding(_)), "{coding}: {kind}");
        }
    }
}

#[test]
fn codings_that_are_not_known_are_refused() {
    for name in ["br", "zstd, gzip", "deflate", "zstd;q=1"] {
        let mut resolution = resolution(pointer(None), &Account::default(), ObjectLimits::default());
        let error = resolution.begin(Some(name)).unwrap_err();
        assert_eq!(error.kind, ResolveErrorKind::UnknownCoding { found: name.into() });
    }
    let mut resolution = resolution(pointer(None), &Account::default(), ObjectLimits::default());
    assert_eq!(resolution.receive(Bytes::new()).unwrap_err().kind, ResolveErrorKind::NotBegun);
    assert_eq!(resolution.finish(Duration::ZERO).unwrap_err().kind, ResolveErrorKind::NotBegun);
}

#[test]
fn there_is_exactly_one_data_batch_and_no_pointer() {
    let empty = RecordBatch::new_empty(schema());
    let of = |batches: &[(RecordBatch, Metadata)]| stream(&schema(), batches, true);
    let data = (batch(3), Metadata::new());
    assert_eq!(refused_for_its_content(&of(&[])), ResolveErrorKind::NoBatch);
    assert_eq!(refused_for_its_content(&of(&[(empty.clone(), log("x"))])), ResolveErrorKind::NoBatch);
    assert_eq!(refused_for_its_content(&of(&[data.clone(), data.clone()])), ResolveErrorKind::SeveralBatches);
    let without_rows = (empty.clone(), Metadata::new());
    assert_eq!(refused_for_its_content(&of(&[data.clone(), without_rows])), ResolveErrorKind::SeveralBatches);
    let pointer = (empty.clone(), pointer(None).to_metadata());
    assert_eq!(refused_for_its_content(&of(std::slice::from_ref(&pointer))), ResolveErrorKind::RedirectLoop);
    assert_eq!(refused_for_its_content(&of(&[data.clone(), pointer])), ResolveErrorKind::RedirectLoop);
    let pointed_rows = (batch(3), self::pointer(None).to_metadata());
    let kind = refused_for_its_content(&of(&[pointed_rows]));
    assert!(kind.to_string().starts_with("Redirect loop detected"), "{kind}");
    let shared = (empty, [(keys::SHM_OFFSET, "0")].into_iter().collect());
    assert_eq!(refused_for_its_content(&of(&[shared])), ResolveErrorKind::ShmPointer);
}

#[test]
fn the_schema_is_that_of_the_pointer() {
    let named = |name: &str, data_type, nullable| Field::new(name, data_type, nullable);
    let (n, text) = (named("n", DataType::Int64, false), named("text", DataType::Utf8, true));
    let others = [
        vec![n.clone()],
        vec![text.clone(), n.clone()],
        vec![n.clone().with_nullable(true), text.clone()],
        vec![n.clone(), text.clone().with_nullable(false)],
        vec![named("m", DataType::Int64, false), text.clone()],
        vec![named("n", DataType::Float64, false), text.clone()],
        vec![n, text, named("more", DataType::Int64, true)],
    ];
    for fields in others {
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.data_type() {
                DataType::Int64 => Arc::new(Int64Array::from(vec![1])),
                DataType::Float64 => Arc::new(Float64Array::from(vec![1.0])),
                _ => Arc::new(StringArray::from(vec!["x"])),
            }
        });
        let batch = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
        let kind = refused_for_its_content(&stream(&schema, &[(batch, Metadata::new())], true));
        assert!(kind.to_string().starts_with("Schema mismatch: expected "), "{kind}");
    }
}

#[test]
fn the_error_of_a_call_may_be_in_the_object() {
    let error = RpcError::value_error("no such table");
    let metadata = error.to_metadata(&ErrorContext::new("server-1"));
    let empty = RecordBatch::new_empty(schema());
    let object = stream(&schema(), &[(empty.clone(), log("x")), (empty, metadata)], true);
    let kind = refused_for_its_content(&object);
    let ResolveErrorKind::Remote(got) = kind else { panic!("{kind}") };
    assert_eq!((got.error_type(), got.message()), ("ValueError", "ValueError: no such table"));
}

#[test]
fn what_the_budget_has_no_room_for_is_refused_and_given_back() {
    let object = object(200_000);
    for coding in [None, Some(Coding::Gzip)] {
        let stored = coding.map_or(object.to_vec(), |coding| coded(coding, &object));
        let budget = Budget::new(1 << 20);
        let account = budget.account();
        let mut resolution = resolution(pointer(Some(&object)), &account, ObjectLimits::default());
        let error = resolve(&mut resolution, coding.map(Coding::as_str), &stored, 10_000).unwrap_err();
        assert!(matches!(error.kind, ResolveErrorKind::OverBudget(_)), "{error}");
        assert!(!error.is_retryable());
        assert_eq!((account.held(), budget.used()), (0, 0));
    }
}
