//! Generates the id of an instance for which none was given.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns 12 hexadecimal digits that differ between processes and between calls.
pub(crate) fn generate() -> String {
    // The standard library seeds its hash maps from the system's generator, which is enough for an id: it is not secret.
    let bits = RandomState::new().build_hasher().finish();
    format!("{:012x}", bits >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_12_hexadecimal_digits_and_differ() {
        let ids: HashSet<_> = (0..1000).map(|_| generate()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
