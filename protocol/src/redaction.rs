//! Hides secrets and personal data in values that leave the process: in the access log, and in error reports.
//!
//! Values are judged only by their names: a claim `context` that contains an address is not detected.

use crate::panics;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The replacement for a hidden value.
pub const REDACTED: &str = "[redacted]";

/// A value is a credential if its name contains one of these.
const CREDENTIALS: [&str; 5] = ["password", "token", "secret", "key", "authorization"];
/// A value is personal data if its name contains one of these: the personal claims of OpenID Connect.
const PERSONAL: [&str; 13] = [
    "email",
    "phone",
    "address",
    "birthdate",
    "gender",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "picture",
    "profile",
    "website",
];

/// Returns whether a value with this name counts as a credential. The name contains `password`, `token`, `secret`, `key` or
/// `authorization`, in any case.
pub fn names_credential(name: &str) -> bool {
    contains_any(&folded(name), &CREDENTIALS)
}

/// Returns whether a value with this name counts as personal data. The name is `name`, or contains `email`, `phone`, `address`,
/// `birthdate`, `gender`, `given_name`, `family_name`, `middle_name`, `nickname`, `preferred_username`, `picture`, `profile` or
/// `website`, in any case.
pub fn names_personal_data(name: &str) -> bool {
    let name = folded(name);
    name == "name" || contains_any(&name, &PERSONAL)
}

fn contains_any(name: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| name.contains(part))
}

/// Returns a name in lower case. Some letters beyond ASCII are capitals of ASCII letters, or look like them.
fn folded(name: &str) -> String {
    name.chars()
        .flat_map(char::to_lowercase)
        .filter(|letter| *letter != '\u{307}')
        .map(|letter| match letter {
            'ı' => 'i',
            'ſ' => 's',
            letter => letter,
        })
        .collect()
}

type Redact = dyn Fn(&BTreeMap<String, Value>) -> BTreeMap<String, Value> + Send + Sync;

/// Decides which values are shown. Clones share the function.
///
/// The default replaces the values of [credentials](names_credential) and [personal data](names_personal_data) with [`REDACTED`],
/// including those in objects and lists inside a value. Names are kept, since the presence of a claim may be relevant.
///
/// ```
/// use serde_json::json;
/// use std::collections::BTreeMap;
/// use vgi_rpc_protocol::redaction::Redactor;
///
/// let claims = BTreeMap::from([
///     ("Email".to_owned(), json!("ada@example.com")),
///     ("scope".to_owned(), json!("read")),
/// ]);
/// let shown = Redactor::default().redact(&claims);
/// assert_eq!(shown["Email"], "[redacted]");
/// assert_eq!(shown["scope"], "read");
///
/// let none = Redactor::new(|_| BTreeMap::new());
/// assert!(none.redact(&claims).is_empty());
/// ```
#[derive(Clone)]
pub struct Redactor(Arc<Redact>);

impl Redactor {
    /// Shows the values that the function returns for all values by name.
    pub fn new(
        redact: impl Fn(&BTreeMap<String, Value>) -> BTreeMap<String, Value> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(redact))
    }

    /// Replaces only the values of [credentials](names_credential).
    pub fn of_credentials() -> Self {
        Self::new(|values| redact_all(values, &names_credential))
    }

    /// Shows everything. Only for logs with restricted access.
    pub fn none() -> Self {
        Self::new(Clone::clone)
    }

    /// Returns the values to show. If the function panics, the result is empty.
    pub fn redact(&self, values: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        panics::catch(|| (self.0)(values)).unwrap_or_default()
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new(|values| redact_all(values, &|name| names_credential(name) || names_personal_data(name)))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

type IsHidden = dyn Fn(&str) -> bool;

fn redact_all(values: &BTreeMap<String, Value>, is_hidden: &IsHidden) -> BTreeMap<String, Value> {
    values.iter().map(|(name, value)| (name.clone(), shown(name, value, is_hidden))).collect()
}

fn shown(name: &str, value: &Value, is_hidden: &IsHidden) -> Value {
    if is_hidden(name) { REDACTED.into() } else { inside(value, is_hidden) }
}

/// Returns a visible value, with hidden values inside it replaced.
fn inside(value: &Value, is_hidden: &IsHidden) -> Value {
    match value {
        Value::Object(object) => {
            let shown: Map<_, _> =
                object.iter().map(|(name, value)| (name.clone(), shown(name, value, is_hidden))).collect();
            Value::Object(shown)
        }
        Value::Array(list) => list.iter().map(|value| inside(value, is_hidden)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_judged_whatever_the_case_and_where_in_the_name() {
        for name in [
            "password",
            "API_KEY",
            "x-Token-2",
            "clientSecret",
            "Authorization",
            "\u{212a}ey",
            "\u{17f}ecret",
        ] {
            assert!(names_credential(name), "{name}");
        }
        for name in [
            "name",
            "NAME",
            "email_verified",
            "Phone_number",
            "given_name",
            "homepage_profile",
            "WEBS\u{130}TE",
        ] {
            assert!(names_personal_data(name), "{name}");
        }
        for name in ["sub", "iss", "scope", "username", "name_of_tenant", "roles", ""] {
            assert!(!names_credential(name) && !names_personal_data(name), "{name}");
        }
    }

    #[test]
    fn hidden_values_inside_others_are_hidden_too() {
        let values = BTreeMap::from([
            ("sub".to_owned(), json!("u1")),
            ("address".to_owned(), json!({ "street": "x" })),
            ("realm".to_owned(), json!({ "users": [{ "email": "a@b", "id": 1 }], "api_key": ["k"] })),
        ]);
        let shown = Redactor::default().redact(&values);
        assert_eq!(
            json!(shown),
            json!({
                "sub": "u1",
                "address": "[redacted]",
                "realm": { "users": [{ "email": "[redacted]", "id": 1 }], "api_key": "[redacted]" },
            })
        );
        let shown = Redactor::of_credentials().redact(&values);
        assert_eq!(shown["address"], json!({ "street": "x" }));
        assert_eq!(Redactor::none().redact(&values), values);
    }

    #[test]
    fn a_redactor_that_panics_shows_nothing() {
        let redactor = Redactor::new(|_| panic!("on purpose"));
        assert!(redactor.redact(&BTreeMap::from([("a".to_owned(), json!(1))])).is_empty());
    }
}
