//! Reports connections refused by the PROXY protocol on stderr. Untrusted peers cause them, so most are only counted.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use vgi_rpc_protocol::OneLine;
use vgi_rpc_proxy_protocol::Refusal;

/// The minimum time between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// When a line was last written, and the number of refusals since.
#[derive(Debug, Default)]
pub(crate) struct Report(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    written: Option<Instant>,
    left_out: u64,
}

impl Report {
    /// Writes a line, unless one was written recently.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        if let Some(line) = self.line(refusal, Instant::now()) {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    fn line(&self, refusal: &Refusal, now: Instant) -> Option<String> {
        // No code panics while the lock is held.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.written.is_some_and(|written| now.saturating_duration_since(written) < PAUSE) {
            state.left_out += 1;
            return None;
        }
        state.written = Some(now);
        let line = format!("refused a connection from {}", OneLine(refusal));
        Some(match std::mem::take(&mut state.left_out) {
            0 => line,
            more => format!("{line} (and {more} more since the last line)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vgi_rpc_proxy_protocol::Reason;

    #[test]
    fn a_line_is_written_now_and_then_and_counts_those_that_were_not() {
        let report = Report::default();
        let refusal = Refusal::new(Some("192.0.2.1:80".parse().unwrap()), Reason::NotTrusted);
        let now = Instant::now();
        let line = report.line(&refusal, now).unwrap();
        assert_eq!(line, format!("refused a connection from {refusal}"));
        assert_eq!(report.line(&refusal, now + PAUSE / 2), None);
        assert_eq!(report.line(&refusal, now + PAUSE - Duration::from_nanos(1)), None);
        let line = report.line(&refusal, now + PAUSE).unwrap();
        assert!(line.ends_with(" (and 2 more since the last line)"), "{line}");
        assert!(report.line(&refusal, now + PAUSE * 2).unwrap().ends_with("from another address"));
    }
}
