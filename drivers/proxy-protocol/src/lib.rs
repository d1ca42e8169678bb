//! The PROXY protocol, version 2: a proxy that forwards a TCP connection says first, in a binary header, where its client
//! is.
//!
//! [`parse`] reads a header, and does no I/O. [`ProxyAcceptor`] puts it in front of any protocol of the event loop
//! ([`vgi_rpc_reactor`]): it checks that the connection comes from a trusted proxy before it reads a byte, reads the
//! header and nothing after it, and only then has the protocol's own machine made, of an [`Origin`] that
//! names the client. A connection that does not begin as it should is closed without an answer.
//!
//! A header is only as trustworthy as the proxy that sends it. So connections from any other address are refused, and the
//! proxy must be the only way to the server, or strangers can send headers of their own from a trusted address.
//!
//! Only what forwarding needs is accepted: the command `PROXY`, and TCP over IPv4 or IPv6. `LOCAL`, datagrams, unix sockets
//! and version 1 are refused. A bridge for Iroh, whose clients have no addresses, is accepted where that is
//! [turned on](ProxyProtocol::iroh).
//!
//! Connections that are refused are counted ([`ProxyProtocol::refusals`]), and reported by an event of `tracing` with the target
//! `vgi_rpc_proxy_protocol`, level warn, once in 10 s at most: `refusal` names the peer's address and the reason, and `left_out` says
//! how many there were since the last event.
//!
//! ```
//! use vgi_rpc_proxy_protocol::{Progress, Rules, parse};
//! use vgi_rpc_reactor::ProxiedClient;
//!
//! let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x0a\xc6\x33\x64\x14\x10\x92\x24\xb8";
//! assert_eq!(parse(&header[..16], &Rules::default())?, Progress::NeedMore(12));
//! let Progress::Header { client, length } = parse(header, &Rules::default())? else { unreachable!() };
//! assert_eq!(length, 28);
//! let (source, destination) = ("192.0.2.10:4242".parse()?, "198.51.100.20:9400".parse()?);
//! assert_eq!(client, ProxiedClient::Tcp { source, destination });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Origin`]: vgi_rpc_reactor::Origin

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `header`, `header_error` | headers, and what can be wrong with them |
// | `checksum` | the checksum that a header may have |
// | `settings` | which proxies are trusted, and how long they have |
// | `acceptor` | what is put in front of a protocol |
// | `refusal` | why a connection was closed |

mod acceptor;
mod checksum;
mod header;
mod header_error;
mod refusal;
mod settings;

pub use acceptor::{ProxyAcceptor, ProxyMachine};
pub use header::{Progress, Rules, parse};
pub use header_error::{HeaderError, IrohError};
pub use refusal::{Reason, Refusal};
pub use settings::{ProxyProtocol, ProxyProtocolError};
