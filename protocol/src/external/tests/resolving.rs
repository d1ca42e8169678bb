//! Objects that match their pointers.

use super::*;
use crate::memory::Budget;

fn assert_whole(resolved: &Resolved, rows: usize) {
    let texts: Vec<_> =
        resolved.logs.iter().map(|log| LogMessage::from_metadata(log).unwrap().message).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(resolved.batch, batch(rows));
    let mut expected = own_metadata();
    expected.push(keys::LOCATION_FETCH_MS, "42.3");
    expected.push(keys::LOCATION_SOURCE, URL);
    assert_eq!(resolved.metadata, expected);
}

#[test]
fn logs_and_batch_come_out_whatever_the_pieces_and_the_coding() {
    let budget = Budget::new(64 << 20);
    let account = budget.account();
    for rows in [0, 3, 20_000] {
        let object = object(rows);
        for coding in [None].into_iter().chain(Coding::ALL.iter().copied().map(Some)) {
            let stored = match coding {
                Some(coding) if object.len() >= 1 << 10 => coded(coding, &object),
                Some(_) => continue,
                None => object.to_vec(),
            };
            let name = coding.map(Coding::as_str);
            for piece in [1, 13, 4096, 70_001, usize::MAX] {
                if piece < 100 && rows > 1_000 {
                    continue;
                }
                for pointed in [None, Some(&object[..])] {
                    let mut resolution = resolution(pointer(pointed), &account, ObjectLimits::default());
                    let resolved = resolve(&mut resolution, name, &stored, piece).unwrap();
                    assert_whole(&resolved, rows);
                }
            }
        }
    }
    assert_eq!((account.held(), budget.used()), (0, 0), "all reservations are released");
}

#[test]
fn the_arrays_lie_in_aligned_memory_that_was_paid_for() {
    let budget = Budget::new(64 << 20);
    let account = budget.account();
    let object = object(50_000);
    let mut resolution = resolution(pointer(Some(&object)), &account, ObjectLimits::default());
    let resolved = resolve(&mut resolution, None, &object, 60_000).unwrap();
    let numbers = resolved.batch.column(0).to_data();
    assert_eq!(numbers.buffers()[0].as_ptr().align_offset(64), 0);
    drop(resolution);
    let (held, body) = (account.held(), object.len());
    assert!(held >= body - 100_000 && held <= body + 200_000, "{held} for {body}");
    drop(resolved);
    drop(numbers);
    assert_eq!(account.held(), 0);
}

#[test]
fn an_attempt_begins_anew_and_repeats_nothing() {
    let object = object(1000);
    let mut resolution = resolution(pointer(Some(&object)), &Account::default(), ObjectLimits::default());
    for cut in [0, 100, object.len() / 2, object.len() - 1] {
        resolution.begin(Some("identity")).unwrap();
        resolution.receive(object.slice(..cut)).unwrap();
        // The next attempt may use a different coding.
        let stored = coded(Coding::Gzip, &object);
        let resolved = resolve(&mut resolution, Some("x-GZIP"), &stored, 1000).unwrap();
        assert_whole(&resolved, 1000);
    }
    // A failed attempt is also followed by another one.
    assert!(resolve(&mut resolution, None, &object[..object.len() / 2], 1000).is_err());
    assert!(resolution.receive(Bytes::new()).is_err(), "the error stays");
    assert_whole(&resolve(&mut resolution, None, &object, 1000).unwrap(), 1000);
}

#[test]
fn a_stream_may_end_without_its_marker_if_its_digest_says_that_nothing_is_missing() {
    let whole = stream(&schema(), &[(batch(3), own_metadata())], false);
    let mut verified = resolution(pointer(Some(&whole)), &Account::default(), ObjectLimits::default());
    assert_eq!(resolve(&mut verified, None, &whole, 7).unwrap().batch, batch(3));
    let mut unverified = resolution(pointer(None), &Account::default(), ObjectLimits::default());
    let error = resolve(&mut unverified, None, &whole, 7).unwrap_err();
    assert!(error.to_string().contains("without a digest") && error.is_retryable(), "{error}");
}

#[test]
fn metadata_of_a_schema_does_not_count() {
    let metadata: std::collections::HashMap<String, String> = [("key".to_owned(), "value".to_owned())].into();
    let with_metadata: SchemaRef = Arc::new(Schema::new_with_metadata(schema().fields().clone(), metadata));
    let batch = batch(3).with_schema(with_metadata.clone()).unwrap();
    let object = stream(&with_metadata, &[(batch, Metadata::new())], true);
    let mut resolution = resolution(pointer(None), &Account::default(), ObjectLimits::default());
    assert!(resolve(&mut resolution, None, &object, 100).is_ok());
}
