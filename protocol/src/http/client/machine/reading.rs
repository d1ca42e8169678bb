//! Reads responses, whose external batches are fetched first. WIRE_PROTOCOL 12.

use super::{ClientMachine, State};
use crate::effect::{Completion, EffectId};
use crate::http::client::error::ResponseError;
use crate::http::client::turn::Reading;

impl ClientMachine {
    /// Begins to read a response.
    pub(super) fn read(&mut self, mut reading: Box<Reading>) -> Result<(), ResponseError> {
        reading.swap_effects(&mut self.effects);
        self.go_on_reading(reading)
    }

    fn go_on_reading(&mut self, mut reading: Box<Reading>) -> Result<(), ResponseError> {
        let read = reading.read();
        if let Ok(false) = read {
            self.state = State::Reading(reading);
            return Ok(());
        }
        reading.swap_effects(&mut self.effects);
        read?;
        let retry_after = reading.retry_after;
        let answer = reading.into_answer();
        if answer.failed {
            self.retry_after = retry_after;
        }
        self.take_answer(answer)
    }

    /// Takes the table of effects back from the response that is being read.
    pub(super) fn take_back_effects(&mut self) {
        if let State::Reading(reading) = &mut self.state {
            reading.swap_effects(&mut self.effects);
        }
    }

    /// Completes an effect that a response or an upload waits for.
    pub(super) fn take_completion(
        &mut self,
        id: EffectId,
        completion: Completion,
    ) -> Result<(), ResponseError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Reading(mut reading) => {
                reading.complete_effect(id, completion);
                self.go_on_reading(reading)
            }
            State::Uploading(uploading) if uploading.id == id => {
                self.effects.complete(id, completion);
                match self.effects.take(id) {
                    Some(completed) => self.uploaded(*uploading, completed.completion),
                    None => Ok(()),
                }
            }
            state => {
                self.state = state;
                Ok(())
            }
        }
    }
}
