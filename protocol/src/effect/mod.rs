//! Effects: what a machine needs from the outside world in the middle of a call, and how it is given.
//!
//! A machine yields an [`Effect`] with an id and goes on with nothing until it is completed. The driver performs it
//! where and how it likes, and completes it by that id: any number at a time, in any order. Completing an effect that
//! was completed before, or whose machine is gone, does nothing. An effect whose call has ended is withdrawn
//! ([`EffectEvent::Withdrawn`]): its completion would not be used.
//!
//! The data of an effect may come in pieces before its completion. A [`Fetch`](crate::external::Fetch) gives none: its driver
//! feeds a machine of its own with what arrives, and completes the effect with what that has read.
//!
//! Lives here: what effects and their completions are, and the table in which a machine keeps those that are out. Not
//! here: what they are for, which is the matter of the machines; and performing them, which is the drivers'.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `request` | effects, what they ask for, and what completes them |
// | `failure` | why an effect could not be performed |
// | `answers` | asking a question in the middle of a function that cannot wait |
// | `own_answer` | questions that bring the function which answers them |
// | `surroundings` | the listeners that are notified while an effect is performed |
// | `value` | values of the application's in both |
// | `table` | the effects of one machine |

mod answers;
mod failure;
mod own_answer;
mod request;
mod surroundings;
mod table;
mod value;

pub use answers::{Answer, Answers, Ask, Question};
pub use failure::{Failure, FailureReason};
pub use request::{Completion, Effect, EffectEvent, EffectId, Request, UploadUrl};
pub(crate) use surroundings::{Accompany, Surroundings};
pub(crate) use table::Effects;
pub use value::Value;
