//! The ranges to replace in the bytes of one direction.

use super::placeholder::PlaceholderKey;
use crate::capture::PlaceholderKind;
use std::ops::Range;

/// The maximum number of ranges. If there are more, the whole direction is withheld.
const MAX_RANGES: usize = 1 << 19;

/// Ranges of one direction's bytes, and the reason for replacing each.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, PlaceholderKind)>);

impl Edits {
    pub(super) fn secret(&mut self, range: Range<usize>) {
        self.push(range, PlaceholderKind::Secret);
    }

    pub(super) fn withhold(&mut self, range: Range<usize>) {
        self.push(range, PlaceholderKind::Withheld);
    }

    fn push(&mut self, range: Range<usize>, kind: PlaceholderKind) {
        match self.0.len() {
            _ if range.is_empty() => {}
            MAX_RANGES => self.0 = vec![(0..usize::MAX, PlaceholderKind::Withheld)],
            _ => self.0.push((range, kind)),
        }
    }

    /// Replaces them in `bytes`, and returns the placeholders, in order and without overlaps. Overlapping ranges are merged: into
    /// a secret if all of them are secrets, otherwise into a withheld range.
    pub(super) fn apply(
        self,
        bytes: &mut [u8],
        key: &PlaceholderKey,
    ) -> Vec<(Range<usize>, PlaceholderKind)> {
        let length = bytes.len();
        let within = self.0.into_iter().map(|(range, kind)| (range.start..range.end.min(length), kind));
        let mut ranges: Vec<_> = within.filter(|(range, _)| !range.is_empty()).collect();
        ranges.sort_by_key(|(range, _)| (range.start, range.end));
        let mut merged: Vec<(Range<usize>, PlaceholderKind)> = Vec::new();
        for (range, kind) in ranges {
            match merged.last_mut() {
                Some((last, before)) if range.start < last.end => {
                    last.end = last.end.max(range.end);
                    if kind == PlaceholderKind::Withheld {
                        *before = kind;
                    }
                }
                Some((last, before @ PlaceholderKind::Withheld))
                    if range.start == last.end && kind == *before =>
                {
                    last.end = range.end;
                }
                _ => merged.push((range, kind)),
            }
        }
        for (range, kind) in &merged {
            if let Some(part) = bytes.get_mut(range.clone()) {
                match kind {
                    PlaceholderKind::Secret => key.replace(part),
                    PlaceholderKind::Withheld => part.fill(0),
                }
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_too_many_ranges_everything_is_withheld() {
        let mut edits = Edits::default();
        (0..=MAX_RANGES).for_each(|at| edits.secret(at..at + 1));
        edits.secret(3..4);
        let mut bytes = vec![b'!'; MAX_RANGES + 100];
        let replaced = edits.apply(&mut bytes, &PlaceholderKey::new([1; 32]));
        assert_eq!(replaced, [(0..bytes.len(), PlaceholderKind::Withheld)]);
        assert!(bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn ranges_that_overlap_are_replaced_whole() {
        let mut edits = Edits::default();
        edits.secret(2..6);
        edits.secret(4..9);
        edits.secret(20..30);
        edits.withhold(25..40);
        edits.withhold(40..41);
        edits.secret(10..10);
        edits.secret(48..60);
        let mut bytes = vec![b'!'; 50];
        let replaced = edits.apply(&mut bytes, &PlaceholderKey::new([1; 32]));
        let (secret, withheld) = (PlaceholderKind::Secret, PlaceholderKind::Withheld);
        assert_eq!(replaced, [(2..9, secret), (20..41, withheld), (48..50, secret)]);
        for (at, byte) in bytes.iter().enumerate() {
            let is_replaced = replaced.iter().any(|(range, _)| range.contains(&at));
            assert_eq!(*byte != b'!', is_replaced, "{at}");
        }
    }
}
