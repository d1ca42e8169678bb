//! What the poll says: the names of the things that it watches.

use mio::Token;

pub(crate) const LISTENER: Token = Token(0);
pub(crate) const WAKER: Token = Token(1);
pub(crate) const SIGNALS: Token = Token(2);
pub(crate) const FIRST_CONNECTION: usize = 3;
