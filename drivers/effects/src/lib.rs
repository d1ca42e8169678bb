//! Performs the effects that vgi-rpc machines yield, on separate threads.
//!
//! A machine that needs something from the outside world yields an [`Effect`](vgi_rpc_protocol::effect::Effect) and
//! waits for its completion. Performing one may block, so a driver passes it to a [`Performer`]. All connections of a process
//! share it, and its threads are separate from those of handlers. Each machine has an [`Inbox`], which receives data and
//! completions. The application implements how an effect is performed: see [`Perform`].
//!
//! ```
//! use std::time::Duration;
//! use vgi_rpc_effects::{Arrival, Performer, sleeper};
//! use vgi_rpc_protocol::effect::{Completion, Effect, EffectEvent, Failure, Question, Request};
//!
//! /// A question of this application to the outside world.
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
//! // `poll_effect` represents the method of the machine.
//! inbox.handle(poll_effect());
//! let completion = loop {
//!     match inbox.poll() {
//!         // A driver passes both to the machine.
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
//! Threads are started on demand, up to [a maximum](Performer::threads), and end when they have been idle [for some
//! time](Performer::keep_alive). The number of effects that wait for a thread is [limited](Performer::queue) too. One more thread
//! watches the time limits of effects; it is started and ends like the others. A thread cannot be interrupted: an effect that
//! exceeds its time limit fails at once, but its thread is busy until [`Perform::perform`] returns, which should therefore have
//! its own timeouts.
//!
//! On wasm32-unknown-unknown, which has neither threads nor a clock, all effects fail with
//! [`Unavailable`](vgi_rpc_protocol::effect::FailureReason::Unavailable).
//!
//! Effects wait in one queue, in the order in which they are requested. The effects of one caller, such as an unauthenticated
//! client's questions to an authenticator, delay those of all other callers of the same [`Performer`], until they fail at their
//! time limit; and a waiting call keeps its connection. Use a separate performer for a server that untrusted clients can reach.
//!
//! # Shared effects
//!
//! Effects with the same `shared_key` that are pending at the same time are performed once, and each receives the data and the
//! completion. An effect joins another only before the first piece of data and before a time limit is exceeded; otherwise it is
//! performed separately. Each keeps its own time limit.
//!
//! # Features
//!
//! `http`, on by default, adds `run_inline`, which runs one HTTP request on the calling thread.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `perform` | the trait that the application implements |
// | `performer` | the public handle of the threads |
// | `inbox` | the effects of one machine that are being performed |
// | `mailbox` | their data and completions |
// | `inline` | one HTTP request on one thread, with the feature `http` |
// | `pool`, `handle` | the threads, and the handle that keeps them alive |
// | `tasks` | the tasks and the effects that wait for them; without threads and clock |
// | `sleeper` | a waker for a thread that blocks |
// | `statistics`, `watch` | how many effects are running and waiting, and a handle that reads this |

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
