//! Compares bytes, ignoring placeholders.

use crate::capture::{Capture, Direction, PlaceholderKind};
use std::ops::Range;

/// The placeholders of one direction.
pub(super) struct Mask(Vec<(Range<usize>, PlaceholderKind)>);

impl Mask {
    pub(super) fn of(capture: &Capture, direction: Direction) -> Self {
        Self(capture.placeholders_of(direction).collect())
    }

    /// Returns the placeholders within a part, in order.
    pub(super) fn within(
        &self,
        part: &Range<usize>,
    ) -> impl Iterator<Item = &(Range<usize>, PlaceholderKind)> {
        let (start, end) = (part.start, part.end);
        let first = self.0.partition_point(|(range, _)| range.end <= start);
        self.0.iter().skip(first).take_while(move |(range, _)| range.start < end)
    }

    /// Whether bytes of a part were withheld.
    pub(super) fn withholds(&self, part: &Range<usize>) -> bool {
        self.within(part).any(|(_, kind)| *kind == PlaceholderKind::Withheld)
    }

    /// Returns the offset of the first byte of a recorded part that differs, if any.
    pub(super) fn difference(&self, recorded: &[u8], part: &Range<usize>, replayed: &[u8]) -> Option<String> {
        let expected = recorded.get(part.clone()).unwrap_or_default();
        if expected.len() != replayed.len() {
            return Some(format!("expected {} bytes, got {}", expected.len(), replayed.len()));
        }
        let mut masks = self.within(part).peekable();
        for (at, (one, other)) in expected.iter().zip(replayed).enumerate() {
            let place = part.start + at;
            while masks.next_if(|(range, _)| range.end <= place).is_some() {}
            let is_masked = masks.peek().is_some_and(|(range, _)| range.contains(&place));
            if one != other && !is_masked {
                let shown = |bytes: &[u8]| {
                    bytes.get(at..).unwrap_or_default().iter().take(24).copied().collect::<Vec<u8>>()
                };
                let (one, other) = (shown(expected), shown(replayed));
                return Some(format!(
                    "expected \"{}\" at byte {at}, got \"{}\"",
                    one.escape_ascii(),
                    other.escape_ascii()
                ));
            }
        }
        None
    }
}

/// Adds to a difference of bytes the first line that differs between the recording and the replay, if any.
pub(super) fn explain(difference: &str, recorded: &[String], replayed: &[String]) -> String {
    // Metadata is at the end of a line, and may contain placeholders.
    let shown = |line: Option<&String>| {
        line.map_or("nothing", |line| line.split(" vgi_rpc.").next().unwrap_or_default()).to_owned()
    };
    let mut lines =
        (0..recorded.len().max(replayed.len())).map(|at| (shown(recorded.get(at)), shown(replayed.get(at))));
    match lines.find(|(expected, got)| expected != got) {
        Some((expected, got)) => format!("{difference}: expected {expected:?}, got {got:?}"),
        None => difference.to_owned(),
    }
}
