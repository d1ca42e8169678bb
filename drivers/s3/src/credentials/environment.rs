//! The variables that settings come from: the process's, or others that are given.

use super::error::CredentialsError;
use super::secret::Secret;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Looks a variable up.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Environment variables. Empty ones count as not set.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

impl Environment {
    /// Those of the process, as they are each time they are looked up.
    pub fn of_process() -> Self {
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    /// These, and no others.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let map: HashMap<String, Secret> =
            pairs.into_iter().map(|(name, value)| (name.into(), Secret::new(value))).collect();
        Self(Arc::new(move |name| map.get(name).map(|value| value.reveal().to_owned())))
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0(name).filter(|value| !value.trim().is_empty())
    }

    /// The value of a variable that goes with another one.
    pub(crate) fn beside(&self, name: &str, given: &str) -> Result<String, CredentialsError> {
        self.get(name).ok_or_else(|| CredentialsError::Incomplete {
            given: given.to_owned(),
            expected: name.to_owned(),
        })
    }

    /// A file in the folder `.aws` of the user, if there is a home.
    pub(crate) fn user_file(&self, name: &str) -> Option<PathBuf> {
        let home = self.get("HOME").or_else(|| self.get("USERPROFILE"))?;
        Some(PathBuf::from(home).join(".aws").join(name))
    }

    /// Whether a variable says yes.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::of_process()
    }
}

impl fmt::Debug for Environment {
    /// Leaves the variables out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(..)")
    }
}
