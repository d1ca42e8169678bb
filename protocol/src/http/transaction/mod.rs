//! The state machine of one request and its response: head and body, effects, waits and work, and the response.
//!
//! HTTP adds authentication, tokens, content codings, statuses and sticky sessions to a call. The call itself uses the same
//! [machine](crate::service::call) as byte streams.
//!
//! ```text
//!   begin ──► Starting ──► Authenticating ──► Session ──► Body ──► Ready ──► Running ──► Answered
//!                │                │ (effect)     │ (wait)             ▲          │
//!                └─ (work)        └──► Answered  └──► Answered        └─ Parked ◄┘
//! ```
//!
//! If a request is refused before its handler runs, the response has an error status. If the handler fails, the response has
//! status 200 and a header that marks the error, because intermediaries drop the bodies of other statuses. WIRE_PROTOCOL 13,
//! "HTTP status code mapping".

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `response` | the request body and the response |
// | `machine` | the state machine: its stages, input and next steps |
// | `steps` | the transitions between stages |
// | `admit` | the checks of a request's head, and responses from the head alone |
// | `call` | a call, from the request's body to the response |
// | `body` | the Arrow stream in a request's body |
// | `carrier` | the response body with the call's output and tokens |
// | `combined_output` | the output of a producer that cannot be resumed |
// | `resume_stream` | the state of a stream from its tokens |
// | `running_call` | a call whose work is running, for a driver that ends |
// | `upload` | vending URLs for large inputs |
// | `work` | the work that runs on a worker thread |

mod admit;
mod body;
mod call;
mod carrier;
mod combined_output;
mod machine;
mod response;
mod resume_stream;
mod running_call;
mod steps;
mod upload;
mod work;

pub use call::Clock;
pub use machine::{RequestStep, Transaction};
pub use response::{Body, RecordedResponse};
pub use running_call::RunningCall;
pub use work::{RequestWork, RequestWorkResult};
