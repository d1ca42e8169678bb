//! Arrow IPC stream framing with per-message `custom_metadata`: incremental decoding, gather encoding.
//!
//! This module finds the boundaries of messages, reads headers and bodies, checks them before Arrow does, and writes the gather
//! list. The meaning of metadata keys is in [`crate::wire`].
//!
//! `arrow-ipc` decodes column bodies and lays out nested columns. Its own stream decoder is not used: it drops per-message
//! metadata, and it waits for one byte beyond a message without a body, which deadlocks a lockstep stream. WIRE_PROTOCOL 2,
//! Appendices A to D.
//!
//! Where Arrow's format is ambiguous, or differed in older versions, batches are read as pyarrow reads them:
//!
//! | in a record batch | is |
//! | --- | --- |
//! | a null count of -1 | counted from the validity bitmap, which must be present; other negative counts are refused |
//! | a union in metadata version V4, with a validity bitmap | read, if it has no nulls |
//! | a child longer than its struct, sparse union or fixed-size list | cut to the length that is used |
//! | a column of text or bytes without rows whose one offset is not 0 | an empty column |
//! | a dictionary that is `ordered` | read and kept ordered; a parameter may be either, whatever the method declares |

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `format` | the constants of the format, and its padding |
// | `frames` | bytes to messages: prefix, header, body |
// | `chunks` | the input: whole chunks shared, large bodies read straight into aligned memory |
// | `envelope` | the fields of a message header, read with every access checked |
// | `reader` | messages to schemas and batches, with dictionaries |
// | `columns` | bodies to columns with `arrow-ipc` |
// | `dictionaries` | the dictionaries of a stream |
// | `flat` | batches of flat columns, decoded here |
// | `check` | checks before Arrow decodes any other body |
// | `nodes` | null counts and lengths of columns, made exact for Arrow |
// | `null_slots` | clears text under nulls, which may be any bytes |
// | `relaid` | copies bodies that are compressed or misaligned |
// | `compression` | the supported compressions, and their maximum expansion |
// | `schema` | a schema decoded, or encoded once and sent many times |
// | `known` | schemas that the readers of one server share |
// | `schema_cost` | a schema's memory, before it is decoded |
// | `time_zones` | empty time zone names in received schemas |
// | `encoder`, `layout` | batches to messages |
// | `outbox` | the gather list |
// | `single` | one batch as a whole stream in memory |

mod check;
mod chunks;
mod columns;
mod compression;
mod dictionaries;
mod encoder;
mod envelope;
mod error;
mod flat;
mod format;
mod frames;
mod known;
mod layout;
pub mod metadata;
mod nodes;
mod null_slots;
mod outbox;
mod reader;
mod relaid;
mod schema;
mod schema_cost;
mod single;
mod time_zones;

pub use encoder::BatchEncoder;
pub use error::{EncodeError, FramingError, MessageError, ReadError};
pub(crate) use format::END_OF_STREAM;
#[cfg(feature = "http")]
pub(crate) use known::KnownSchemas;
pub use metadata::Metadata;
pub use outbox::{Outbox, Segment};
pub(crate) use reader::BODY_BYTES;
pub(crate) use reader::PassedOver;
pub use reader::{Item, Reader};
pub use schema::{EncodedSchema, ReceivedSchema};
pub(crate) use single::decode_batch_with;
pub use single::{decode_batch, decode_schema, encode_batch};
