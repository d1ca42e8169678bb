//! When a failed call is retried, and after which delay.

use crate::error::CallError;
use std::time::Duration;

/// How often a call may be made, including the first time.
const ATTEMPTS: u32 = 3;
/// How long the first retry waits.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest wait.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Retries calls that failed with a temporary error.
///
/// A unary call, or the opening of a stream, is retried if
/// - nothing of it has reached the server, and the client is still usable; or
/// - repeating it has the effect of one call, as [`Method::idempotent`](crate::Method::idempotent) or the server's reflection
///   declares, and either the server refused it temporarily, or the transport failed and the client is usable. The server refuses
///   temporarily with an error that is [retryable](vgi_rpc_protocol::wire::error::RpcError::is_retryable), and over HTTP with
///   status 429, 502, 503 or 504.
///
/// Over a byte stream a client is unusable once its transport has failed; there, only answers are retried. A turn of a stream is
/// never retried. The failure of the first turn of a stream without a header is not retried either, except over HTTP, where a
/// request that opens a stream can be refused as a whole.
///
/// Each attempt has the full time that the client's timeouts allow. Each delay is twice as long as the previous one, less a
/// random share of up to half. If the server asks for a longer one, that is used, unless it exceeds
/// [`max_delay`](Self::max_delay): then the error is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often a call may be made, including the first time. Default 3.
    pub attempts: u32,
    /// How long the first retry waits. Default 100 ms.
    pub first_delay: Duration,
    /// The longest wait. Default 10 s.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: ATTEMPTS, first_delay: FIRST_DELAY, max_delay: MAX_DELAY }
    }
}

/// Whether a call may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chance {
    /// It would fail again.
    None,
    /// Only if it is idempotent.
    IfIdempotent,
    /// Nothing of it has been processed.
    Always,
}

impl RetryPolicy {
    /// Sets [`attempts`](Self::attempts).
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets [`first_delay`](Self::first_delay).
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.first_delay = delay;
        self
    }

    /// Sets [`max_delay`](Self::max_delay).
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Returns how long to wait after attempt number `attempt`, from 1; `None` if the call should not be retried. `random` is any
    /// number.
    pub(crate) fn delay(&self, attempt: u32, asked: Option<Duration>, random: u64) -> Option<Duration> {
        if attempt >= self.attempts || asked.is_some_and(|asked| asked > self.max_delay) {
            return None;
        }
        let doubled = self.first_delay.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let own = doubled.min(self.max_delay);
        // Uses the upper half, so that clients that failed together do not retry together.
        let share = u32::try_from(random % 1024).unwrap_or(0);
        let own = own / 2 + (own / 2).saturating_mul(share) / 1024;
        Some(asked.map_or(own, |asked| asked.max(own)))
    }
}

/// Returns whether a call with this error may succeed when it is retried, and how long the server asks to wait. `asked` is the
/// wait that the transport has reported besides the error.
pub(crate) fn chance(error: &CallError, asked: Option<Duration>) -> (Chance, Option<Duration>) {
    match error {
        CallError::Rpc(error) if error.is_retryable() || asked.is_some() => {
            (Chance::IfIdempotent, error.retry_delay().max(asked))
        }
        CallError::Transport(error) if error.client_is_usable() && error.may_be_retried() => {
            let chance = if error.may_have_reached_server() { Chance::IfIdempotent } else { Chance::Always };
            (chance, error.retry_after())
        }
        _ => (Chance::None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TransportError;
    use vgi_rpc_protocol::wire::code::Code;
    use vgi_rpc_protocol::wire::detail::RetryInfo;
    use vgi_rpc_protocol::wire::error::RpcError;

    #[test]
    fn waits_grow_to_the_longest_and_end_with_the_attempts() {
        let second = Duration::from_secs(1);
        let policy = RetryPolicy::default().attempts(5).first_delay(second).max_delay(second * 3);
        for (attempt, longest) in [(1, 1), (2, 2), (3, 3), (4, 3)] {
            for random in [0, 511, u64::MAX] {
                let delay = policy.delay(attempt, None, random).unwrap();
                assert!(delay >= second * longest / 2 && delay <= second * longest, "{attempt}: {delay:?}");
            }
        }
        assert_eq!(policy.delay(5, None, 0), None);
        assert_eq!(RetryPolicy::default().attempts(0).delay(1, None, 0), None);
        let huge =
            RetryPolicy::default().attempts(u32::MAX).first_delay(Duration::MAX).max_delay(Duration::MAX);
        assert!(huge.delay(u32::MAX - 1, None, u64::MAX).is_some());
    }

    #[test]
    fn a_server_that_asks_for_a_wait_gets_it_or_the_error_is_returned() {
        let policy = RetryPolicy::default();
        let second = Duration::from_secs(1);
        assert_eq!(policy.delay(1, Some(second), 0), Some(second));
        assert_eq!(policy.delay(1, Some(second * 11), 0), None);
    }

    #[test]
    fn what_did_not_reach_the_server_may_always_be_tried_again_and_what_broke_the_client_never() {
        let failure = || TransportError::new("broken");
        for (error, expected) in [
            (failure().usable().sent(false), Chance::Always),
            (failure().usable(), Chance::IfIdempotent),
            (failure().sent(false), Chance::None),
            (failure().usable().retriable(false), Chance::None),
        ] {
            assert_eq!(chance(&error.into(), None).0, expected);
        }
        assert_eq!(chance(&CallError::Pointer, Some(Duration::ZERO)).0, Chance::None);
    }

    #[test]
    fn an_answer_is_retried_if_it_or_its_transport_says_so_after_the_longer_wait() {
        let second = Duration::from_secs(1);
        let error = || RpcError::status(Code::ResourceExhausted, "full");
        let (exhausted, retryable) =
            (error().into(), error().with_detail(RetryInfo::after(second * 2)).into());
        assert_eq!(chance(&exhausted, None), (Chance::None, None));
        assert_eq!(chance(&exhausted, Some(second)), (Chance::IfIdempotent, Some(second)));
        assert_eq!(chance(&retryable, None), (Chance::IfIdempotent, Some(second * 2)));
        assert_eq!(chance(&retryable, Some(second)), (Chance::IfIdempotent, Some(second * 2)));
        assert_eq!(chance(&retryable, Some(second * 3)), (Chance::IfIdempotent, Some(second * 3)));
    }
}
