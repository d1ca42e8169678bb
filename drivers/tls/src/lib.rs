//! TLS for vgi-rpc, by rustls with the provider `ring`. It does no I/O but to read the files that settings name.
//!
//! [`ServerTls`] and [`ClientTls`] are what servers and clients of every transport are set up with: certificates and keys
//! as [`Pem`], in files or in memory. A server's can be loaded anew while it runs.
//!
//! With the feature `server`, `TlsAcceptor` carries any [`Acceptor`](vgi_rpc_reactor::Acceptor) of the event loop inside
//! TLS: its machine takes ciphertext, and makes the machine inside when the handshake is done. The loop, its timeouts
//! and its budgets stay what they are.
//!
//! A handshake that fails because of what the peer has sent is counted (`ServerTls::failed_handshakes`) and reported by an event of
//! `tracing` with the target `vgi_rpc_tls`, level warn, once in 10 s at most: `error` is what rustls says, cut to 256 characters, and
//! `left_out` how many there were since the last event.

// Where things are:
//
// | module | subject |
// | --- | --- |
// | `pem`, `error` | certificates and keys, and settings that cannot be used |
// | `client`, `verify` | settings of clients, and checks of servers by the application |
// | `server` | settings of servers |
// | `acceptor`, `pending`, `hello` | making machines, what they have before the handshake, and the host that a client asks for |
// | `machine` | one connection's TLS |
// | `incoming`, `outgoing`, `plaintext` | its memory |
// | `peer` | what a handshake says of a client, as calls see it |

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
pub use error::TlsConfigError;
#[cfg(feature = "server")]
pub use machine::TlsMachine;
#[cfg(feature = "server")]
pub use outgoing::Outgoing;
#[cfg(feature = "server")]
pub use peer::tls_peer;
pub use pem::Pem;
pub use server::{ClientCertificates, ServerTls, ServerTlsBuilder};
