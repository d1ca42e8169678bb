//! The event loop that the socket and HTTP drivers of vgi-rpc share.
//!
//! It owns listeners, sockets, threads and clocks, and knows no protocol: a [`Machine`] implements the protocol of one
//! connection, and an [`Acceptor`] creates a machine for each accepted connection. Worker threads poll and serve. A machine
//! returns work that may take long as a [`Job`], so that a slow job does not delay other connections. A machine that waits for
//! something other than its peer returns [`Step::Waiting`], and is polled again after its waker is called. Peers that stall are
//! disconnected after the [`Timeouts`]; peers that do not read are not served until they do. When the server is full, silent
//! connections [give way](GiveWay) to new ones.
//!
//! On Windows there are TCP sockets only, and signals are noticed within 100 ms.
//!
//! A server that sends all input back twice:
//!
//! ```
//! use bytes::{Buf, Bytes, BytesMut};
//! use std::io::{Read, Write};
//! use std::task::Waker;
//! use vgi_rpc_reactor::{Acceptor, Address, Job, Listener, Machine, Options, Origin, Phase, Reactor, Step};
//!
//! struct Twice;
//!
//! #[derive(Default)]
//! struct Conversation {
//!     received: BytesMut,
//!     output: Bytes,
//!     ended: bool,
//! }
//!
//! struct Double(BytesMut);
//!
//! impl Job for Double {
//!     type Finished = Bytes;
//!     fn run(self) -> Bytes {
//!         [&self.0[..], &self.0[..]].concat().into()
//!     }
//! }
//!
//! impl Acceptor for Twice {
//!     type Machine = Conversation;
//!     fn accept(&self, _: &Origin, _: u64, _: Waker) -> Conversation {
//!         Conversation::default()
//!     }
//! }
//!
//! impl Machine for Conversation {
//!     type Job = Double;
//!     type Output<'a> = &'a mut Bytes;
//!     fn phase(&self) -> Phase {
//!         Phase::Idle
//!     }
//!     fn read_buf(&mut self) -> Option<&mut [u8]> {
//!         None
//!     }
//!     fn advance(&mut self, _: usize) {}
//!     fn receive(&mut self, bytes: &[u8]) {
//!         self.received.extend_from_slice(bytes);
//!     }
//!     fn receive_eof(&mut self) {
//!         self.ended = true;
//!     }
//!     fn complete(&mut self, done: Bytes) {
//!         self.output = done;
//!     }
//!     fn poll(&mut self) -> Step<Double> {
//!         match (self.output.is_empty(), self.received.is_empty()) {
//!             (false, _) => Step::NeedDrain,
//!             (true, false) => Step::Job(Double(self.received.split())),
//!             (true, true) if self.ended => Step::Close,
//!             (true, true) => Step::NeedInput,
//!         }
//!     }
//!     fn poll_transmit(&mut self) -> Option<&mut Bytes> {
//!         Some(&mut self.output).filter(|output| output.has_remaining())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut options = Options::default();
//! options.max_connections = 100;
//! let bound = Reactor::new(Listener::tcp("0")?, Twice, options)?;
//! let handle = bound.handle();
//! let Address::Tcp(address) = bound.address().clone() else { unreachable!() };
//! let thread = std::thread::spawn(|| bound.run());
//!
//! let mut client = std::net::TcpStream::connect(address)?;
//! client.write_all(b"!")?;
//! client.shutdown(std::net::Shutdown::Write)?;
//! let mut said = String::new();
//! client.read_to_string(&mut said)?;
//! assert_eq!(said, "!!");
//! handle.stop();
//! thread.join().unwrap()?;
//! # Ok(())
//! # }
//! ```

//!
//! # Events
//!
//! The crate emits [`tracing`](https://docs.rs/tracing) events for operators. Their target is `vgi_rpc_reactor`, and none
//! contains anything that a peer has sent. Events that untrusted peers can cause are emitted at most once in 10 s: `left_out`
//! is the number of those suppressed since the last one.
//!
//! | level | message | fields |
//! | --- | --- | --- |
//! | info | listening | `address`, `serves`: the [option](Options::serves), if it is set |
//! | info | draining: no more connections are accepted | `connections` |
//! | info | drained; ended | `address`, `reason` |
//! | warn | ended before it was drained: its time limit has passed | `address` |
//! | error | ended: the event loop failed | `address`, `error` |
//! | warn | a connection waits: the server is full | `connections`, `left_out` |
//! | warn | a connection cannot be accepted, and waits | `error`, `left_out` |
//! | warn | a connection was closed to make room for another | `left_out` |
//! | warn | a connection was closed to free its memory: the budget is used up | `left_out` |
//! | debug | a connection was closed: a timeout has passed | `connection`, `timeout`: the field of [`Timeouts`] |
//! | trace | accepted a connection; closed a connection | `connection` |
//!
//! [`Handle::statistics`] returns the same as counters.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `machine` | the traits that a protocol implements |
// | `options`, `timeouts` | the settings of a server, and the timeouts of connections |
// | `address` | where a server listens, and where connections come from |
// | `listener`, `socket_file`, `error` | listeners of both families, and the errors of binding |
// | `socket` | accepted sockets; Windows has a file of its own |
// | `socket_lock` | the lock that ensures one server per socket path |
// | `signals` | signals that end a server; Windows has a file of its own |
// | `reactor` | setting up, running and ending a server |
// | `events` | events for operators |
// | `statistics` | counters of a server |
// | `socket_connection` | one connection, and serving it |
// | `shared` | the state that the threads share |
// | `wakeups`, `tokens` | how the poll is woken, and its tokens |
// | `worker` | the threads that serve |
// | `supervisor` | the thread that supervises them |
// | `shortage` | which connections are closed when memory is short |
// | `panics` | where panics of machines are caught |
// | `yielding`, `giving_way`, `holder` | which connection gives way when the server is full |

mod address;
mod error;
mod events;
mod giving_way;
mod holder;
mod listener;
mod locks;
mod machine;
mod options;
mod panics;
mod reactor;
mod shared;
mod shortage;
#[cfg_attr(windows, path = "signals_windows.rs")]
mod signals;
#[cfg_attr(windows, path = "socket_windows.rs")]
mod socket;
mod socket_connection;
#[cfg(unix)]
mod socket_file;
#[cfg(unix)]
mod socket_lock;
mod statistics;
mod supervisor;
mod timeouts;
mod tokens;
mod wakeups;
mod worker;
mod yielding;

pub use address::{Address, Credentials, Origin, ProxiedClient, ProxiedOrigin, TlsOrigin};
pub use error::BindError;
pub use listener::Listener;
pub use machine::{Acceptor, Expiry, Job, Layer, Machine, NoLayer, Phase, Step};
pub use options::{Ended, GiveWay, Options};
pub use reactor::{AnyReactor, Handle, Reactor};
#[cfg(unix)]
pub use socket_file::SocketFileError;
pub use statistics::{Statistics, Watch};
pub use timeouts::{Timeout, Timeouts};
pub use vgi_rpc_transfer::Throttle;
