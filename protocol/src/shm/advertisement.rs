//! How a request names the segment of its client. WIRE_PROTOCOL 11, "SHM segment identity in request metadata".

use super::pointer::number;
use crate::ipc::Metadata;
use crate::wire::keys;

/// Longest name of a segment in bytes: what file systems take, without the slash that begins it.
const LONGEST_NAME: usize = 254;

/// What the names of segments begin with whose descriptor came over the socket. `EXTENSION.md`.
pub const DESCRIPTOR_PREFIX: &str = "descriptor:";

/// A segment that is to be attached. It exists already, and its client owns it.
///
/// Whoever attaches it checks that it is a shared memory object of the client's user, that nobody else may open it, and how
/// large it is. It is complete with [`Completion::Attached`](crate::effect::Completion::Attached).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachSegment {
    /// Its name. It may begin with a slash or not: some platforms report it so, and others so.
    pub name: String,
    /// What the client says of its size in bytes, which is not to be trusted.
    pub claimed_size: u64,
    /// The user of the client, if the transport knows it.
    pub peer_user: Option<u32>,
}

impl AttachSegment {
    /// A segment of this name and size.
    pub fn new(name: impl Into<String>, claimed_size: u64) -> Self {
        Self { name: name.into(), claimed_size, peer_user: None }
    }

    /// Says which user the client is.
    pub fn of_user(mut self, user: impl Into<Option<u32>>) -> Self {
        self.peer_user = user.into();
        self
    }

    /// Whether it came by its descriptor. `EXTENSION.md`.
    pub fn is_by_descriptor(&self) -> bool {
        self.name.starts_with(DESCRIPTOR_PREFIX)
    }

    /// The segment that a request names. `None` if it names none, or not as it should.
    pub fn of_request(metadata: &Metadata) -> Option<Self> {
        Self::of_keys(metadata, keys::SHM_SEGMENT_NAME, keys::SHM_SEGMENT_SIZE)
    }

    /// The segment that a client offers when it asks for the transport's options. `None` if it offers none, or not as it should.
    /// `EXTENSION.md`.
    pub fn of_offer(metadata: &Metadata) -> Option<Self> {
        Self::of_keys(metadata, keys::TRANSPORT_SHM_SEGMENT_NAME, keys::TRANSPORT_SHM_SEGMENT_SIZE)
    }

    fn of_keys(metadata: &Metadata, name: &str, size: &'static str) -> Option<Self> {
        let name = metadata.get_str(name).filter(|name| is_segment_name(name))?;
        Some(Self::new(name, number(metadata, size).ok()?))
    }

    /// Adds what names the segment to the metadata of a request.
    pub fn advertise(&self, metadata: &mut Metadata) {
        metadata.set(keys::SHM_SEGMENT_NAME, &self.name);
        metadata.set(keys::SHM_SEGMENT_SIZE, self.claimed_size.to_string());
    }

    /// Adds what offers the segment to the metadata of the question for the transport's options. `EXTENSION.md`.
    pub fn offer(&self, metadata: &mut Metadata) {
        metadata.set(keys::TRANSPORT_SHM_SEGMENT_NAME, &self.name);
        metadata.set(keys::TRANSPORT_SHM_SEGMENT_SIZE, self.claimed_size.to_string());
    }
}

/// Whether a text can be the name of a segment: visible characters of ASCII, with no slash except at its start. So it cannot be a
/// path to a file.
pub fn is_segment_name(name: &str) -> bool {
    let bare = name.strip_prefix('/').unwrap_or(name);
    !bare.is_empty()
        && bare.len() <= LONGEST_NAME
        && bare.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
        && bare != "."
        && bare != ".."
}
