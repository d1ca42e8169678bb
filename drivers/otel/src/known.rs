//! The methods that servers are known to have, so that other names do not create series of metrics.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// The maximum number of methods that are remembered.
const MAX_METHODS: usize = 1000;

/// Methods that a server is known to have, each as protocol and method.
#[derive(Default)]
pub(crate) struct KnownMethods(RwLock<HashSet<(Box<str>, Box<str>)>>);

impl KnownMethods {
    /// Remembers a method, if there is room.
    pub(crate) fn learn(&self, protocol: &str, method: &str) {
        if self.has(protocol, method) {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_METHODS {
            known.insert((protocol.into(), method.into()));
        }
    }

    pub(crate) fn has(&self, protocol: &str, method: &str) -> bool {
        // The set is valid after a panic.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.contains(&(protocol.into(), method.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_remembered_up_to_a_number() {
        let known = KnownMethods::default();
        for index in 0..2 * MAX_METHODS {
            known.learn("demo", &index.to_string());
        }
        assert!(known.has("demo", "0") && known.has("demo", &(MAX_METHODS - 1).to_string()));
        assert!(!known.has("demo", &MAX_METHODS.to_string()) && !known.has("other", "0"));
    }
}
