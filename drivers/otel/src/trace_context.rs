//! Parses and formats W3C Trace Context.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use std::str::FromStr;

/// The maximum size of a `tracestate` that is parsed: four times the size that every system has to forward.
const MAX_STATE_BYTES: usize = 2048;

/// Returns the caller's span; `None` if the `traceparent` is invalid. An invalid `tracestate` is ignored.
pub(crate) fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let mut part = |digits: usize| parts.next().filter(|part| is_hex(part, digits));
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    // Later versions may add parts.
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let state = tracestate.filter(|state| state.len() <= MAX_STATE_BYTES);
    let state = state.and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    Some(SpanContext::new(trace, span, flags, true, state)).filter(SpanContext::is_valid)
}

/// Returns the `traceparent` of a span, and its `tracestate` if that is not empty.
pub(crate) fn format(span: &SpanContext) -> (String, Option<String>) {
    let flags = span.trace_flags() & TraceFlags::SAMPLED;
    let parent = format!("00-{:032x}-{:016x}-{:02x}", span.trace_id(), span.span_id(), flags);
    (parent, Some(span.trace_state().header()).filter(|state| !state.is_empty()))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_was_parsed_is_formatted_again() {
        let span = parse(PARENT, Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")).unwrap();
        assert!(span.is_remote() && span.is_sampled());
        let (parent, state) = format(&span);
        assert_eq!(parent, PARENT);
        assert_eq!(state.as_deref(), Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"));
        let unsampled = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", None).unwrap();
        assert!(!unsampled.is_sampled());
        assert!(format(&unsampled).0.ends_with("-00"));
        // A later version, with an unknown flag and an unknown part.
        let later = parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more", None).unwrap();
        assert_eq!(format(&later).0, PARENT);
    }

    #[test]
    fn what_is_not_well_formed_names_no_span() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-é0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parse(text, None), None, "{text}");
        }
        let without = parse(PARENT, Some("this is no state")).unwrap();
        assert_eq!(without.trace_state().header(), "");
        let long = format!("a={}", "x".repeat(MAX_STATE_BYTES));
        assert_eq!(parse(PARENT, Some(&long)).unwrap().trace_state().header(), "");
    }
}
