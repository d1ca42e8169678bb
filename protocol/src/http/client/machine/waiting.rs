//! What a caller holds while it waits for an effect.

use crate::effect::{EffectEvent, EffectId};
use crate::external::Location;
use crate::http::client::turn::{Reading, Turn};
use std::time::Duration;

/// A response that is being read.
#[derive(Debug)]
pub(super) struct ReadingTurn {
    pub(super) reading: Reading,
    /// When the call may be made again, if it has failed.
    pub(super) retry_after: Option<Duration>,
}

/// A turn that is being uploaded.
#[derive(Debug)]
pub(super) struct Uploading {
    pub(super) id: EffectId,
    pub(super) turn: Box<Turn>,
    /// Where the server finds it.
    pub(super) download: Location,
}

impl ReadingTurn {
    pub(super) const fn new(reading: Reading, retry_after: Option<Duration>) -> Self {
        Self { reading, retry_after }
    }

    pub(super) fn poll_effect(&mut self) -> Option<EffectEvent> {
        self.reading.poll_effect()
    }
}
