//! Encodes and parses captures: `FORMAT.md` describes the format.

use crate::capture::{Capture, Direction, Header, Placeholder, PlaceholderKind, Record, Role, What};
use std::time::Duration;
use thiserror::Error;
use vgi_rpc_protocol::service::TransportKind;

/// The first bytes of a capture.
pub const MAGIC: &[u8; 8] = b"vgi-rec\n";
/// The version of the format: the only one that is written and read.
pub const VERSION: u8 = 1;

const RECEIVED: u8 = 1;
const SENT: u8 = 2;
const PEER_CLOSED: u8 = 3;
const CLOSED: u8 = 4;
const ENTROPY: u8 = 5;
const WITHHELD_ENTROPY: u8 = 6;
const CLOCK: u8 = 7;
const PLACEHOLDER: u8 = 8;
const END: u8 = 9;

/// Why bytes are not a valid capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// They do not begin with [`MAGIC`].
    #[error("expected a capture, which begins with \"vgi-rec\\n\", got other bytes")]
    NotACapture,
    /// They have another version of the format.
    #[error("expected version {VERSION} of the format, got {0}")]
    Version(u8),
    /// The capture is truncated: the disk was full, or the process ended while writing it.
    #[error("the capture is cut off: expected {expected} further bytes at offset {offset}, got {got}")]
    CutOff {
        /// The offset.
        offset: usize,
        /// How many bytes were expected.
        expected: usize,
        /// How many bytes remain.
        got: usize,
    },
    /// A field has an invalid value.
    #[error("the capture is damaged: {field} at offset {offset} is invalid")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The offset.
        offset: usize,
    },
    /// There are bytes after the capture's end.
    #[error("expected the end after the last record, got {0} further bytes")]
    TrailingBytes(usize),
}

impl Capture {
    /// Encodes a capture. Truncates what the format cannot express: a server id of more than 255 bytes, a record of 4 GiB.
    pub fn encode(&self) -> Vec<u8> {
        let Self { header, records, placeholders, is_capped } = self;
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.push(match header.transport {
            TransportKind::Pipe => 1,
            TransportKind::Unix => 2,
            TransportKind::Tcp => 3,
            TransportKind::Http => 4,
            // This version of the format has no number for it, and a reader rejects 0.
            _ => 0,
        });
        bytes.push(match header.role {
            Role::Server => 1,
            Role::Client => 2,
        });
        bytes.push(0);
        for number in [header.max_bytes, header.dropped, nanoseconds(header.began), header.seed] {
            bytes.extend(number.to_le_bytes());
        }
        let mut id = header.server_id.as_bytes();
        while id.len() > 255 || std::str::from_utf8(id).is_err() {
            id = id.get(..id.len().min(256) - 1).unwrap_or_default();
        }
        bytes.push(u8::try_from(id.len()).unwrap_or(0));
        bytes.extend(id);
        let mut last = 0;
        for Record { elapsed, what } in records {
            last = nanoseconds(*elapsed);
            match what {
                What::Received(data) => write(&mut bytes, RECEIVED, last, data),
                What::Sent(data) => write(&mut bytes, SENT, last, data),
                What::PeerClosed => write(&mut bytes, PEER_CLOSED, last, &[]),
                What::Closed => write(&mut bytes, CLOSED, last, &[]),
                What::Entropy(data) => write(&mut bytes, ENTROPY, last, data),
                What::WithheldEntropy(count) => {
                    write(&mut bytes, WITHHELD_ENTROPY, last, &count.to_le_bytes());
                }
                What::Clock(time) => write(&mut bytes, CLOCK, last, &nanoseconds(*time).to_le_bytes()),
            }
        }
        for Placeholder { direction, kind, range } in placeholders {
            let direction = match direction {
                Direction::Received => 1,
                Direction::Sent => 2,
            };
            let kind = match kind {
                PlaceholderKind::Secret => 1,
                PlaceholderKind::Withheld => 2,
            };
            let payload = [&[direction, kind][..], &range.start.to_le_bytes(), &range.end.to_le_bytes()];
            write(&mut bytes, PLACEHOLDER, last, &payload.concat());
        }
        write(&mut bytes, END, last, &[u8::from(*is_capped)]);
        bytes
    }

