//! JSON objects of evidence: limited in size, without duplicate keys, and with a canonical form for digests.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;
use thiserror::Error;

/// The maximum size of an object of evidence in bytes, in its canonical form.
pub const MAX_JSON_BYTES: usize = 65_536;
/// The maximum depth of objects and arrays. The object itself is the first level.
pub const MAX_JSON_DEPTH: usize = 16;
/// The maximum number of values: objects, arrays and scalars, including the object itself.
pub const MAX_JSON_VALUES: usize = 4_096;

/// A JSON object within the limits of evidence. `Debug` shows only its keys.
#[derive(Clone, Default, PartialEq)]
pub struct JsonObject {
    members: Map<String, Value>,
}

/// Why a text is not a valid [`JsonObject`]. No variant repeats any part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// More bytes than [`MAX_JSON_BYTES`], or than the reader's limit.
    #[error("expected at most {most} bytes of JSON")]
    TooLong {
        /// The limit.
        most: usize,
    },
    /// More levels than the limit.
    #[error("expected at most {most} levels of JSON")]
    TooDeep {
        /// The limit.
        most: usize,
    },
    /// More values than the limit.
    #[error("expected at most {most} values of JSON")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// An object has a duplicate key.
    #[error("expected each key of a JSON object once")]
    DuplicateKey,
    /// The text is not JSON.
    #[error("expected JSON, got other text")]
    Syntax,
    /// The JSON value is not an object.
    #[error("expected a JSON object, got another value")]
    NotAnObject,
}

/// The limits of a reader.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    pub(super) depth: usize,
    pub(super) values: usize,
}

impl JsonObject {
    /// Creates an object with these members.
    ///
    /// # Errors
    /// If it exceeds a limit.
    pub fn new(members: Map<String, Value>) -> Result<Self, JsonError> {
        let mut values = 0;
        check_map(&members, 1, &mut values)?;
        let object = Self { members };
        if object.canonical().len() > MAX_JSON_BYTES {
            return Err(JsonError::TooLong { most: MAX_JSON_BYTES });
        }
        Ok(object)
    }

    /// Parses an object. The text itself may also have at most [`MAX_JSON_BYTES`].
    ///
    /// # Errors
    /// If it is not a JSON object, has a duplicate key, or exceeds a limit.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        let bounds = Bounds { bytes: MAX_JSON_BYTES, depth: MAX_JSON_DEPTH, values: MAX_JSON_VALUES };
        match parse(text, bounds)? {
            Value::Object(members) => Self::new(members),
            _ => Err(JsonError::NotAnObject),
        }
    }

    /// Returns its members.
    pub const fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Returns the canonical text for digests: no white space, keys in the order of their code points.
    pub(super) fn canonical(&self) -> String {
        let mut text = String::new();
        write_object(&self.members, &mut text);
        text
    }
}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members.keys()).finish()
    }
}

/// Creates attributes that are known to be within the limits.
pub(super) fn attributes<V: Into<Value>>(members: impl IntoIterator<Item = (&'static str, V)>) -> JsonObject {
    let members: Map<_, _> =
        members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    JsonObject::new(members).unwrap_or_default()
}

/// Parses any value within these limits.
pub(super) fn parse(text: &[u8], bounds: Bounds) -> Result<Value, JsonError> {
    if text.len() > bounds.bytes {
        return Err(JsonError::TooLong { most: bounds.bytes });
    }
    let (values, fault) = (Cell::new(0), Cell::new(JsonError::Syntax));
    let reader = Reader { bounds, level: 1, values: &values, fault: &fault };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = reader.deserialize(&mut deserializer).map_err(|_| fault.get())?;
    deserializer.end().map_err(|_| JsonError::Syntax)?;
    Ok(read)
}

fn check_map(members: &Map<String, Value>, level: usize, values: &mut usize) -> Result<(), JsonError> {
    count(level, values)?;
    members.values().try_for_each(|value| check(value, level + 1, values))
}

fn check(value: &Value, level: usize, values: &mut usize) -> Result<(), JsonError> {
    match value {
        Value::Object(members) => check_map(members, level, values),
        Value::Array(items) => {
            count(level, values)?;
            items.iter().try_for_each(|item| check(item, level + 1, values))
        }
        // A scalar does not open a level.
        _ => count(1, values),
    }
}

fn count(level: usize, values: &mut usize) -> Result<(), JsonError> {
    *values += 1;
    if level > MAX_JSON_DEPTH {
        return Err(JsonError::TooDeep { most: MAX_JSON_DEPTH });
    }
    if *values > MAX_JSON_VALUES {
        return Err(JsonError::TooMany { most: MAX_JSON_VALUES });
    }
    Ok(())
}

/// Reads one value at a level.
#[derive(Clone, Copy)]
struct Reader<'a> {
    bounds: Bounds,
    level: usize,
    values: &'a Cell<usize>,
    /// The error, if it is not one of syntax.
    fault: &'a Cell<JsonError>,
}

