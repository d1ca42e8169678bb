//! The negotiation with the proxy, without I/O. RFC 1928, and RFC 1929 for user names and passwords.

use crate::error::{NegotiationError, Reply};
use crate::target::Target;
use std::fmt;
use zeroize::Zeroizing;

const VERSION: u8 = 5;
const CREDENTIALS_VERSION: u8 = 1;

/// Authentication methods.
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NONE_ACCEPTED: u8 = 0xff;

/// The command, and a reserved byte.
const CONNECT: u8 = 1;
const RESERVED: u8 = 0;

/// Address types.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The size of a port.
const PORT: usize = 2;

/// The user name and password for the proxy. They are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Zeroizing<Vec<u8>>,
    password: Zeroizing<Vec<u8>>,
}

impl Credentials {
    /// Creates credentials from a user name and a password of 1 to 255 bytes each; `None` if either has another length.
    pub fn new(user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Option<Self> {
        let (user, password) = (Zeroizing::new(user.into()), Zeroizing::new(password.into()));
        let fits = |text: &[u8]| (1..=255).contains(&text.len());
        (fits(&user) && fits(&password)).then_some(Self { user, password })
    }

    /// Returns the message of RFC 1929, section 2.
    fn message(&self) -> Zeroizing<Vec<u8>> {
        let mut message = Zeroizing::new(Vec::with_capacity(3 + self.user.len() + self.password.len()));
        message.push(CREDENTIALS_VERSION);
        for text in [&self.user, &self.password] {
            // `new` refuses longer ones.
            message.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            message.extend_from_slice(text);
        }
        message
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// The next step.
#[derive(Debug)]
pub enum Step {
    /// Send all of these bytes. They may be credentials, and are erased when they are dropped.
    Send(Zeroizing<Vec<u8>>),
    /// Read this many bytes, and pass them to [`Negotiation::receive`]. None of them are from the target.
    Read(usize),
    /// The connection to the target is established.
    Connected,
}

/// A negotiation with a proxy, until it has connected to the target. It never reads a byte that the target sends.
///
/// ```
/// use vgi_rpc_socks::{Negotiation, Step, Target};
///
/// let mut negotiation = Negotiation::new(Target::new("worker.example", 9400)?, None);
/// assert!(matches!(negotiation.poll(), Step::Send(greeting) if *greeting == [5, 1, 0]));
/// assert!(matches!(negotiation.poll(), Step::Read(2)));
/// negotiation.receive(&[5, 0])?;
/// assert!(matches!(negotiation.poll(), Step::Send(request) if request[..5] == [5, 1, 0, 3, 14]));
/// negotiation.receive(&[5, 0, 0, 1])?;
/// assert!(matches!(negotiation.poll(), Step::Read(6)));
/// negotiation.receive(&[127, 0, 0, 1, 0, 80])?;
/// assert!(matches!(negotiation.poll(), Step::Connected));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Negotiation {
    target: Target,
    credentials: Option<Credentials>,
    output: Option<Zeroizing<Vec<u8>>>,
    state: State,
    /// The received part of the expected message.
    received: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Method,
    Credentials,
    /// Version, reply, a reserved byte, the type of the address.
    Reply,
    /// The length of the name in the reply.
    NameLength,
    /// The rest of the reply, with this many bytes.
    Bound(usize),
    Connected,
}

impl State {
    /// Returns the size of the expected message in bytes.
    fn bytes(self) -> usize {
        match self {
            Self::Method | Self::Credentials => 2,
            Self::Reply => 4,
            Self::NameLength => 1,
            Self::Bound(bytes) => bytes,
            Self::Connected => 0,
        }
    }
}

impl Negotiation {
    /// Creates a negotiation that has not started.
    pub fn new(target: Target, credentials: Option<Credentials>) -> Self {
        let greeting = match credentials {
            Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
            None => vec![VERSION, 1, NO_AUTHENTICATION],
        };
        let output = Some(Zeroizing::new(greeting));
        Self { target, credentials, output, state: State::Method, received: Vec::new() }
    }

    /// Accepts bytes from the proxy: at most as many as the last [`Step::Read`] requested. Further ones are ignored.
    ///
    /// # Errors
    /// If the proxy refuses, or violates the protocol. The negotiation has then ended.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), NegotiationError> {
        let missing = self.state.bytes().saturating_sub(self.received.len());
        self.received.extend(bytes.iter().take(missing));
        if self.received.len() < self.state.bytes() {
            return Ok(());
        }
        let message = std::mem::take(&mut self.received);
        self.state = self.take(&message)?;
        Ok(())
    }

    /// Returns the next step.
    pub fn poll(&mut self) -> Step {
        match (self.output.take(), self.state) {
            (Some(output), _) => Step::Send(output),
            (None, State::Connected) => Step::Connected,
            (None, state) => Step::Read(state.bytes().saturating_sub(self.received.len())),
        }
    }

    /// Parses a complete message. Returns the next state.
    fn take(&mut self, message: &[u8]) -> Result<State, NegotiationError> {
        let with_credentials = self.credentials.is_some();
        Ok(match (self.state, message) {
            (State::Method, &[VERSION, NO_AUTHENTICATION]) => self.request(),
            (State::Method, &[VERSION, NONE_ACCEPTED]) => {
                return Err(NegotiationError::NoMethod { with_credentials });
            }
            (State::Method, &[VERSION, method]) => match &self.credentials {
                Some(credentials) if method == USER_AND_PASSWORD => {
                    self.output = Some(credentials.message());
                    State::Credentials
                }
                _ => return Err(NegotiationError::Method { method, with_credentials }),
            },
            (State::Credentials, &[CREDENTIALS_VERSION, 0]) => self.request(),
            (State::Credentials, &[CREDENTIALS_VERSION, status]) => {
                return Err(NegotiationError::Credentials(status));
            }
            (State::Credentials, &[version, _]) => return Err(NegotiationError::CredentialsVersion(version)),
            (State::Reply, &[VERSION, reply, reserved, address]) => {
                if let Some(reply) = Reply::from_code(reply) {
                    return Err(NegotiationError::Refused(reply));
                }
                match (reserved, address) {
                    (RESERVED, IPV4) => State::Bound(4 + PORT),
                    (RESERVED, IPV6) => State::Bound(16 + PORT),
                    (RESERVED, NAME) => State::NameLength,
                    (RESERVED, address) => return Err(NegotiationError::AddressType(address)),
                    (reserved, _) => return Err(NegotiationError::Reserved(reserved)),
                }
            }
            (State::NameLength, &[length]) => State::Bound(usize::from(length) + PORT),
            (State::Method | State::Reply, &[version, ..]) => return Err(NegotiationError::Version(version)),
            // The address from which the proxy connects is not needed.
            (State::Bound(_), _) => State::Connected,
            // No other state has a complete message.
            (state, _) => state,
        })
    }

    fn request(&mut self) -> State {
        let mut request = vec![VERSION, CONNECT, RESERVED];
        self.target.write(&mut request);
        self.output = Some(Zeroizing::new(request));
        State::Reply
    }
}

#[cfg(test)]
mod tests;
