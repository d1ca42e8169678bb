//! The sizes of a segment's header. WIRE_PROTOCOL 11, "Segment header format".

/// The size of the header, which the data follows. WIRE_PROTOCOL 11, "Segment header format".
pub const HEADER_BYTES: u64 = 65536;

/// The maximum number of regions in a header.
pub const MAX_REGIONS: u32 = 4094;