impl Reader<'_> {
    fn fail<E: Error>(&self, fault: JsonError) -> E {
        self.fault.set(fault);
        E::custom("")
    }

    fn count<E: Error>(&self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > self.bounds.values {
            return Err(self.fail(JsonError::TooMany { most: self.bounds.values }));
        }
        Ok(())
    }

    /// Returns the reader of the content of a container at this level.
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.level > self.bounds.depth {
            return Err(self.fail(JsonError::TooDeep { most: self.bounds.depth }));
        }
        Ok(Self { level: self.level + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.count().map(|()| Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.count().map(|()| value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.count().map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.count().map(|()| value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.count()?;
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.fail(JsonError::Syntax))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.count().map(|()| value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.count().map(|()| value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.count()?;
        let (inner, mut read) = (self.inner()?, Vec::new());
        while let Some(item) = items.next_element_seed(inner)? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.count()?;
        let (inner, mut read) = (self.inner()?, Map::new());
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if read.insert(key, value).is_some() {
                return Err(self.fail(JsonError::DuplicateKey));
            }
        }
        Ok(Value::Object(read))
    }
}

fn write_object(members: &Map<String, Value>, text: &mut String) {
    // The map may preserve the original order of its keys.
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    text.push('{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_text(key, text);
        text.push(':');
        write_value(value, text);
    }
    text.push('}');
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => write_object(members, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(item, text);
            }
            text.push(']');
        }
        Value::String(value) => write_text(value, text),
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() => write_float(value, text),
            _ => text.push_str(&number.to_string()),
        },
        Value::Null | Value::Bool(_) => text.push_str(&value.to_string()),
    }
}

fn write_text(value: &str, text: &mut String) {
    text.push_str(&Value::from(value).to_string());
}

/// Writes the fewest digits, in the reference's format: with an exponent of at least two digits below 1e-4 and from 1e16.
fn write_float(value: f64, text: &mut String) {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        text.push_str(&format!("{value:?}"));
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        text.push_str(&format!("{digits}e{sign}{:02}", exponent.unsigned_abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        JsonObject::parse(text.as_bytes()).unwrap().canonical()
    }

    #[test]
    fn the_canonical_form_is_sorted_and_compact() {
        let text = "{ \"b\" : [1, 2.50, -0.0, 1e16, 1e-5, 123456789012345680.0, true, null],\n \"a\\u00e9\": {\"z\": \"\\u0001\\n\\\"/\u{7f}\", \"\u{10000}\": 1, \"\u{ffff}\": 2}}";
        assert_eq!(
            canonical(text),
            "{\"aé\":{\"z\":\"\\u0001\\n\\\"/\u{7f}\",\"\u{ffff}\":2,\"\u{10000}\":1},\
             \"b\":[1,2.5,-0.0,1e+16,1e-05,1.2345678901234568e+17,true,null]}"
        );
        assert_eq!(canonical("{}"), "{}");
    }

    #[test]
    fn keys_come_once_at_every_level() {
        for text in ["{\"a\":1,\"a\":1}", "{\"x\":[{\"a\":1,\"\\u0061\":2}]}"] {
            assert_eq!(JsonObject::parse(text.as_bytes()), Err(JsonError::DuplicateKey), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let cases: [(&[u8], JsonError); 9] = [
            (b"", JsonError::Syntax),
            (b"[]", JsonError::NotAnObject),
            (b"null", JsonError::NotAnObject),
            (b"{} {}", JsonError::Syntax),
            (b"{\"a\":NaN}", JsonError::Syntax),
            (b"{\"a\":1e400}", JsonError::Syntax),
            (b"{\"a\":\"\xff\"}", JsonError::Syntax),
            (b"{\"a\":\"\\ud800\"}", JsonError::Syntax),
            (b"{\"a\":1,}", JsonError::Syntax),
        ];
        for (text, expected) in cases {
            assert_eq!(JsonObject::parse(text), Err(expected), "{}", text.escape_ascii());
        }
    }

    /// Parses a text, and also builds the same object from an already parsed value.
    fn both(text: &str) -> Result<JsonObject, JsonError> {
        let parsed = JsonObject::parse(text.as_bytes());
        let Ok(Value::Object(members)) = serde_json::from_str(text) else { panic!("an object") };
        assert_eq!(JsonObject::new(members), parsed);
        parsed
    }

    #[test]
    fn the_bounds_hold_to_the_last_one() {
        let nested = |levels: usize, inner: &str| {
            format!("{{\"a\":{}{inner}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
        };
        assert!(both(&nested(16, "1")).is_ok());
        assert!(both(&nested(16, "")).is_ok());
        assert_eq!(both(&nested(17, "")), Err(JsonError::TooDeep { most: 16 }));
        assert_eq!(both(&nested(100, "")), Err(JsonError::TooDeep { most: 16 }));

        let wide = |values: usize| format!("{{\"a\":[{}]}}", vec!["0"; values - 2].join(","));
        assert!(both(&wide(4096)).is_ok());
        assert_eq!(both(&wide(4097)), Err(JsonError::TooMany { most: 4096 }));

        let long = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
        assert!(both(&long(65_536)).is_ok());
        assert_eq!(both(&long(65_537)), Err(JsonError::TooLong { most: 65_536 }));
        // In the canonical form, control characters take six bytes.
        let members = Map::from_iter([("a".to_owned(), Value::from("\u{1}".repeat(11_000)))]);
        assert_eq!(JsonObject::new(members), Err(JsonError::TooLong { most: 65_536 }));
    }

    #[test]
    fn debug_shows_keys_alone() {
        let object = JsonObject::parse(b"{\"token\":\"hidden\"}").unwrap();
        assert_eq!(format!("{object:?}"), "{\"token\"}");
    }
}
