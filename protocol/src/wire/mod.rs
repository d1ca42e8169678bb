//! What metadata means: keys, what a batch is, requests, logs, the error model.
//!
//! Lives here: everything that the specification says about `custom_metadata`, for both roles. Not here: the order
//! in which batches may come (that is [`crate::server`] and [`crate::client`]), nor how they are framed.
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `keys` | metadata keys and their fixed values |
// | `classify` | what a received batch is |
// | `request` | the request batch |
// | `log` | log messages |
// | `error`, `code`, `detail` | the error of a call: its text, code, kind and details |
// | `unreadable` | the error of a call whose bytes could not be read |
// | `text` | text with a bound |

pub mod classify;
pub mod code;
pub mod detail;
pub mod error;
pub mod keys;
pub mod log;
pub mod request;
pub(crate) mod text;
pub(crate) mod type_text;
mod unreadable;
