//! Checks which commands are allowed in which state, and ends streams.

use super::{Connection, Incoming, State};
use crate::CommandError;
use crate::server::event::InputStream;

impl Connection {
    pub(super) fn close_output(&mut self) {
        self.response.close();
        if matches!(self.state, State::Turn { ended: true, .. }) {
            self.state = Incoming::after(InputStream::None);
        } else {
            self.reader.skip_stream();
            self.state = State::Draining;
        }
    }

    pub(crate) fn expect_answering(&self, command: &'static str) -> Result<(), CommandError> {
        match self.state {
            State::Answering if self.error.is_none() => Ok(()),
            _ => Err(CommandError::Misuse { command, when: "while a request waits for its answer" }),
        }
    }

    pub(crate) fn expect_stream(&self, command: &'static str) -> Result<(), CommandError> {
        match self.state {
            State::Streaming | State::Turn { .. } if self.error.is_none() => Ok(()),
            _ => Err(CommandError::Misuse { command, when: "on an open stream" }),
        }
    }
}
