//! Typed details of an error: the fixed catalog, its JSON form, and the rules for a list of details. WIRE_PROTOCOL 8.

use super::keys;
use super::text::json;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// The maximum size of a serialized array of details, in bytes of UTF-8. A larger array is omitted as a whole.
pub const MAX_DETAILS_BYTES: usize = 4096;
/// The maximum size of the JSON of an error's details, made here or received. Larger details are dropped as a whole.
pub(super) const MAX_HELD_BYTES: usize = 4 * MAX_DETAILS_BYTES;
/// The maximum size of JSON that is read from a received error or log. A value uses up to a hundred times the memory of its text,
/// so longer text is skipped. Sixty-four times the size that may be sent leaves room for a long traceback.
pub(super) const MAX_RECEIVED_BYTES: usize = 64 * MAX_DETAILS_BYTES;

/// One machine-readable specific of an error. WIRE_PROTOCOL 8, "Detail catalog".
///
/// Never put credentials, tokens or user data into one.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// More about the reason.
    ErrorInfo(ErrorInfo),
    /// How long to wait before a retry.
    RetryInfo(RetryInfo),
    /// Which inputs were wrong.
    BadRequest(BadRequest),
    /// Which state has to change first.
    PreconditionFailure(PreconditionFailure),
    /// Which limit was hit.
    QuotaFailure(QuotaFailure),
    /// Which object the error is about.
    ResourceInfo(ResourceInfo),
    /// Where to read more.
    Help(Help),
    /// Text that an end user may see.
    LocalizedMessage(LocalizedMessage),
    /// Any other JSON. To be sent it must be an object whose `@type` begins with the name of a protocol
    /// (`vgi.reports.v1.SomeDetail`). Received details that are unknown or malformed are kept here unchanged.
    Other(Value),
}

/// More about the reason, which itself is the error's kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErrorInfo {
    /// Names and values.
    pub metadata: BTreeMap<String, String>,
}

/// How long to wait before a retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RetryInfo {
    /// The minimum delay in seconds; finite and not negative.
    #[serde(serialize_with = "whole_as_integer")]
    pub retry_delay_seconds: f64,
}

/// Which inputs were wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BadRequest {
    /// One entry for each.
    pub field_violations: Vec<FieldViolation>,
}

/// One wrong input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldViolation {
    /// Its name.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// Which state has to change before the call can succeed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PreconditionFailure {
    /// One entry for each unmet condition.
    pub violations: Vec<PreconditionViolation>,
}

/// One unmet condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PreconditionViolation {
    /// Which sort of condition, as in `protocol_version`.
    #[serde(rename = "type")]
    pub violation_type: String,
    /// What does not meet the condition.
    pub subject: String,
    /// How it fails and what would help.
    pub description: String,
}

/// Which limit was hit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QuotaFailure {
    /// One entry for each limit.
    pub violations: Vec<QuotaViolation>,
}

/// One limit that was hit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QuotaViolation {
    /// The subject of the limit.
    pub subject: String,
    /// How it was hit.
    pub description: String,
}

/// Which object the error is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResourceInfo {
    /// The sort of object, as in `report`.
    pub resource_type: String,
    /// Which one of them.
    pub resource_name: String,
    /// The owner; may be empty.
    pub owner: String,
    /// What is wrong with it.
    pub description: String,
}

/// Where to read more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Help {
    /// One entry for each document.
    pub links: Vec<HelpLink>,
}

/// One document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HelpLink {
    /// What the document contains.
    pub description: String,
    /// Its address.
    pub url: String,
}

/// Text that an end user may see; an error's message is for developers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LocalizedMessage {
    /// Language tag of BCP 47, as in `en-US`.
    pub locale: String,
    /// The text.
    pub message: String,
}

impl RetryInfo {
    /// Requires a wait of at least `delay`.
    pub fn after(delay: Duration) -> Self {
        Self { retry_delay_seconds: delay.as_secs_f64() }
    }

    /// Returns the wait: zero if the number is negative or NaN, and [`Duration::MAX`] if it is too large for a [`Duration`].
    pub fn delay(&self) -> Duration {
        let seconds = self.retry_delay_seconds;
        let too_long = || if seconds > 0.0 { Duration::MAX } else { Duration::ZERO };
        Duration::try_from_secs_f64(seconds).unwrap_or_else(|_| too_long())
    }

