//! How a request names the segment of its client. WIRE_PROTOCOL 11, "SHM segment identity in request metadata".

use super::pointer::number;
use crate::ipc::Metadata;
use crate::wire::keys;

/// The maximum length of a segment's name in bytes: that of file systems, without the leading slash.
const LONGEST_NAME: usize = 254;

/// The prefix of the names of segments whose descriptor was sent over the socket. `EXTENSION.md`.
pub const DESCRIPTOR_PREFIX: &str = "descriptor:";

/// A segment to be attached. It exists already, and its client owns it.
///
/// The driver checks that it is a shared memory object of the client's user, that no other user may open it, and its size. It
/// completes the effect with [`Completion::Attached`](crate::effect::Completion::Attached).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachSegment {
    /// Its name, with or without a leading slash, depending on the platform.
    pub name: String,
    /// The size in bytes that the client claims, which must not be trusted.
    pub claimed_size: u64,
    /// The user of the client, if the transport knows it.
    pub peer_user: Option<u32>,
}

impl AttachSegment {
    /// Creates a segment of this name and size.
    pub fn new(name: impl Into<String>, claimed_size: u64) -> Self {
        Self { name: name.into(), claimed_size, peer_user: None }
    }

    /// Sets the client's user.
    pub fn of_user(mut self, user: impl Into<Option<u32>>) -> Self {
        self.peer_user = user.into();
        self
    }

    /// Returns whether it was sent by its descriptor. `EXTENSION.md`.
    pub fn is_by_descriptor(&self) -> bool {
        self.name.starts_with(DESCRIPTOR_PREFIX)
    }

    /// Reads the segment that a request names. Returns `None` if it names none, or not in a valid form.
    pub fn of_request(metadata: &Metadata) -> Option<Self> {
        Self::of_keys(metadata, keys::SHM_SEGMENT_NAME, keys::SHM_SEGMENT_SIZE)
    }

    /// Reads the segment that a client offers in a transport options request. Returns `None` if it offers none, or not in a valid
    /// form. `EXTENSION.md`.
    pub fn of_offer(metadata: &Metadata) -> Option<Self> {
        Self::of_keys(metadata, keys::TRANSPORT_SHM_SEGMENT_NAME, keys::TRANSPORT_SHM_SEGMENT_SIZE)
    }

    fn of_keys(metadata: &Metadata, name: &str, size: &'static str) -> Option<Self> {
        let name = metadata.get_str(name).filter(|name| is_segment_name(name))?;
        Some(Self::new(name, number(metadata, size).ok()?))
    }

    /// Adds the segment's name and size to the metadata of a request.
    pub fn advertise(&self, metadata: &mut Metadata) {
        metadata.set(keys::SHM_SEGMENT_NAME, &self.name);
        metadata.set(keys::SHM_SEGMENT_SIZE, self.claimed_size.to_string());
    }

    /// Adds the offer of the segment to the metadata of a transport options request. `EXTENSION.md`.
    pub fn offer(&self, metadata: &mut Metadata) {
        metadata.set(keys::TRANSPORT_SHM_SEGMENT_NAME, &self.name);
        metadata.set(keys::TRANSPORT_SHM_SEGMENT_SIZE, self.claimed_size.to_string());
    }
}

/// Returns whether a text is a valid name of a segment: visible ASCII characters, with no slash except at the start. So it cannot
/// be a path to a file.
/// path to a file.
pub fn is_segment_name(name: &str) -> bool {
    let bare = name.strip_prefix('/').unwrap_or(name);
    !bare.is_empty()
        && bare.len() <= LONGEST_NAME
        && bare.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
        && bare != "."
        && bare != ".."
}
