//! Per-message `custom_metadata`: an ordered list of key and value byte strings.
//!
//! The format calls keys and values strings, but a peer may send any bytes (`vgi_rpc.method` may be `FF FE`), and refusing such a
//! request with a typed error needs them intact. So they are bytes here, and text only where a key's meaning requires it.
//! WIRE_PROTOCOL 3 and Appendix D.

use bytes::Bytes;
use std::fmt;

/// Keys and values of one message, in the order of the wire. Duplicates are kept; a lookup finds the first.
///
/// Received metadata shares the message's bytes and copies nothing until it is changed.
#[derive(Clone, Default)]
pub struct Metadata {
    block: Block,
    spans: Vec<Span>,
}

#[derive(Clone)]
enum Block {
    Shared(Bytes),
    Owned(Vec<u8>),
}

impl Default for Block {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

/// The position of one key and its value in the block: start and length of each.
#[derive(Clone, Copy)]
struct Span {
    key: (u32, u32),
    value: (u32, u32),
}

impl Metadata {
    /// Creates empty metadata.
    pub const fn new() -> Self {
        Self { block: Block::Owned(Vec::new()), spans: Vec::new() }
    }

    /// Returns the number of entries, including duplicates.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns at least the total size of all keys and values.
    pub(crate) fn bytes_len(&self) -> usize {
        match &self.block {
            Block::Owned(bytes) => bytes.len(),
            Block::Shared(_) => {
                self.spans.iter().map(|span| span.key.1 as usize + span.value.1 as usize).sum()
            }
        }
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the value of the first entry with this key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&[u8]> {
        let (key, block) = (key.as_ref(), self.block.as_slice());
        // Most keys differ in length, which is faster to compare.
        let is_key = |span: &&Span| span.key.1 as usize == key.len() && part(block, span.key) == key;
        self.spans.iter().find(is_key).map(|span| part(block, span.value))
    }

    /// Returns the value of the first entry with this key, if it is UTF-8.
    pub fn get_str(&self, key: impl AsRef<[u8]>) -> Option<&str> {
        std::str::from_utf8(self.get(key)?).ok()
    }

    /// Returns whether some entry has this key.
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> bool {
        self.get(key).is_some()
    }

    /// Returns all entries, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let block = self.block.as_slice();
        self.spans.iter().map(|span| (part(block, span.key), part(block, span.value)))
    }

    /// Appends an entry. An existing entry with the same key is kept before it.
    pub fn push(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let key = self.append(key.as_ref());
        let value = self.append(value.as_ref());
        self.spans.push(Span { key, value });
    }

    /// Removes every entry with this key, then appends one.
    pub fn set(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.remove(key.as_ref());
        self.push(key, value);
    }

    /// Removes every entry with this key.
    pub fn remove(&mut self, key: impl AsRef<[u8]>) {
        let Self { block, spans } = self;
        spans.retain(|span| part(block.as_slice(), span.key) != key.as_ref());
    }

    /// Adds an entry inside a received block. Both ranges must be within it.
    pub(crate) fn push_span(&mut self, key: (u32, u32), value: (u32, u32)) {
        self.spans.push(Span { key, value });
    }

    /// Creates empty metadata whose spans will refer to `block`.
    pub(crate) fn over(block: Bytes, capacity: usize) -> Self {
        Self { block: Block::Shared(block), spans: Vec::with_capacity(capacity) }
    }

    fn append(&mut self, bytes: &[u8]) -> (u32, u32) {
        if let Block::Shared(shared) = &self.block {
            self.block = Block::Owned(shared.to_vec());
        }
        let Block::Owned(owned) = &mut self.block else { return (0, 0) };
        let start = owned.len() as u32;
        owned.extend_from_slice(bytes);
        (start, bytes.len() as u32)
    }
}

impl Block {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Returns the part of a block with this start and length.
fn part(block: &[u8], (start, len): (u32, u32)) -> &[u8] {
    let start = start as usize;
    block.get(start..start + len as usize).unwrap_or_default()
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Metadata {}

/// Keys whose values are credentials: signed URLs, and tokens.
const CREDENTIALS: [&str; 4] =
    ["vgi_rpc.location", "vgi_rpc.location.source", "vgi_rpc.stream_state#b64", "vgi_rpc.call_state#b64"];

impl fmt::Debug for Metadata {
    /// Omits the values that are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_credential = |key: &[u8]| CREDENTIALS.iter().any(|name| name.as_bytes() == key);
        let shown = |key, value| if is_credential(key) { Text(b"(not shown)") } else { Text(value) };
        f.debug_map().entries(self.iter().map(|(key, value)| (Text(key), shown(key, value)))).finish()
    }
}

/// Displays bytes as text, with other bytes escaped.
struct Text<'a>(&'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut metadata = Self::new();
        for (key, value) in entries {
            metadata.push(key, value);
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_duplicates_and_finds_the_first() {
        let metadata: Metadata = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        assert_eq!(metadata.get("a"), Some(&b"1"[..]));
        assert_eq!(metadata.len(), 3);
        assert_eq!(format!("{metadata:?}"), r#"{"a": "1", "b": "2", "a": "3"}"#);
    }

    #[test]
    fn set_replaces_and_shared_blocks_are_copied_on_change_only() {
        let mut metadata = Metadata::over(Bytes::from_static(b"keyvalue"), 1);
        metadata.push_span((0, 3), (3, 5));
        assert_eq!(metadata.get("key"), Some(&b"value"[..]));
        metadata.set("key", [0xff, 0xfe]);
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [(&b"key"[..], &[0xff, 0xfe][..])]);
        assert_eq!(metadata.get_str("key"), None);
    }
}
