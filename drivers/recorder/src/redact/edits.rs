//! What is to be replaced in the bytes of one direction.

use super::placeholder::PlaceholderKey;
use crate::capture::PlaceholderKind;
use std::ops::Range;

/// Ranges of one direction's bytes, and why each is replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, PlaceholderKind)>);

impl Edits {
    pub(super) fn secret(&mut self, range: Range<usize>) {
        self.0.push((range, PlaceholderKind::Secret));
    }

    pub(super) fn withhold(&mut self, range: Range<usize>) {
        self.0.push((range, PlaceholderKind::Withheld));
    }

    /// Replaces them in `bytes`, and returns what was replaced, in order and without overlaps: what is withheld wins over
    /// what is a secret, since all of it is gone.
    pub(super) fn apply(
        self,
        bytes: &mut [u8],
        key: &PlaceholderKey,
    ) -> Vec<(Range<usize>, PlaceholderKind)> {
        let of = |kind| {
            let found = self.0.iter().filter(move |(_, of)| *of == kind);
            found.map(|(range, _)| range.start.min(bytes.len())..range.end.min(bytes.len()))
        };
        let mut withheld: Vec<Range<usize>> =
            of(PlaceholderKind::Withheld).filter(|range| !range.is_empty()).collect();
        withheld.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in withheld {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        let is_withheld = |range: &Range<usize>| {
            // The last that begins before the range ends is the only one that can overlap with it and end last.
            let behind = merged.partition_point(|found| found.start < range.end);
            behind.checked_sub(1).and_then(|at| merged.get(at)).is_some_and(|found| found.end > range.start)
        };
        let mut secrets: Vec<Range<usize>> =
            of(PlaceholderKind::Secret).filter(|range| !range.is_empty() && !is_withheld(range)).collect();
        // A secret that is partly withheld would be shown in part: the rest of it is withheld too.
        let partly: Vec<Range<usize>> = of(PlaceholderKind::Secret).filter(is_withheld).collect();
        secrets.sort_by_key(|range| range.start);
        let mut all = Vec::new();
        let mut end = 0;
        for range in secrets.into_iter().filter(|range| {
            let follows = range.start >= end;
            end = end.max(range.end);
            follows
        }) {
            if let Some(secret) = bytes.get_mut(range.clone()) {
                key.replace(secret);
            }
            all.push((range, PlaceholderKind::Secret));
        }
        let mut zeros = merged;
        zeros.extend(partly);
        zeros.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in zeros {
            bytes.get_mut(range.clone()).into_iter().for_each(|part| part.fill(0));
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        all.extend(joined.into_iter().map(|range| (range, PlaceholderKind::Withheld)));
        all.sort_by_key(|(range, _)| range.start);
        all
    }
}
