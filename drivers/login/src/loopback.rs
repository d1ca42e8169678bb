//! The port to which a browser is redirected. RFC 8252, section 7.3.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::http::login::{CodeFlow, CodeStep, LoginError, RedirectReply};

/// The maximum size of a request's head in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The maximum number of connections. Browsers open some that they do not use.
const MAX_CONNECTIONS: usize = 32;
/// How long a connection may send nothing, and how long it may take to receive the reply.
const PATIENCE: Duration = Duration::from_secs(10);
/// The interval between checks of the port.
const PAUSE: Duration = Duration::from_millis(10);

/// A port of 127.0.0.1 that is open for one login.
pub(crate) struct Loopback {
    listener: TcpListener,
    port: u16,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    since: Instant,
}

enum Progress {
    Waiting,
    Gone,
    /// The head has been received.
    Head,
}

impl Loopback {
    /// Opens a port that the system chooses. It is not reachable from other machines.
    pub(crate) fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port, connections: Vec::new() })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Responds to requests until one of them is the redirect of this login.
    ///
    /// # Errors
    /// If no redirect has arrived in time.
    pub(crate) fn serve_one(
        &mut self,
        end: Instant,
        flow: &mut CodeFlow,
        check: &mut dyn FnMut() -> Result<(), LoginError>,
    ) -> Result<(), LoginError> {
        loop {
            check()?;
            self.accept();
            let mut index = 0;
            while let Some(connection) = self.connections.get_mut(index) {
                match connection.read() {
                    Progress::Waiting => {
                        index += 1;
                        continue;
                    }
                    Progress::Gone => {}
                    Progress::Head => {
                        let reply = match target(&connection.head) {
                            Some(target) => flow.receive_redirect(target),
                            None => RedirectReply::unusable(),
                        };
                        connection.reply(reply);
                    }
                }
                self.connections.swap_remove(index);
                if !matches!(flow.poll(), Ok(CodeStep::WaitForRedirect)) {
                    return Ok(());
                }
            }
            if Instant::now() >= end {
                return Err(LoginError::Expired);
            }
            sleep(PAUSE);
        }
    }

    fn accept(&mut self) {
        // A client that keeps connecting must not prevent other connections from being read.
        for _ in 0..MAX_CONNECTIONS {
            let Ok((stream, _)) = self.listener.accept() else { break };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            // The oldest connection is closed, so that idle connections do not block new ones.
            if self.connections.len() >= MAX_CONNECTIONS {
                self.connections.remove(0);
            }
            self.connections.push(Connection { stream, head: Vec::new(), since: Instant::now() });
        }
    }
}

impl Connection {
    fn read(&mut self) -> Progress {
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Progress::Gone,
                Ok(length) => self.head.extend_from_slice(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return if self.since.elapsed() > PATIENCE { Progress::Gone } else { Progress::Waiting };
                }
                Err(_) => return Progress::Gone,
            }
            if self.head.windows(4).any(|end| end == b"\r\n\r\n") || self.head.len() > MAX_HEAD {
                return Progress::Head;
            }
        }
    }

    /// Sends a reply and closes the connection. If the browser does not read it, the login continues.
    fn reply(&mut self, reply: RedirectReply) {
        let RedirectReply { status, page, .. } = reply;
        let text = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: \
             no-store\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; frame-ancestors \
             'none'\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{page}",
            if status == 200 { "OK" } else { "Refused" },
            page.len(),
        );
        let _ = self.stream.set_nonblocking(false);
        let _ = self.stream.set_write_timeout(Some(Duration::from_secs(1)));
        let _ = self.stream.write_all(text.as_bytes());
    }
}

/// Returns the target of an HTTP/1 `GET` request.
fn target(head: &[u8]) -> Option<&str> {
    if head.len() > MAX_HEAD {
        return None;
    }
    let line = head.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.trim_end_matches('\r').split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("GET"), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) => Some(target),
        _ => None,
    }
}
