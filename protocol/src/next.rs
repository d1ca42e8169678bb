//! [`Next`]: what a machine needs or reports next.

/// The result of `poll_event`. If `poll_event` returns an error instead, the connection has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<E> {
    /// Something happened.
    Event(E),
    /// More bytes are needed: send what waits, then receive. A driver reads in this state only, so that the peer waits
    /// while a handler runs.
    NeedInput,
    /// The machine waits for a command: an earlier event is to be answered, or a call or request to be made.
    NeedCommand,
    /// The machine waits for an [effect](crate::effect) to be completed. Nothing is to be received meanwhile.
    Waiting,
    /// Too much output waits, or some waits while the memory budget is exhausted: send it first.
    NeedDrain,
    /// The peer is done and every call is answered. The connection may be closed once all output is sent.
    Closed,
}

impl<E> Next<E> {
    /// The same without its event, which is known not to be there.
    pub(crate) fn without_event<F>(self) -> Next<F> {
        match self {
            Self::Event(_) | Self::NeedCommand => Next::NeedCommand,
            Self::Waiting => Next::Waiting,
            Self::NeedInput => Next::NeedInput,
            Self::NeedDrain => Next::NeedDrain,
            Self::Closed => Next::Closed,
        }
    }

    /// The event, if there is one.
    pub fn event(self) -> Option<E> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}
