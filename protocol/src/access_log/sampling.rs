//! Decides which calls a sampled log leaves out. Access-log specification, section 5bb.

use crate::service::CallRecord;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The fraction of successful calls that are logged, from 0 to 1, the default. Failed calls are always logged.
///
/// The decision depends on the id of the stream, or of the request if there is no stream, so either all records of a stream are
/// kept or none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRate(f64);

/// A number that is not a sample rate.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("expected a sample rate from 0.0 to 1.0, got {0}")]
pub struct SampleRateError(Box<str>);

impl SampleRate {
    /// Keeps this fraction of the calls.
    ///
    /// # Errors
    /// If the number is below 0, above 1, or not a number.
    pub fn new(rate: f64) -> Result<Self, SampleRateError> {
        match (0.0..=1.0).contains(&rate) {
            // `abs` removes the sign of a negative zero.
            true => Ok(Self(rate.abs())),
            false => Err(SampleRateError(rate.to_string().into())),
        }
    }

    /// Returns the fraction of the calls that is kept.
    pub const fn rate(self) -> f64 {
        self.0
    }

    /// Returns `None` if the record is left out; otherwise the rate to write in its line, if any.
    pub(super) fn decide(self, record: &CallRecord) -> Option<Option<f64>> {
        if self.0 >= 1.0 {
            return Some(None);
        }
        let id = record.stream_id.as_deref().unwrap_or(&record.request_id);
        (place(id) < self.0).then_some(Some(self.0))
    }
}

impl Default for SampleRate {
    fn default() -> Self {
        Self(1.0)
    }
}

impl FromStr for SampleRate {
    type Err = SampleRateError;

    fn from_str(text: &str) -> Result<Self, SampleRateError> {
        let rate: Option<f64> = text.parse().ok();
        rate.and_then(|rate| Self::new(rate).ok()).ok_or_else(|| SampleRateError(format!("{text:?}").into()))
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Maps an id to a fixed pseudorandom number between 0 and 1.
fn place(id: &str) -> f64 {
    /// 2 to the power of 32.
    const PLACES: f64 = 4_294_967_296.0;
    let digest: [u8; 32] = Sha256::digest(id).into();
    let [first, second, third, fourth, ..] = digest;
    f64::from(u32::from_be_bytes([first, second, third, fourth])) / PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_out_of_range_are_refused() {
        for text in ["-0.1", "1.01", "100", "NaN", "inf", "-inf", "", "half"] {
            let error = text.parse::<SampleRate>().unwrap_err().to_string();
            assert!(error.contains("0.0 to 1.0") && error.contains(text), "{error}");
        }
        for (text, rate) in [("0", 0.0), ("-0", 0.0), ("0.25", 0.25), ("1", 1.0), ("1e-3", 0.001)] {
            assert_eq!(text.parse(), Ok(SampleRate(rate)));
        }
    }

    #[test]
    fn ids_lie_anywhere_and_always_at_the_same_place() {
        let places: Vec<_> = (0..10_000).map(|id| place(&format!("{id:032x}"))).collect();
        let below = |rate| places.iter().filter(|place| **place < rate).count();
        assert!((900..1100).contains(&below(0.1)), "{}", below(0.1));
        assert!((4800..5200).contains(&below(0.5)), "{}", below(0.5));
        assert_eq!((below(0.0), below(1.0)), (0, 10_000));
        assert_eq!(
            place("a"),
            f64::from(0xca97_8112_u32) / 4_294_967_296.0,
            "SHA-256 of \"a\" begins with ca978112"
        );
    }
}
