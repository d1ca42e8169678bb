//! The example stores, fetches and uploads.

use crate::server::Server;
use crate::storage::builder;

#[allow(dead_code, reason = "its main function prints")]
#[path = "../../examples/try_bucket.rs"]
mod try_bucket;

#[test]
fn a_bucket_is_tried() {
    let server = Server::start();
    let lines = try_bucket::run(builder(&server)).unwrap();
    let starts = ["stored 80", "fetched 100000 rows", "uploaded 80", "fetched 100000 rows"];
    assert_eq!(lines.len(), starts.len());
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start) && !line.contains("X-Goog"), "{line}");
    }
    assert_eq!(server.statuses(), [200; 4]);
    server.state().troubles.extend((0..4).map(|_| crate::troubles::answer(403, "AccessDenied")));
    let error = try_bucket::run(builder(&server)).unwrap_err().to_string();
    assert_eq!(error, "PUT object failed: not allowed (AccessDenied) (bucket test-bucket)");
}