    /// Parses all of `bytes` as a capture. Uses memory in proportion to them.
    ///
    /// # Errors
    /// If they are not exactly one complete capture of this [`VERSION`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut input = Input { bytes, offset: 0 };
        if !bytes.starts_with(MAGIC) {
            return Err(FormatError::NotACapture);
        }
        input.take(MAGIC.len())?;
        match input.byte()? {
            VERSION => {}
            other => return Err(FormatError::Version(other)),
        }
        let transport = match input.byte()? {
            1 => TransportKind::Pipe,
            2 => TransportKind::Unix,
            3 => TransportKind::Tcp,
            4 => TransportKind::Http,
            _ => return Err(input.invalid("transport", 1)),
        };
        let role = match input.byte()? {
            1 => Role::Server,
            2 => Role::Client,
            _ => return Err(input.invalid("role", 1)),
        };
        if input.byte()? != 0 {
            return Err(input.invalid("reserved byte", 1));
        }
        let (max_bytes, dropped) = (input.u64()?, input.u64()?);
        let (began, seed) = (Duration::from_nanos(input.u64()?), input.u64()?);
        let count = input.byte()?.into();
        let id = input.take(count)?;
        let server_id = match std::str::from_utf8(id) {
            Ok(text) => text.to_owned(),
            Err(_) => return Err(input.invalid("server id", count)),
        };
        let header = Header { transport, role, max_bytes, dropped, began, seed, server_id };
        Body::default().read(header, input)
    }
}

/// The records that have been parsed.
#[derive(Default)]
struct Body {
    records: Vec<Record>,
    placeholders: Vec<Placeholder>,
    last: u64,
    received: u64,
    sent: u64,
}

impl Body {
    fn read(mut self, header: Header, mut input: Input<'_>) -> Result<Capture, FormatError> {
        loop {
            let kind = input.byte()?;
            let elapsed = input.u64()?;
            if elapsed < self.last {
                return Err(input.invalid("elapsed time", 8));
            }
            self.last = elapsed;
            let count = input.u32()? as usize;
            let payload = input.take(count)?;
            let size = |expected: usize| match count == expected {
                true => Ok(()),
                false => Err(FormatError::Invalid { field: "length", offset: input.offset - count }),
            };
            let what = match kind {
                RECEIVED => {
                    self.received += count as u64;
                    What::Received(payload.to_vec())
                }
                SENT => {
                    self.sent += count as u64;
                    What::Sent(payload.to_vec())
                }
                PEER_CLOSED => size(0).map(|()| What::PeerClosed)?,
                CLOSED => size(0).map(|()| What::Closed)?,
                ENTROPY => What::Entropy(payload.to_vec()),
                WITHHELD_ENTROPY => {
                    size(4)?;
                    What::WithheldEntropy(Input { bytes: payload, offset: 0 }.u32()?)
                }
                CLOCK => {
                    size(8)?;
                    What::Clock(Duration::from_nanos(Input { bytes: payload, offset: 0 }.u64()?))
                }
                PLACEHOLDER => {
                    size(18)?;
                    let found = self.placeholder(payload);
                    self.placeholders.push(found.ok_or_else(|| input.invalid("placeholder", count))?);
                    continue;
                }
                END => {
                    size(1)?;
                    let is_capped = match payload {
                        [0] => false,
                        [1] => true,
                        _ => return Err(input.invalid("end", 1)),
                    };
                    return match input.bytes.len() - input.offset {
                        0 => {
                            let Self { records, placeholders, .. } = self;
                            Ok(Capture { header, records, placeholders, is_capped })
                        }
                        more => Err(FormatError::TrailingBytes(more)),
                    };
                }
                _ => return Err(input.invalid("kind of record", 13 + count)),
            };
            if !self.placeholders.is_empty() {
                return Err(input.invalid("order of records", 13 + count));
            }
            self.records.push(Record { elapsed: Duration::from_nanos(elapsed), what });
        }
    }

