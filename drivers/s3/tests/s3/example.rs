//! The example: a large result goes through the bucket.

use crate::bucket;

#[test]
fn a_large_result_goes_through_the_bucket() {
    let lines = bucket::run(8 << 20).unwrap();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "read(8388608) returned 8388608 bytes");
    assert!(lines[1].starts_with("  the bucket took 1 object in "), "{lines:?}");
    assert!(lines[2].starts_with("  the bucket gave it in "), "{lines:?}");
}
