//! The limits of every machine, in one struct. Each has a default with a reason.

/// The limits on what a machine accepts from its peer and keeps for it.
///
/// Exceeding a limit is a typed error. If the framing is still intact, the machine skips the message, responds, and continues.
/// Otherwise the connection fails after its last response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Size of one message header (schema, field nodes, buffer list and custom metadata together).
    ///
    /// Default 8 MiB: a schema of 20,000 named columns fits, and a header is held in memory whole.
    pub max_header_bytes: usize,
    /// Size of one message body, and of all decoded data of a stream at one time: the batch after decompression and the
    /// dictionaries that it may refer to.
    ///
    /// Default 4 GiB: a column with 32-bit offsets can reach 2 GiB, and memory is allocated only as bytes arrive.
    pub max_body_bytes: u64,
    /// Entries of `custom_metadata` on one message.
    ///
    /// Default 1,024: the protocol itself uses fewer than twenty.
    pub max_metadata_entries: usize,
    /// Fields of a schema, nested ones counted.
    ///
    /// Default 32,768.
    pub max_schema_fields: usize,
    /// Nesting depth of a schema.
    ///
    /// Default 32: deep enough for any table, shallow enough for the recursion of array constructors.
    pub max_schema_depth: usize,
    /// Rows of one batch whose columns have no bytes per row, so that a small message cannot claim many rows.
    ///
    /// Default 2^31 - 1, the most that 32-bit offsets can address.
    pub max_rows: u64,
    /// Size of waiting output from which a machine accepts no new work until its driver has sent some.
    ///
    /// Default 1 MiB: several turns of a small stream, less than one of a large one. A single response may exceed it, because it
    /// is one turn's work and mostly consists of the arrays' own memory.
    pub max_buffered_output: usize,
    /// Memory of waiting logs from the handlers of one connection, in bytes. Further logs are left out, and the client is sent
    /// their number.
    ///
    /// Default 4 MiB: 20,000 short lines. Logs also use at most half of a [`Budget`](crate::memory::Budget).
    pub max_waiting_logs: usize,
    /// Number of decoded schemas that are cached per connection, so that repeated calls do not decode the same bytes again.
    ///
    /// Default 32. Only schemas of up to 4 KiB are cached.
    pub max_cached_schemas: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_header_bytes: 8 << 20,
            max_body_bytes: 4 << 30,
            max_metadata_entries: 1024,
            max_schema_fields: 32 << 10,
            max_schema_depth: 32,
            max_rows: i32::MAX as u64,
            max_buffered_output: 1 << 20,
            max_waiting_logs: 4 << 20,
            max_cached_schemas: 32,
        }
    }
}
