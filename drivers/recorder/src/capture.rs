//! A capture in memory: the records of one connection, and which of their bytes are placeholders.

use std::ops::Range;
use std::time::Duration;
use vgi_rpc_protocol::service::TransportKind;

/// Which side of a connection made a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The server: it receives requests.
    Server,
    /// The client: it sends requests.
    Client,
}

/// A direction, from the recording side's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the peer.
    Received,
    /// To the peer.
    Sent,
}

/// The header of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The transport. With TLS, the plaintext is recorded, and TLS is not mentioned.
    pub transport: TransportKind,
    /// The side that made the capture.
    pub role: Role,
    /// The recording limit in bytes: see [`Capture::is_capped`].
    pub max_bytes: u64,
    /// How many captures the recorder had dropped before this one.
    pub dropped: u64,
    /// When the connection began, since the Unix epoch.
    pub began: Duration,
    /// The seed of the ids that are given to requests without one; 0 if there is none.
    pub seed: u64,
    /// The id of the server instance, at most 255 bytes; empty if it was not known.
    pub server_id: String,
}

/// An event on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The time since the connection began. It never decreases between records.
    pub elapsed: Duration,
    /// The event.
    pub what: What,
}

/// An event of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Bytes were received.
    Received(Vec<u8>),
    /// Bytes were sent, or passed to the event loop for sending.
    Sent(Vec<u8>),
    /// The peer closed its sending side.
    PeerClosed,
    /// The connection ended here.
    Closed,
    /// The protocol drew these random bytes.
    Entropy(Vec<u8>),
    /// The protocol drew this number of random bytes for something secret.
    WithheldEntropy(u32),
    /// The protocol read the clock: the time since the Unix epoch.
    Clock(Duration),
}

/// Why bytes were replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaceholderKind {
    /// They replace a secret. A secret has the same placeholder in all captures of a recorder.
    Secret,
    /// They are zeros, in place of a part that may contain secrets and cannot be redacted: see `FORMAT.md`.
    Withheld,
}

/// Replaced bytes of one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The direction.
    pub direction: Direction,
    /// Why the bytes were replaced.
    pub kind: PlaceholderKind,
    /// Their range in all bytes of that direction. Not empty.
    pub range: Range<u64>,
}

/// The recording of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The header.
    pub header: Header,
    /// The events, in order.
    pub records: Vec<Record>,
    /// The placeholders, sorted by direction and offset, without overlaps.
    pub placeholders: Vec<Placeholder>,
    /// True if the recorder's limit was reached. Later records are missing.
    pub is_capped: bool,
}

impl Capture {
    /// Returns all bytes of one direction.
    pub fn bytes(&self, direction: Direction) -> Vec<u8> {
        let pieces = self.records.iter().filter_map(|record| match (&record.what, direction) {
            (What::Received(bytes), Direction::Received) | (What::Sent(bytes), Direction::Sent) => {
                Some(&bytes[..])
            }
            _ => None,
        });
        pieces.collect::<Vec<_>>().concat()
    }

    /// Returns the direction of requests.
    pub const fn requests(&self) -> Direction {
        match self.header.role {
            Role::Server => Direction::Received,
            Role::Client => Direction::Sent,
        }
    }

    /// Returns the direction of responses.
    pub const fn responses(&self) -> Direction {
        match self.header.role {
            Role::Server => Direction::Sent,
            Role::Client => Direction::Received,
        }
    }

    /// Returns the placeholders of one direction, as ranges of [`bytes`](Self::bytes).
    pub fn placeholders_of(
        &self,
        direction: Direction,
    ) -> impl Iterator<Item = (Range<usize>, PlaceholderKind)> + '_ {
        self.placeholders.iter().filter(move |found| found.direction == direction).map(|found| {
            let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
            (at(found.range.start)..at(found.range.end), found.kind)
        })
    }
}
