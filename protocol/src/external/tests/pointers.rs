//! Recognition of pointers, and which pointers are refused.

use super::*;
use crate::location::LocationError;

fn recognised(rows: usize, entries: &[(&str, &str)]) -> Result<Option<Pointer>, PointerError> {
    Pointer::recognise(rows, &entries.iter().copied().collect())
}

#[test]
fn a_pointer_has_no_rows_a_location_and_no_level() {
    let location = (keys::LOCATION, URL);
    let found = recognised(0, &[location]).unwrap().unwrap();
    assert_eq!((found.location.as_str(), found.sha256), (URL, None));
    assert_eq!(recognised(1, &[location]), Ok(None));
    assert_eq!(recognised(0, &[]), Ok(None));
    assert_eq!(recognised(0, &[("application", URL)]), Ok(None));
    assert_eq!(recognised(0, &[location, (keys::LOG_LEVEL, "INFO"), (keys::LOG_MESSAGE, "x")]), Ok(None));
    assert_eq!(recognised(0, &[location, (keys::LOG_LEVEL, "INFO")]), Ok(None));
    assert_eq!(recognised(0, &[(keys::LOG_LEVEL, "EXCEPTION"), (keys::LOCATION, "not a URL")]), Ok(None));
    assert!(recognised(0, &[location, ("application", "x")]).unwrap().is_some());
}

#[test]
fn what_is_written_is_read() {
    for sha256 in [None, Some(digest_of(b"x"))] {
        let pointer = Pointer { location: Location::parse(URL).unwrap(), sha256 };
        let metadata = pointer.to_metadata();
        assert_eq!(metadata.len(), 1 + usize::from(sha256.is_some()));
        assert_eq!(Pointer::recognise(0, &metadata), Ok(Some(pointer)));
    }
}

#[test]
fn pointers_that_break_the_rules_are_refused_and_not_repeated() {
    let (location, digest) = ((keys::LOCATION, URL), "0".repeat(64));
    let provenance = [(keys::LOCATION_FETCH_MS, "1.0"), (keys::LOCATION_SOURCE, URL)];
    for (key, value) in provenance {
        assert_eq!(recognised(0, &[location, (key, value)]), Err(PointerError::Provenance(key)));
    }
    let sha256 = |value| recognised(0, &[location, (keys::LOCATION_SHA256, value)]);
    assert!(sha256(&digest).is_ok());
    for wrong in ["", "x", &digest[1..], &"A".repeat(64)] {
        assert_eq!(sha256(wrong), Err(PointerError::Digest(DigestError)), "{wrong}");
    }
    assert_eq!(recognised(0, &[location, location]), Err(PointerError::Duplicate(keys::LOCATION)));
    let twice = [location, (keys::LOCATION_SHA256, &digest), (keys::LOCATION_SHA256, &digest)];
    assert_eq!(recognised(0, &twice), Err(PointerError::Duplicate(keys::LOCATION_SHA256)));
    for wrong in ["", "s3cr3t", "/s3cr3t", "file:///s3cr3t", "https://h.example/?s3cr3t \n"] {
        let error = recognised(0, &[(keys::LOCATION, wrong)]).unwrap_err();
        assert_eq!(error, PointerError::Location(LocationError::Invalid), "{wrong:?}");
        assert!(!format!("{error} {error:?}").contains("s3cr3t"));
    }
    let bytes: Metadata = [(keys::LOCATION, &b"https://h.example/\xff"[..])].into_iter().collect();
    assert_eq!(Pointer::recognise(0, &bytes), Err(PointerError::Location(LocationError::NotText)));
}