    fn is_valid(&self) -> bool {
        self.retry_delay_seconds.is_finite() && self.retry_delay_seconds >= 0.0
    }
}

/// A detail type of the catalog.
pub trait CatalogDetail: Sized + Into<Detail> {
    /// The name in `@type`.
    const TYPE: &'static str;

    /// Returns the contents, if the detail is of this type.
    fn of(detail: &Detail) -> Option<&Self>;
}

/// Generates the conversions in both directions from one list of the catalog's types.
macro_rules! catalog {
    ($($name:ident => $type_name:literal,)*) => {
        const CATALOG: &[&str] = &[$($type_name),*];

        impl Detail {
            /// Returns the value of `@type`; `None` for an [`Other`](Self::Other) without such a string.
            pub fn type_name(&self) -> Option<&str> {
                match self {
                    $(Self::$name(_) => Some($type_name),)*
                    Self::Other(value) => value.get("@type")?.as_str(),
                }
            }

            fn from_catalog(value: &Value) -> Option<Self> {
                let fields = value.as_object()?;
                match fields.get("@type")?.as_str()? {
                    $($type_name => $name::read(fields).map(Self::$name),)*
                    _ => None,
                }
            }
        }

        impl Serialize for Detail {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$name(fields) => Tagged { type_name: $type_name, fields }.serialize(serializer),)*
                    Self::Other(value) => value.serialize(serializer),
                }
            }
        }

        $(
            impl CatalogDetail for $name {
                const TYPE: &'static str = $type_name;

                fn of(detail: &Detail) -> Option<&Self> {
                    match detail {
                        Detail::$name(contents) => Some(contents),
                        _ => None,
                    }
                }
            }

            impl From<$name> for Detail {
                fn from(contents: $name) -> Self {
                    Self::$name(contents)
                }
            }
        )*
    };
}

catalog! {
    ErrorInfo => "vgi_rpc.ErrorInfo",
    RetryInfo => "vgi_rpc.RetryInfo",
    BadRequest => "vgi_rpc.BadRequest",
    PreconditionFailure => "vgi_rpc.PreconditionFailure",
    QuotaFailure => "vgi_rpc.QuotaFailure",
    ResourceInfo => "vgi_rpc.ResourceInfo",
    Help => "vgi_rpc.Help",
    LocalizedMessage => "vgi_rpc.LocalizedMessage",
}

#[derive(Serialize)]
struct Tagged<'a, T> {
    #[serde(rename = "@type")]
    type_name: &'static str,
    #[serde(flatten)]
    fields: &'a T,
}

impl Detail {
    /// Reads one element of an array. Never fails: anything but a well-formed object of the catalog is kept as
    /// [`Other`](Self::Other). Absent strings are read as empty, absent arrays as having no entries. Unknown fields are dropped.
    pub fn from_json(value: Value) -> Self {
        Self::from_catalog(&value).unwrap_or(Self::Other(value))
    }

