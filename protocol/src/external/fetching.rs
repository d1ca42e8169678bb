//! One fetch effect and the resolution of its object: what a machine does with a pointer while it waits.

use super::resolution::{Resolution, Resolved};
use crate::effect::{Attempt, Completed, Completion, EffectId, Effects, Fetch, Request};
use crate::wire::error::RpcError;
use bytes::Bytes;
use std::time::Duration;

/// A pointer that is being resolved.
#[derive(Debug)]
pub(crate) struct Fetching {
    id: EffectId,
    resolution: Resolution,
}

impl Fetching {
    /// Has the object fetched.
    pub(crate) fn new(resolution: Resolution, effects: &mut Effects, time_limit: Duration) -> Self {
        let location = resolution.pointer().location.clone();
        let fetch = Fetch { location, max_bytes: resolution.caps().max_fetch_bytes };
        let id = effects.request(Request::Fetch(fetch), time_limit, None);
        Self { id, resolution }
    }

    /// Reads what has arrived. Call it after each piece, so that no more than one waits, and after the completion. `elapsed` is
    /// how long the effect has been out. `None` until the object is resolved or cannot be, after which the effect is over.
    pub(crate) fn poll(
        &mut self,
        effects: &mut Effects,
        elapsed: Duration,
    ) -> Option<Result<Resolved, RpcError>> {
        if let Some(completed) = effects.take(self.id) {
            return Some(self.complete(completed, elapsed));
        }
        let arrived = effects.take_arrived(self.id)?;
        let received = self.receive(arrived.attempt.as_ref(), arrived.data);
        received.err().map(|error| {
            effects.withdraw_one(self.id);
            Err(error)
        })
    }

    fn complete(&mut self, completed: Completed, elapsed: Duration) -> Result<Resolved, RpcError> {
        let Completed { completion, attempt, data, .. } = completed;
        match completion {
            Completion::Done => {
                self.receive(attempt.as_ref(), data)?;
                Ok(self.resolution.finish(elapsed)?)
            }
            Completion::Failed(failure) => Err(failure.into()),
            Completion::Value(_) | Completion::UploadUrls(_) | Completion::Stored(_) => {
                Err(RpcError::runtime_error("expected the bytes of an object, got something else"))
            }
        }
    }

    fn receive(&mut self, attempt: Option<&Attempt>, data: Vec<Bytes>) -> Result<(), RpcError> {
        if let Some(Attempt { content_encoding }) = attempt {
            self.resolution.begin(content_encoding.as_deref())?;
        }
        for piece in data {
            self.resolution.receive(piece)?;
        }
        Ok(())
    }
}
