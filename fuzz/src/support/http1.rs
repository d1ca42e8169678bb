//! Helpers for the targets of the two HTTP/1.1 machines.

use bytes::Buf;
use vgi_rpc_http::http1::{Limits, Outbox};

/// Bounds small enough that short inputs reach them.
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_head_bytes = 700;
    limits.max_target_bytes = 100;
    limits.max_trailer_bytes = 60;
    limits.max_fields = 16;
    limits.max_discarded_bytes = 40;
    limits.max_buffered_output = 1000;
    limits.max_interim_responses = 2;
    limits
}

/// Takes the pending output: by slices, as a driver's vectored write does, or segment by segment.
pub fn drain_all(outbox: Option<&mut Outbox>) -> Vec<u8> {
    let Some(outbox) = outbox else { return Vec::new() };
    let (len, mut sent) = (outbox.len(), Vec::new());
    assert!(len > 0, "an available outbox has bytes to send");
    while !outbox.is_empty() {
        // Every other portion is one byte short, so that segments are left half sent.
        let chunk = outbox.chunk();
        assert!(!chunk.is_empty(), "an outbox that is not empty has bytes to send");
        let count = (chunk.len() - usize::from(sent.len() % 2 == 0 && chunk.len() > 1)).max(1);
        sent.extend_from_slice(&chunk[..count]);
        outbox.advance(count);
        if let Some(segment) = outbox.pop_segment() {
            sent.extend_from_slice(&segment);
        }
    }
    assert_eq!(sent.len(), len, "the sent length matches the pending length");
    sent
}
