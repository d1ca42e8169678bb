//! The bounds of both machines, in one struct. Each has a default that says why.

/// What a machine accepts from its peer and holds for it. How large a body may be is said for each body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a head: request or status line and fields, with their line ends.
    ///
    /// Default 64 KiB: proxies in common use stop at 8 to 64 KiB, and bearer tokens are a few KiB.
    pub max_head_bytes: usize,
    /// Fields of a head, or of a trailer section; never more than [`Self::MAX_FIELDS`].
    ///
    /// Default 100: browsers and proxies together add some thirty.
    pub max_fields: usize,
    /// Bytes of a request target.
    ///
    /// Default 8,000, which RFC 9112, section 3, recommends at the least.
    pub max_target_bytes: usize,
    /// Bytes of a chunked body's trailer section. The fields are checked and dropped.
    ///
    /// Default 8 KiB.
    pub max_trailer_bytes: usize,
    /// Length of a body that is read and dropped, after an answer that did not wait for it, to keep the connection.
    /// Behind a longer one, or one of unknown length, the connection closes.
    ///
    /// Default 64 KiB: a window's worth is mostly on its way already, and costs less than another connection.
    pub max_discarded_bytes: u64,
    /// Bytes of output at which the server takes up no further pipelined request until some were sent.
    ///
    /// Default 1 MiB. A single answer may exceed it.
    pub max_buffered_output: usize,
    /// Interim (1xx) responses that a client passes over before the final one.
    ///
    /// Default 16: a server sends one or two.
    pub max_interim_responses: usize,
}

impl Limits {
    /// The most fields that any setting of [`Self::max_fields`] admits.
    pub const MAX_FIELDS: usize = 128;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head_bytes: 64 << 10,
            max_fields: 100,
            max_target_bytes: 8000,
            max_trailer_bytes: 8 << 10,
            max_discarded_bytes: 64 << 10,
            max_buffered_output: 1 << 20,
            max_interim_responses: 16,
        }
    }
}
