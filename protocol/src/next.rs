//! What a machine says when it is asked what comes next.

/// The answer of `poll_event`. An error beside it means that the connection has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<E> {
    /// Something happened.
    Event(E),
    /// More bytes are needed: send what waits, then receive. A driver reads in this state only, so that the peer waits
    /// while a handler runs.
    NeedInput,
    /// The machine waits for a command: an earlier event is to be answered, or a call or request to be made.
    NeedCommand,
    /// Too much output waits, or some waits while the memory budget is exhausted: send it first.
    NeedDrain,
    /// The peer is done and everything was answered: after the output the connection may be closed.
    Closed,
}

impl<E> Next<E> {
    /// The event, if there is one.
    pub fn event(self) -> Option<E> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}
