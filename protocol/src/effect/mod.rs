//! Effects: requests of a machine to the outside world in the middle of a call, and their completions.
//!
//! A machine yields an [`Effect`] with an id and waits until it is completed. The driver performs it where and how it likes, and
//! completes it by that id. Any number may be pending, and they may complete in any order. Completing an effect that was
//! completed before, or whose machine was dropped, does nothing. An effect whose call has ended is withdrawn
//! ([`EffectEvent::Withdrawn`]): its completion would not be used.
//!
//! The data of an effect may be passed in pieces before its completion. A [`Fetch`](crate::external::Fetch) passes none: its
//! driver feeds the received bytes to a separate machine, and completes the effect with that machine's result.
//!
//! This module has the effects, their completions, and the table of a machine's pending effects. The machines decide what they
//! request, and drivers perform the effects.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `request` | effects, their requests and completions |
// | `failure` | why an effect could not be performed |
// | `answers` | asks a question from a function that cannot block |
// | `own_answer` | questions with a function that answers them |
// | `listeners` | the listeners that are notified while an effect is performed |
// | `value` | the application's values in both |
// | `table` | the effects of one machine |

mod answers;
mod failure;
mod listeners;
mod own_answer;
mod request;
mod table;
mod value;

pub use answers::{Answer, Answers, Ask, Question};
pub use failure::{Failure, FailureReason};
pub(crate) use listeners::{EffectListener, EffectListeners};
pub use request::{Completion, Effect, EffectEvent, EffectId, Request, UploadUrl};
pub(crate) use table::Effects;
pub use value::Value;
