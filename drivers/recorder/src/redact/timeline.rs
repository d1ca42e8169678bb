//! The order of the bytes of both directions.

use crate::capture::What;
use crate::raw::Raw;

/// The number of bytes of both directions at each record.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// Bytes of requests and of responses before each record, in order.
    steps: Vec<(usize, usize)>,
}

impl Timeline {
    pub(super) fn of(raw: &Raw) -> Self {
        let (mut requests, mut responses) = (0, 0);
        let steps = raw.records.iter().map(|record| {
            let before = (requests, responses);
            match (&record.what, raw.is_client()) {
                (What::Received(bytes), false) | (What::Sent(bytes), true) => requests += bytes.len(),
                (What::Sent(bytes), false) | (What::Received(bytes), true) => responses += bytes.len(),
                _ => {}
            }
            before
        });
        Self { steps: steps.collect() }
    }

    /// Returns how many bytes of responses preceded this byte of the requests.
    pub(super) fn responses_before(&self, request_byte: usize) -> usize {
        let behind = self.steps.partition_point(|(requests, _)| *requests <= request_byte);
        behind.checked_sub(1).and_then(|at| self.steps.get(at)).map_or(0, |(_, responses)| *responses)
    }

    /// Returns how many bytes of requests and of responses preceded a record.
    pub(super) fn before_record(&self, index: usize) -> (usize, usize) {
        self.steps.get(index).copied().unwrap_or((usize::MAX, usize::MAX))
    }
}
