//! The poll's tokens: of the listener, the waker, the signals and the connections.

use mio::Token;

pub(crate) const LISTENER: Token = Token(0);
pub(crate) const WAKER: Token = Token(1);
pub(crate) const SIGNALS: Token = Token(2);
pub(crate) const FIRST_CONNECTION: usize = 3;
