//! The PROXY protocol, version 2: a proxy that forwards a TCP connection first sends a binary header that names its client.
//!
//! [`parse`] reads a header without doing I/O. [`ProxyAcceptor`] adds it to any protocol of the event loop
//! ([`vgi_rpc_reactor`]): it checks that the connection comes from a trusted proxy before it reads a byte, reads the header and
//! nothing after it, and only then lets the protocol create its machine, with an [`Origin`] that names the client. Any other
//! connection is closed without an answer.
//!
//! A header is only as trustworthy as the proxy that sends it. So connections from any other address are refused, and the proxy
//! must be the only way to the server. Otherwise other peers could send headers from a trusted address.
//!
//! Only what forwarding needs is accepted: the command `PROXY`, and TCP over IPv4 or IPv6. `LOCAL`, datagrams, unix sockets and
//! version 1 are refused. An Iroh bridge, whose clients have no addresses, is accepted if that is
//! [enabled](ProxyProtocol::iroh).
//!
//! Refused connections are counted ([`ProxyProtocol::refusals`]), and reported by a `tracing` event with the target
//! `vgi_rpc_proxy_protocol`, level warn, at most once in 10 s: `refusal` contains the peer's address and the reason, and
//! `left_out` is the number of those suppressed since the last event.
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
// | `header`, `header_error` | headers, and their errors |
// | `checksum` | the optional checksum of a header |
// | `settings` | the trusted proxies, and the timeout |
// | `acceptor` | the machine around a protocol's own |
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
