//! Small edits of a text or of bytes, which an input describes.

/// Applies edits of three bytes each: a position and a change. Returns whether anything has changed.
pub fn apply(original: &[u8], edits: &[u8]) -> (Vec<u8>, bool) {
    let mut edited = original.to_vec();
    let (edits, _) = edits.as_chunks::<3>();
    for [low, high, what] in edits {
        let at = usize::from(u16::from_le_bytes([*low, high & 0x1f]));
        let at = at % (edited.len() + 1);
        match high >> 5 {
            0 => edited.insert(at, *what),
            1 => edited.truncate(at),
            2 => drop(edited.drain(at..edited.len().min(at + usize::from(*what)))),
            3 => {
                let copied = edited[at..edited.len().min(at + usize::from(*what))].to_vec();
                edited.extend_from_slice(&copied);
            }
            4 => edited.iter_mut().skip(at).take(1).for_each(|byte| *byte = *what),
            _ => edited.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= what),
        }
    }
    let changed = edited != original;
    (edited, changed)
}
