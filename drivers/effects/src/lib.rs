//! Performs the effects that vgi-rpc machines yield, on threads of their own.
//!
//! A machine that needs something from the outside world yields an [`Effect`](vgi_rpc_protocol::effect::Effect) and
//! waits for its completion. Performing one may block, so a driver gives it to a [`Performer`], which all connections of
//! a process share, and which has threads that handlers do not use. Each machine has an [`Inbox`], in which data and
//! completions arrive. The application says how an effect is performed: see [`Perform`].
//!
//! ```
//! use std::time::Duration;
//! use vgi_rpc_effects::{Arrival, Performer, sleeper};
//! use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, Failure, Question, Request};
//!
//! /// What this application asks the outside world.
//! struct AgeOf(&'static str);
//!
//! let performer = Performer::new(|request: &Request| {
//!     let Request::Question(question) = request else { return Failure::unsupported().into() };
//!     match question.payload() {
//!         // Here a real server would ask a database.
//!         Some(AgeOf("Ada")) => Completion::value(36),
//!         _ => Failure::unsupported().into(),
//!     }
//! });
//!
//! // What a driver does for each machine.
//! let (waker, sleeper) = sleeper();
//! let mut inbox = performer.inbox(waker);
//! # let request = Request::Question(Question::new(AgeOf("Ada")));
//! # let effect = Effect::new(0, request, Duration::from_secs(30), None);
//! # let poll_effect = || EffectEvent::Requested(effect);
//! // `poll_effect` stands for the method of the machine.
//! inbox.handle(poll_effect());
//! let completion = loop {
//!     match inbox.poll() {
//!         // A driver gives both to the machine.
//!         Some(Arrival::Data(_id, _piece)) => {}
//!         Some(Arrival::Completed(_id, completion)) => break completion,
//!         None => sleeper.wait(),
//!     }
//! };
//! let Completion::Value(age) = completion else { panic!("{completion:?}") };
//! assert_eq!(age.downcast_ref(), Some(&36));
//! ```
//!
//! # Limits
//!
//! Threads are started when there is something to do, up to [a number](Performer::threads), and end when they have had
//! nothing to do [for some time](Performer::keep_alive). The effects that wait for a thread are
//! [limited](Performer::queue) too. One more thread watches the time limits of effects; it is started and ends like the
//! others. A thread cannot be interrupted: an effect whose time limit has passed fails at once, but its thread is busy
//! until [`Perform::perform`] returns, which should therefore have timeouts of its own.
//!
//! On wasm32-unknown-unknown, which has neither threads nor a clock, all effects fail with
//! [`Unavailable`](vgi_rpc_protocol::effect::FailureReason::Unavailable).
//!
//! Effects wait in one queue, in the order in which they are requested. Those of one caller, such as a stranger's questions to
//! an authenticator, delay those of all others that use the same [`Performer`], which fail at their time limit at the latest;
//! and a call that waits keeps its connection. A server that strangers can reach is best given a performer of its own.
//!
//! # Shared effects
//!
//! Effects with the same `shared_key` that are out at the same time are performed once, and each gets the data and the
//! completion. An effect joins another only until the first piece of that one's data has been given, and not when that
//! one has exceeded a time limit; otherwise it is performed by itself. Each keeps its own time limit.
//!
//! # Features
//!
//! `http`, on by default, adds `run_inline`, which runs one HTTP request on the calling thread.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `perform` | what the application implements |
// | `performer` | the public handle of the threads |
// | `inbox` | the effects of one machine that are being performed |
// | `mailbox` | what has arrived for them |
// | `inline` | one HTTP request on one thread, with the feature `http` |
// | `pool`, `handle` | the threads, and what keeps them alive |
// | `tasks` | what is being performed, and who waits for it; no threads and no clock |
// | `sleeper` | a waker for a thread that blocks |
// | `statistics`, `watch` | how many effects are performed and wait, and who looks at that from outside |

mod handle;
mod inbox;
#[cfg(feature = "http")]
mod inline;
mod mailbox;
mod perform;
mod performer;
mod pool;
mod sleeper;
mod statistics;
mod tasks;
mod watch;

pub use inbox::Inbox;
#[cfg(feature = "http")]
pub use inline::run_inline;
pub use mailbox::Arrival;
pub use perform::Perform;
pub use performer::Performer;
pub use sleeper::{Sleeper, sleeper};
pub use statistics::Statistics;
pub use watch::Watch;
