//! Divides a gather list into parts, which share its memory.

use bytes::Bytes;

/// The maximum number of parts of an upload.
pub(crate) const MAX_PARTS: u64 = 10_000;
/// The minimum size of a part, except the last one.
pub(crate) const MIN_PART_BYTES: u64 = 5 << 20;
/// The maximum size of a part, and of an object that is stored by one request.
pub(crate) const MAX_PART_BYTES: u64 = 5 << 30;
/// The maximum size of an object.
pub(crate) const MAX_OBJECT_BYTES: u64 = 5 << 40;

/// Returns the size of an object's parts: the wanted size, or larger so that there are not too many parts.
pub(crate) const fn part_bytes(len: u64, wanted: u64) -> u64 {
    let least = len.div_ceil(MAX_PARTS);
    if wanted > least { wanted } else { least }
}

/// Divides a gather list into parts of this many bytes. The last one may have fewer.
pub(crate) fn cut(segments: &[Bytes], part_bytes: u64) -> Vec<Vec<Bytes>> {
    let (mut parts, mut part, mut room) = (Vec::new(), Vec::new(), part_bytes.max(1));
    for segment in segments {
        let mut segment = segment.clone();
        while !segment.is_empty() {
            let count = segment.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            part.push(segment.split_to(count));
            room -= count as u64;
            if room == 0 {
                parts.push(std::mem::take(&mut part));
                room = part_bytes.max(1);
            }
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole_in_order() {
        let segments = [
            Bytes::from_static(b"abc"),
            Bytes::new(),
            Bytes::from_static(b"defghij"),
            Bytes::from_static(b"k"),
        ];
        for size in 1..=12 {
            let parts: Vec<_> = cut(&segments, size).iter().map(|part| part.concat()).collect();
            assert_eq!(parts.concat(), b"abcdefghijk");
            let (last, others) = parts.split_last().unwrap();
            assert!(others.iter().all(|part| part.len() as u64 == size), "{size}");
            assert!((1..=size).contains(&(last.len() as u64)), "{size}");
        }
        assert!(cut(&[], 5).is_empty());
    }

    #[test]
    fn there_are_never_too_many_parts() {
        assert_eq!(part_bytes(64 << 20, 8 << 20), 8 << 20);
        let large = part_bytes(MAX_OBJECT_BYTES, 8 << 20);
        assert!(MAX_OBJECT_BYTES.div_ceil(large) <= MAX_PARTS && large < MAX_PART_BYTES);
    }
}
