//! Environment variables: those of the process, or a given set.

use super::error::CredentialsError;
use super::secret::Secret;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Looks up a variable.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Environment variables. Empty ones count as not set.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

impl Environment {
    /// Returns the variables of the process, which are read at each lookup.
    pub fn of_process() -> Self {
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    /// Returns an environment with only these variables.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let map: HashMap<String, Secret> =
            pairs.into_iter().map(|(name, value)| (name.into(), Secret::new(value))).collect();
        Self(Arc::new(move |name| map.get(name).map(|value| value.reveal().to_owned())))
    }

    /// Returns the value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0(name).filter(|value| !value.trim().is_empty())
    }

    /// Returns the value of a variable that is required if `given` is set.
    pub(crate) fn beside(&self, name: &str, given: &str) -> Result<String, CredentialsError> {
        self.get(name).ok_or_else(|| CredentialsError::Incomplete {
            given: given.to_owned(),
            expected: name.to_owned(),
        })
    }

    /// Returns the path of a file in the user's folder `.aws`, if there is a home folder.
    pub(crate) fn user_file(&self, name: &str) -> Option<PathBuf> {
        let home = self.get("HOME").or_else(|| self.get("USERPROFILE"))?;
        Some(PathBuf::from(home).join(".aws").join(name))
    }

    /// Whether a variable is `true`.
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
    /// Omits the variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(..)")
    }
}
