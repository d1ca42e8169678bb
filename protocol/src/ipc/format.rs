//! The constants of the IPC format: message framing and alignment. WIRE_PROTOCOL Appendix A.

/// The first bytes of every message. Four zero bytes after it end the stream. Appendix A.
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];
/// The end-of-stream marker. Appendix A.
pub(crate) const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// The size of the prefix before the header: the continuation and the header's length.
pub(super) const PREFIX_LEN: usize = 8;
/// Everything the format places is aligned to this.
pub(super) const ALIGNMENT: usize = 8;

/// Returns the number of bytes to add to `len` for the format's alignment.
pub(super) const fn padding(len: usize) -> usize {
    len.wrapping_neg() % ALIGNMENT
}
