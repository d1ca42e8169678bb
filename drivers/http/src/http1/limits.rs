//! The limits of both state machines. Each default is explained.

/// What a state machine accepts from its peer and buffers for it. The size of a body is limited for each body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The bytes of a head: request or status line and fields, with their line ends.
    ///
    /// Default 64 KiB: common proxies limit it to 8 to 64 KiB, and bearer tokens are a few KiB.
    pub max_head_bytes: usize,
    /// The fields of a head, or of a trailer section; never more than [`Self::MAX_FIELDS`].
    ///
    /// Default 100: browsers and proxies together add about thirty.
    pub max_fields: usize,
    /// The bytes of a request target.
    ///
    /// Default 8,000, the minimum that RFC 9112, section 3, recommends.
    pub max_target_bytes: usize,
    /// The bytes of a chunked body's trailer section. The fields are checked and dropped.
    ///
    /// Default 8 KiB.
    pub max_trailer_bytes: usize,
    /// The length of a body that is read and dropped to keep the connection, after a response that did not wait for it. After a
    /// longer one, or one of unknown length, the connection closes.
    ///
    /// Default 64 KiB: that much is mostly in transit already, and costs less than another connection.
    pub max_discarded_bytes: u64,
    /// The bytes of output at which the server stops accepting pipelined requests until some have been sent.
    ///
    /// Default 1 MiB. A single response may exceed it.
    pub max_buffered_output: usize,
    /// The interim (1xx) responses that a client skips before the final one.
    ///
    /// Default 16: a server sends one or two.
    pub max_interim_responses: usize,
}

impl Limits {
    /// The most fields that any setting of [`Self::max_fields`] allows.
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
