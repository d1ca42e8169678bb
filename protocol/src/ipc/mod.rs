//! Arrow IPC stream framing with per-message `custom_metadata`: incremental decoding, gather encoding.
//!
//! Lives here: where a message begins and ends, its header, its body, the checks before Arrow sees it, and the
//! gather list that goes out. Not here: what any metadata key means (that is [`crate::wire`]).
//!
//! `arrow-ipc` decodes column bodies and lays out nested columns. Its own stream decoder is not used: it drops
//! per-message metadata, and it waits for one byte more than a message without a body has, which deadlocks a
//! lockstep stream. WIRE_PROTOCOL 2, Appendices A to D.
//!
//! What Arrow's format leaves open, or older versions of it had, is read as pyarrow reads it:
//!
//! | in a record batch | is |
//! | --- | --- |
//! | a null count of -1 | counted from the validity bitmap, which must be there; other negative counts are refused |
//! | a union in metadata version V4, with a validity bitmap | read, if it has no nulls |
//! | a child longer than its struct, sparse union or fixed-size list | cut to the length that counts |
//! | a column of text or bytes without rows, whose one offset is not 0 | an empty column |
//! | a dictionary that is `ordered` | read and kept so; a parameter may be either, whatever the method declares |

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `format` | the constants of the format, and its padding |
// | `frames` | bytes to messages: prefix, header, body |
// | `chunks` | the input: whole chunks shared, large bodies read straight into aligned memory |
// | `envelope` | the fields of a message header, read with every access checked |
// | `reader` | messages to schemas and batches, with dictionaries |
// | `columns` | bodies to columns by way of `arrow-ipc` |
// | `dictionaries` | the dictionaries of a stream |
// | `flat` | batches of flat columns, decoded here |
// | `check` | what must hold before Arrow decodes any other body |
// | `nodes` | null counts and lengths of columns that Arrow wants exact |
// | `null_slots` | text under nulls, which may be any bytes |
// | `relaid` | bodies that are compressed or misaligned, laid out anew |
// | `compression` | the compressions that are read, and how far they unfold |
// | `schema` | a schema decoded, or encoded once and sent many times |
// | `known` | schemas that the readers of one server share |
// | `schema_cost` | what a schema takes, before it is decoded |
// | `time_zones` | time zones without a name in schemas that were received |
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