    /// Returns the JSON form, `@type` first. A delay that is not a number becomes null.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

/// Encodes details as the value of `vgi_rpc.error_details`: compact JSON with text unescaped. WIRE_PROTOCOL 8, "Rules".
///
/// Returns `None`, in which case the key must be left out, if the list is empty, if its JSON is longer than
/// [`MAX_DETAILS_BYTES`], or if it breaks a rule: a type that is missing, repeated, not qualified by a protocol's name, or
/// under `vgi_rpc.` without being in the catalog; or a delay that is negative or not finite. A list is never encoded in part,
/// because a receiver could not tell a part from a whole list.
pub fn encode_details(details: &[Detail]) -> Option<String> {
    if details.is_empty() || !rules_hold(details) {
        return None;
    }
    json(&details, MAX_DETAILS_BYTES)
}

/// Decodes a received `vgi_rpc.error_details`: every element in order, unknown and malformed ones as [`Detail::Other`]. Never
/// fails: if the value is not a JSON array, the list is empty.
pub fn decode_details(value: &[u8]) -> Vec<Detail> {
    decode_values(value).into_iter().map(Detail::from_json).collect()
}

/// Returns the elements of a received array as JSON; empty if it is not an array or has more than [`MAX_HELD_BYTES`].
pub(super) fn decode_values(value: &[u8]) -> Vec<Value> {
    if value.len() > MAX_HELD_BYTES {
        return Vec::new();
    }
    serde_json::from_slice(value).unwrap_or_default()
}

fn rules_hold(details: &[Detail]) -> bool {
    let mut seen = HashSet::with_capacity(details.len());
    details.iter().all(|detail| {
        let valid = if let Detail::RetryInfo(retry) = detail { retry.is_valid() } else { true };
        valid && detail.type_name().is_some_and(|name| may_be_sent(name) && seen.insert(name))
    })
}

fn may_be_sent(type_name: &str) -> bool {
    CATALOG.contains(&type_name) || (type_name.contains('.') && !type_name.starts_with(keys::RESERVED_PREFIX))
}

/// Writes seven seconds as `7` and not as `7.0`, as every other implementation does.
fn whole_as_integer<S: Serializer>(seconds: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    if seconds.fract() == 0.0 && seconds.abs() <= EXACT {
        serializer.serialize_i64(*seconds as i64)
    } else {
        serializer.serialize_f64(*seconds)
    }
}

type Fields = Map<String, Value>;

/// Reads a string field: empty if absent, `None` if it is not a string.
fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).map_or(Some(String::new()), |value| value.as_str().map(str::to_owned))
}

/// Reads a field that is an array of objects: empty if absent, `None` if it is not such an array.
fn entries<T>(fields: &Fields, name: &str, read: impl Fn(&Fields) -> Option<T>) -> Option<Vec<T>> {
    let Some(value) = fields.get(name) else { return Some(Vec::new()) };
    value.as_array()?.iter().map(|entry| read(entry.as_object()?)).collect()
}

impl ErrorInfo {
    fn read(fields: &Fields) -> Option<Self> {
        let Some(metadata) = fields.get("metadata") else { return Some(Self::default()) };
        let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        Some(Self { metadata: metadata.as_object()?.iter().map(pair).collect::<Option<_>>()? })
    }
}

impl RetryInfo {
    fn read(fields: &Fields) -> Option<Self> {
        Some(Self { retry_delay_seconds: fields.get("retry_delay_seconds")?.as_f64()? })
            .filter(Self::is_valid)
    }
}

impl BadRequest {
    fn read(fields: &Fields) -> Option<Self> {
        let field_violations = entries(fields, "field_violations", |entry| {
            Some(FieldViolation { field: text(entry, "field")?, description: text(entry, "description")? })
        })?;
        Some(Self { field_violations })
    }
}

impl PreconditionFailure {
    fn read(fields: &Fields) -> Option<Self> {
        let violations = entries(fields, "violations", |entry| {
            Some(PreconditionViolation {
                violation_type: text(entry, "type")?,
                subject: text(entry, "subject")?,
                description: text(entry, "description")?,
            })
        })?;
        Some(Self { violations })
    }
}

impl QuotaFailure {
    fn read(fields: &Fields) -> Option<Self> {
        let violations = entries(fields, "violations", |entry| {
            Some(QuotaViolation {
                subject: text(entry, "subject")?,
                description: text(entry, "description")?,
            })
        })?;
        Some(Self { violations })
    }
}

impl ResourceInfo {
    fn read(fields: &Fields) -> Option<Self> {
        Some(Self {
            resource_type: text(fields, "resource_type")?,
            resource_name: text(fields, "resource_name")?,
            owner: text(fields, "owner")?,
            description: text(fields, "description")?,
        })
    }
}

impl Help {
    fn read(fields: &Fields) -> Option<Self> {
        let links = entries(fields, "links", |entry| {
            Some(HelpLink { description: text(entry, "description")?, url: text(entry, "url")? })
        })?;
        Some(Self { links })
    }
}

impl LocalizedMessage {
    fn read(fields: &Fields) -> Option<Self> {
        Some(Self { locale: text(fields, "locale")?, message: text(fields, "message")? })
    }
}

#[cfg(test)]
mod tests;
