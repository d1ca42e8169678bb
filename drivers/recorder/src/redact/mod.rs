//! Replaces secrets before a capture is written.
//!
//! This module knows which values are secret, and where they are in the bytes of each transport. The rule: a byte is written only
//! if it was understood. Bytes that are not understood, because they are truncated, damaged, in an unknown coding or of a type
//! that is not parsed, are withheld.

// | file | subject |
// | --- | --- |
// | `names` | which names mark secret values |
// | `placeholder` | the bytes that replace a secret |
// | `edits` | the ranges to replace |
// | `timeline` | the order of the bytes of both directions |
// | `arrow_streams` | Arrow IPC streams and their metadata |
// | `byte_streams` | pipes and sockets |
// | `http_messages`, `http` | HTTP |

pub(crate) mod arrow_streams;
mod byte_streams;
mod edits;
pub(crate) mod http;
pub(crate) mod http_messages;
mod names;
mod placeholder;
mod timeline;

use crate::capture::{Capture, Direction, Placeholder, Record, What};
use crate::raw::Raw;
use edits::Edits;
pub(crate) use placeholder::PlaceholderKey;
use timeline::Timeline;
use vgi_rpc_protocol::service::TransportKind;

/// Converts a recording to a capture without secrets.
pub(crate) fn redact(raw: Raw, key: &PlaceholderKey) -> Capture {
    let timeline = Timeline::of(&raw);
    let is_client = raw.is_client();
    let Raw { header, mut records, is_capped, .. } = raw;
    let joined = |direction| {
        let pieces = records.iter().filter_map(|record| match (&record.what, direction) {
            (What::Received(bytes), Direction::Received) | (What::Sent(bytes), Direction::Sent) => {
                Some(&bytes[..])
            }
            _ => None,
        });
        pieces.collect::<Vec<_>>().concat()
    };
    let (mut received, mut sent) = (joined(Direction::Received), joined(Direction::Sent));
    let (requests, responses) = if is_client { (&sent, &received) } else { (&received, &sent) };
    let (of_requests, of_responses, draws) = match header.transport {
        TransportKind::Http => {
            let (of_requests, of_responses, draws) = http::find(requests, responses);
            (of_requests, of_responses, Some(draws))
        }
        _ => {
            let (of_requests, of_responses) = byte_streams::find(requests, responses, &timeline);
            (of_requests, of_responses, None)
        }
    };
    let (of_received, of_sent) =
        if is_client { (of_responses, of_requests) } else { (of_requests, of_responses) };
    let mut placeholders = Vec::new();
    for (direction, edits, bytes) in
        [(Direction::Received, of_received, &mut received), (Direction::Sent, of_sent, &mut sent)]
    {
        let edits: Edits = edits;
        placeholders.extend(edits.apply(bytes, key).into_iter().map(|(range, kind)| Placeholder {
            direction,
            kind,
            range: range.start as u64..range.end as u64,
        }));
    }
    let (mut received, mut sent) = (&received[..], &sent[..]);
    for (index, record) in records.iter_mut().enumerate() {
        match &mut record.what {
            What::Received(bytes) => put_back(bytes, &mut received),
            What::Sent(bytes) => put_back(bytes, &mut sent),
            What::Entropy(bytes) => {
                let may_show = draws.as_ref().is_some_and(|draws| draws.may_show(&timeline, index));
                if !may_show {
                    record.what = What::WithheldEntropy(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                }
            }
            _ => {}
        }
    }
    let records: Vec<Record> = records;
    Capture { header, records, placeholders, is_capped }
}

impl Capture {
    /// Replaces the secrets in a capture that was made by other software or by an older recorder. `key` must be random and must
    /// be discarded afterwards: with the key, short secrets can be guessed from their placeholders.
    #[must_use]
    pub fn redact(self, key: [u8; 32]) -> Self {
        let Self { header, records, placeholders: before, is_capped } = self;
        let mut redacted = redact(Raw::of(header, records, is_capped), &PlaceholderKey::new(key));
        // Existing placeholders are kept where nothing new is replaced.
        let mut kept = Vec::new();
        for Placeholder { direction, kind, range } in before {
            let mut start = range.start;
            let new = redacted.placeholders.iter().filter(|new| new.direction == direction);
            let covers = new.map(|new| new.range.clone()).chain(std::iter::once(range.end..range.end));
            for cover in covers.filter(|cover| cover.end > range.start) {
                let end = cover.start.min(range.end);
                if start < end {
                    kept.push(Placeholder { direction, kind, range: start..end });
                }
                start = start.max(cover.end);
            }
        }
        redacted.placeholders.extend(kept);
        redacted.placeholders.sort_by_key(|found| (found.direction, found.range.start));
        redacted
    }
}

/// Replaces a record's bytes by the next redacted ones.
fn put_back(bytes: &mut Vec<u8>, redacted: &mut &[u8]) {
    let (own, rest) = redacted.split_at(bytes.len().min(redacted.len()));
    bytes.clear();
    bytes.extend_from_slice(own);
    *redacted = rest;
}
