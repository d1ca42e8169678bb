//! The meaning of metadata: keys, kinds of batches, requests, logs, the error model.
//!
//! This module implements everything that the specification says about `custom_metadata`, for both roles. The order of batches is
//! in [`crate::server`] and [`crate::client`], their framing in [`crate::ipc`].
// Where things are:
//
// | file | subject |
// | --- | --- |
// | `keys` | metadata keys and their fixed values |
// | `classify` | the kind of a received batch |
// | `request` | the request batch |
// | `log` | log messages |
// | `error`, `code`, `detail` | the error of a call: its text, code, kind and details |
// | `unreadable` | the error of a call whose bytes could not be read |
// | `text` | text of limited size |

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