    /// Parses a placeholder. It must follow the previous ones and lie within the bytes of its direction.
    fn placeholder(&self, payload: &[u8]) -> Option<Placeholder> {
        let mut input = Input { bytes: payload, offset: 0 };
        let (direction, total) = match input.byte().ok()? {
            1 => (Direction::Received, self.received),
            2 => (Direction::Sent, self.sent),
            _ => return None,
        };
        let kind = match input.byte().ok()? {
            1 => PlaceholderKind::Secret,
            2 => PlaceholderKind::Withheld,
            _ => return None,
        };
        let range = input.u64().ok()?..input.u64().ok()?;
        let follows = self.placeholders.last().is_none_or(|last| {
            last.direction < direction || (last.direction == direction && last.range.end <= range.start)
        });
        (follows && range.start < range.end && range.end <= total).then_some(Placeholder {
            direction,
            kind,
            range,
        })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn write(bytes: &mut Vec<u8>, kind: u8, elapsed: u64, payload: &[u8]) {
    let count = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    bytes.push(kind);
    bytes.extend(elapsed.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(payload.get(..count as usize).unwrap_or(payload));
}

/// The bytes that remain to be parsed.
struct Input<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        let taken = rest.get(..count).ok_or(FormatError::CutOff {
            offset: self.offset,
            expected: count,
            got: rest.len(),
        })?;
        self.offset += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let taken = self.take(N)?;
        // `taken` has N bytes.
        Ok(taken.try_into().unwrap_or([0; N]))
    }

    fn byte(&mut self) -> Result<u8, FormatError> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Creates the error for the last field, which begins `bytes_read` bytes before the offset.
    fn invalid(&self, field: &'static str, bytes_read: usize) -> FormatError {
        FormatError::Invalid { field, offset: self.offset.saturating_sub(bytes_read) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn capture() -> Capture {
        let at = Duration::from_millis;
        let record = |elapsed, what| Record { elapsed: at(elapsed), what };
        Capture {
            header: Header {
                transport: TransportKind::Http,
                role: Role::Server,
                max_bytes: 1 << 20,
                dropped: 3,
                began: at(1_700_000_000_000),
                seed: 7,
                server_id: "a1b2".into(),
            },
            records: vec![
                record(0, What::Received(b"abcdef".to_vec())),
                record(1, What::Clock(at(1_700_000_000_001))),
                record(1, What::Entropy(vec![1, 2, 3])),
                record(2, What::WithheldEntropy(32)),
                record(3, What::Sent(b"ghi".to_vec())),
                record(3, What::PeerClosed),
                record(4, What::Closed),
            ],
            placeholders: vec![
                Placeholder { direction: Direction::Received, kind: PlaceholderKind::Secret, range: 1..3 },
                Placeholder { direction: Direction::Received, kind: PlaceholderKind::Withheld, range: 3..6 },
                Placeholder { direction: Direction::Sent, kind: PlaceholderKind::Secret, range: 0..1 },
            ],
            is_capped: true,
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let bytes = capture().encode();
        assert_eq!(Capture::parse(&bytes).unwrap(), capture());
    }

    #[test]
    fn every_cut_and_every_byte_too_many_is_found() {
        let bytes = capture().encode();
        for end in 0..bytes.len() {
            assert!(Capture::parse(&bytes[..end]).is_err(), "{end}");
        }
        assert_eq!(Capture::parse(&[&bytes[..], b"!"].concat()), Err(FormatError::TrailingBytes(1)));
    }

    #[test]
    fn other_versions_and_impossible_values_are_refused() {
        let damaged = |change: fn(&mut Capture)| {
            let mut capture = capture();
            change(&mut capture);
            Capture::parse(&capture.encode())
        };
        let mut other = capture().encode();
        other[8] = 2;
        assert_eq!(Capture::parse(&other), Err(FormatError::Version(2)));
        let backwards = damaged(|capture| capture.records[0].elapsed = Duration::from_secs(9));
        assert!(matches!(backwards, Err(FormatError::Invalid { field: "elapsed time", .. })));
        for change in [
            |capture: &mut Capture| capture.placeholders[2].range = 2..4,
            |capture: &mut Capture| capture.placeholders[1].range = 2..4,
            |capture: &mut Capture| capture.placeholders[1].range = 4..4,
            |capture: &mut Capture| capture.placeholders.swap(0, 2),
        ] {
            let refused = damaged(change);
            assert!(matches!(refused, Err(FormatError::Invalid { field: "placeholder", .. })), "{refused:?}");
        }
    }

    #[test]
    fn long_ids_are_cut_between_characters() {
        let mut long = capture();
        long.header.server_id = "ü".repeat(200);
        assert_eq!(Capture::parse(&long.encode()).unwrap().header.server_id, "ü".repeat(127));
    }
}
