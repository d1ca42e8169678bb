//! One request and its response, as a machine: head in, body in; effects, waits and work; the response out.
//!
//! HTTP adds to a call what a byte stream does not have: who sends it, tokens, content codings, statuses, sticky
//! sessions. The call itself is the [machine](crate::service::call) that byte streams use.
//!
//! ```text
//!   begin ──► Starting ──► Authenticating ──► Session ──► Body ──► Ready ──► Running ──► Answered
//!                │                │ (effect)     │ (wait)             ▲          │
//!                └─ (work)        └──► Answered  └──► Answered        └─ Parked ◄┘
//! ```
//!
//! A request that was refused before its handler ran is answered with the status that says so; a call that its handler
//! failed with 200 and a mark, because intermediaries drop the bodies of other statuses. WIRE_PROTOCOL 13, "HTTP status
//! code mapping".

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `answer` | what goes in and out |
// | `machine` | the machine itself: its stages, what goes in, and what comes next |
// | `steps` | from stage to stage |
// | `admit` | what a request's head must say, and what is answered from the head alone |
// | `calling` | a call, from the request's body to the response |
// | `body` | the Arrow stream that a request's body is |
// | `carrier` | the response's body as a carrier of the call's output, tokens included |
// | `gathered` | the output of a producer that cannot be resumed |
// | `recover` | what tokens bring back |
// | `running` | a call whose work runs, for a driver that ends meanwhile |
// | `upload` | vending URLs for large inputs |
// | `work` | what is run on a thread that may take its time |

mod admit;
mod answer;
mod body;
mod calling;
mod carrier;
mod gathered;
mod machine;
mod recover;
mod running;
mod steps;
mod upload;
mod work;

pub use answer::{Body, RequestAnswer};
pub use calling::Clock;
pub use machine::{RequestStep, Transaction};
pub use running::RunningCall;
pub use work::{RequestDone, RequestWork};
