//! [`Next`]: what a machine needs or reports next.

/// The result of `poll_event`. If `poll_event` returns an error instead, the connection has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<E> {
    /// Something happened.
    Event(E),
    /// More bytes are needed: send the waiting output, then receive. A driver reads only in this state, so the peer waits while a
    /// handler runs.
    NeedInput,
    /// The machine waits for a command: an earlier event must be answered, or a call or request made.
    NeedCommand,
    /// The machine waits for an [effect](crate::effect) to be completed. Do not receive until then.
    Waiting,
    /// Too much output is waiting, or some is waiting while the memory budget is exhausted: send it first.
    NeedDrain,
    /// The peer has finished and every call is answered. The connection may be closed once all output is sent.
    Closed,
}

impl<E> Next<E> {
    /// Converts a result that is known not to be an event.
    pub(crate) fn without_event<F>(self) -> Next<F> {
        match self {
            Self::Event(_) | Self::NeedCommand => Next::NeedCommand,
            Self::Waiting => Next::Waiting,
            Self::NeedInput => Next::NeedInput,
            Self::NeedDrain => Next::NeedDrain,
            Self::Closed => Next::Closed,
        }
    }

    /// Returns the event, if there is one.
    pub fn event(self) -> Option<E> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}
