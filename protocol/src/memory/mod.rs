//! Limits the memory that peers make a process use: one budget for all of it, and buffers that grow as bytes arrive.
//!
//! This module has [`Budget`], the [`Account`] of a connection, and [`Assembly`], the aligned memory of a body while it arrives.
//! The maximum size of a single message is in [`Limits`](crate::Limits).
//!
//! Every allocation whose size a peer controls is reserved in its connection's account before it is made, and released with the
//! memory: received data when the last array that shares it is dropped; the memory of a schema, a dictionary, a cast or a
//! decoder; and responses when they are sent.
//!
//! Heads of HTTP requests and scratch memory for reads are at most 64 KiB per connection each, and are limited by the number of
//! connections instead. Memory of handlers and sticky sessions is up to the application.

// The sites, with what they reserve and how long they hold it:
//
// | site | reserved | until |
// | --- | --- | --- |
// | `ipc::chunks`, a read | the bytes read, at most 64 KiB, charged | the last array that shares them is dropped |
// | `ipc::chunks`, a header or body that spans reads | `Assembly`: what has arrived, times 4 at most | as above |
// | `ipc::schema`, a schema that is decoded | fields, names and metadata, counted before they are built | the schema is dropped |
// | `ipc::reader`, the arrays of a batch | 512 bytes per field node, 128 per buffer of views | the next message, or the reader gives memory back |
// | `ipc::reader`, a header's copy for Arrow | its size, and that of an error with the schema's types | the batch is decoded |
// | `ipc::reader`, nulls of columns that have no bitmap | the bitmaps that Arrow makes to compare them | the batch is decoded |
// | `ipc::compression`, a zstd decoder | its context, charged | the reader gives memory back or is dropped |
// | `ipc::relaid`, compressed or misaligned buffers | the size that they claim, within the limit | the last array that shares them is dropped |
// | `ipc::reader`, a dictionary that is replaced or extended | its whole size | the last array that shares it is dropped |
// | `service::conform`, an input that is cast | the bound of the result and of what is made on the way | the cast columns are dropped |
// | `ipc::encoder`, an answer | its body and header | it is sent |
// | errors | their text (at most 64 KiB), charged | they are sent |
// | `service::context`, logs | what they take as values; left out beyond the limit and half of the budget | they are encoded |
// | `server::response`, logs | their messages; left out beyond half of the budget | they are sent |
// | `shm`, a batch that is copied out of a segment | as `ipc::chunks`, all of a body at once | as above |
// | `content_coding`, a body that is decoded | `Assembly`, and the decoder's window | the last array that shares it is dropped |
// | `content_coding`, a body that is decoded as it arrives | the decoder's context and window, before they are taken | the decoder is dropped |
// | `external`, an object that arrives | as `ipc::chunks`, with 17 sixteenths of a body at most while its memory grows | the last array that shares it is dropped |
// | `external`, logs in an object | their entries | they are given out and dropped |
// | `external`, an object that is made | its body and headers; compressed, as much again until it is known to be smaller | it is stored |
// | `content_coding`, a body that is coded | as much as the body has | the response is handed to the driver |
// | `http::transaction`, states and tokens | three times the state's size | the response is handed to the driver |
// | HTTP drivers, a body that arrives | `Assembly` | the last array that shares it is dropped |
// | HTTP drivers, a response that waits | its size, charged | it is sent |

mod assembly;
mod budget;

pub(crate) use assembly::aligned;
pub use assembly::{Assembly, Growth, Spare};
pub use budget::{Account, Budget, OverBudget, Reservation, Watch};
