//! Returns the recorded random bytes and times again.

use crate::capture::{Capture, What};
use std::time::Duration;

/// The recorded values that a replay has not used yet.
#[derive(Debug)]
pub(super) struct Source {
    /// The random bytes of each draw, in order.
    draws: std::vec::IntoIter<Vec<u8>>,
    /// Each clock reading, with the number of its record.
    readings: std::iter::Peekable<std::vec::IntoIter<(usize, Duration)>>,
    now: Duration,
    /// The next record with input. Readings after it are not returned yet.
    until: usize,
    /// How often random bytes were drawn that the capture does not contain.
    pub(super) missing: usize,
}

impl Source {
    pub(super) fn of(capture: &Capture) -> Self {
        let draws = capture.records.iter().filter_map(|record| match &record.what {
            What::Entropy(bytes) => Some(bytes.clone()),
            What::WithheldEntropy(count) => Some(vec![0; usize::try_from(*count).unwrap_or(0).min(1 << 20)]),
            _ => None,
        });
        let readings = capture.records.iter().enumerate().filter_map(|(at, record)| match record.what {
            What::Clock(now) => Some((at, now)),
            _ => None,
        });
        Self {
            draws: draws.collect::<Vec<_>>().into_iter(),
            readings: readings.collect::<Vec<_>>().into_iter().peekable(),
            now: capture.header.began,
            until: 0,
            missing: 0,
        }
    }

    /// Advances to the record `record`; `after` is the next one with input.
    pub(super) fn play_until(&mut self, record: usize, after: usize) {
        while let Some((_, now)) = self.readings.next_if(|(at, _)| *at < record) {
            self.now = now;
        }
        self.until = after;
    }

    pub(super) fn draw(&mut self, bytes: &mut [u8]) {
        match self.draws.next() {
            Some(drawn) if drawn.len() == bytes.len() => bytes.copy_from_slice(&drawn),
            _ => {
                self.missing += 1;
                bytes.fill(0);
            }
        }
    }

    pub(super) fn now(&mut self) -> Duration {
        if let Some((_, now)) = self.readings.next_if(|(at, _)| *at < self.until) {
            self.now = now;
        }
        self.now
    }
}
