//! TLS for vgi-rpc, by rustls with the provider `ring`. Its only I/O is reading the files that the settings name.
//!
//! [`ServerTls`] and [`ClientTls`] configure servers and clients of every transport: certificates and keys as [`Pem`], in files
//! or in memory. A server's settings can be reloaded while it runs.
//!
//! With the feature `server`, `TlsAcceptor` runs any [`Acceptor`](vgi_rpc_reactor::Acceptor) of the event loop inside TLS: its
//! machine receives ciphertext, and creates the machine inside after the handshake. The loop, its timeouts and its budgets are
//! unchanged.
//!
//! A handshake that fails because of the peer is counted (`ServerTls::failed_handshakes`) and reported by a `tracing` event
//! with the target `vgi_rpc_tls`, level warn, at most once in 10 s: `error` is the error of rustls, cut to 256 characters, and
//! `left_out` is the number of those suppressed since the last event.

// Where things are:
//
// | module | subject |
// | --- | --- |
// | `pem`, `error` | certificates and keys, and the errors of settings |
// | `client`, `verify` | settings of clients, and checks of servers by the application |
// | `server` | settings of servers |
// | `acceptor`, `pending`, `hello` | creating machines, their state before the handshake, and the host that a client requests |
// | `machine` | one connection's TLS |
// | `incoming`, `outgoing`, `plaintext` | its memory |
// | `peer` | the result of a handshake, as calls see it |

#[cfg(feature = "server")]
mod acceptor;
mod client;
mod error;
#[cfg(feature = "server")]
mod hello;
#[cfg(feature = "server")]
mod incoming;
#[cfg(feature = "server")]
mod machine;
#[cfg(feature = "server")]
mod outgoing;
#[cfg(feature = "server")]
mod peer;
mod pem;
#[cfg(feature = "server")]
mod pending;
#[cfg(feature = "server")]
mod plaintext;
mod server;
mod verify;

#[cfg(feature = "server")]
pub use acceptor::TlsAcceptor;
pub use client::{ClientTls, ClientTlsBuilder};
pub use error::{TlsConfigError, explain_handshake_error};
#[cfg(feature = "server")]
pub use machine::TlsMachine;
#[cfg(feature = "server")]
pub use outgoing::Outgoing;
#[cfg(feature = "server")]
pub use peer::tls_peer;
pub use pem::Pem;
pub use server::{ClientCertificates, ServerTls, ServerTlsBuilder};
