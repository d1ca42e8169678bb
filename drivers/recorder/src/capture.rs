//! A capture in memory: what was said on one connection, and which parts of it are placeholders.

use std::ops::Range;
use std::time::Duration;
use vgi_rpc_protocol::service::TransportKind;

/// Which side of a connection made a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The server: what it receives are requests.
    Server,
    /// The client: what it sends are requests.
    Client,
}

/// A direction, as the recording side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the peer.
    Received,
    /// To the peer.
    Sent,
}

/// What a capture begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The transport. Inside TLS the plaintext is recorded, and nothing says that there was TLS.
    pub transport: TransportKind,
    /// The side that recorded.
    pub role: Role,
    /// The most bytes that were recorded: see [`Capture::is_capped`].
    pub max_bytes: u64,
    /// How many captures the recorder had dropped before this one.
    pub dropped: u64,
    /// When the connection began, since the Unix epoch.
    pub began: Duration,
    /// The seed of the ids of requests that come without one. 0 where there is none.
    pub seed: u64,
    /// The server instance, at most 255 bytes of it; empty if it was not known.
    pub server_id: String,
}

/// Something that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The time since the connection began. It never decreases from one record to the next.
    pub elapsed: Duration,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Bytes came.
    Received(Vec<u8>),
    /// Bytes were sent, or given to the event loop to be sent.
    Sent(Vec<u8>),
    /// The peer closed its sending side.
    PeerClosed,
    /// The connection ended here.
    Closed,
    /// The protocol drew these random bytes.
    Entropy(Vec<u8>),
    /// The protocol drew so many random bytes for something that is secret.
    WithheldEntropy(u32),
    /// The protocol read the clock: the time since the Unix epoch.
    Clock(Duration),
}

/// Why bytes are not those that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaceholderKind {
    /// They stand for a secret. One secret has one placeholder in all captures of a recorder.
    Secret,
    /// They are zeros in the place of a part that may hold secrets and cannot be redacted: see the crate's documentation.
    Withheld,
}

/// Bytes of one direction that are not those that were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The direction.
    pub direction: Direction,
    /// Why.
    pub kind: PlaceholderKind,
    /// Where they are in all bytes of that direction. Not empty.
    pub range: Range<u64>,
}

/// What was said on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// What it begins with.
    pub header: Header,
    /// What happened, in order.
    pub records: Vec<Record>,
    /// Which bytes are placeholders: by direction and offset, none of them within another.
    pub placeholders: Vec<Placeholder>,
    /// True if there was more than the recorder's limit allows. What followed is not there.
    pub is_capped: bool,
}

impl Capture {
    /// All bytes of one direction.
    pub fn bytes(&self, direction: Direction) -> Vec<u8> {
        let pieces = self.records.iter().filter_map(|record| match (&record.what, direction) {
            (What::Received(bytes), Direction::Received) | (What::Sent(bytes), Direction::Sent) => {
                Some(&bytes[..])
            }
            _ => None,
        });
        pieces.collect::<Vec<_>>().concat()
    }

    /// The direction of requests.
    pub const fn requests(&self) -> Direction {
        match self.header.role {
            Role::Server => Direction::Received,
            Role::Client => Direction::Sent,
        }
    }

    /// The direction of responses.
    pub const fn responses(&self) -> Direction {
        match self.header.role {
            Role::Server => Direction::Sent,
            Role::Client => Direction::Received,
        }
    }

    /// The placeholders of one direction, as ranges of [`bytes`](Self::bytes).
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
