//! The results of the methods: records of one row in a `binary` column, as other implementations declare them.

use crate::values::{
    ArrowType, ColumnBuilder, FieldReader, FieldWriter, FromArrow, IntoArrow, Record, ValueError, ValueRef,
    records,
};
use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use std::fmt;
use std::sync::{Arc, LazyLock};

/// The default time in seconds for which an identity may be cached.
const DEFAULT_TTL_SECONDS: i64 = 300;

/// The identity that a token authenticates. IDENTITY_V2_SPEC 1.
///
/// It has no claims: the client derives everything else from the principal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenIdentity {
    /// The principal, as this server names it. Not empty.
    pub principal: String,
    /// The credential's name for audit trails, never the credential itself; empty if it has none.
    pub token_name: String,
    /// How many seconds the answer may be cached. A revoked credential may be accepted for that time. 0 disables caching.
    pub ttl_seconds: i64,
}

impl TokenIdentity {
    /// Creates an identity without a token name, which may be cached for 300 s.
    pub fn new(principal: impl Into<String>) -> Self {
        Self { principal: principal.into(), token_name: String::new(), ttl_seconds: DEFAULT_TTL_SECONDS }
    }

    /// Sets the credential's name.
    #[must_use]
    pub fn token_name(mut self, name: impl Into<String>) -> Self {
        self.token_name = name.into();
        self
    }

    /// Sets how many seconds the answer may be cached. 0 is sent as 0.
    #[must_use]
    pub const fn ttl_seconds(mut self, seconds: i64) -> Self {
        self.ttl_seconds = seconds;
        self
    }
}

/// A grant: a credential that its holder can later present as a bearer token. IDENTITY_V2_SPEC 1.
///
/// `Debug` omits the token.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuedGrant {
    /// The credential.
    pub token: String,
    /// When the server stops accepting it, in whole microseconds.
    pub expires_at: DateTime<Utc>,
    /// The grant's id in audit trails; empty if it has none. It is not secret.
    pub grant_id: String,
}

impl IssuedGrant {
    /// Creates a grant without an id.
    pub fn new(token: impl Into<String>, expires_at: DateTime<Utc>) -> Self {
        Self { token: token.into(), expires_at, grant_id: String::new() }
    }

    /// Sets the grant's id.
    #[must_use]
    pub fn grant_id(mut self, id: impl Into<String>) -> Self {
        self.grant_id = id.into();
        self
    }
}

impl fmt::Debug for IssuedGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedGrant")
            .field("expires_at", &self.expires_at)
            .field("grant_id", &self.grant_id)
            .finish_non_exhaustive()
    }
}

/// Implements [`Record`] and the value traits by hand: the derive macros belong to a feature that may be disabled.
macro_rules! record {
    ($record:ident { $($field:ident: $type:ty $(= $default:expr)?),* }) => {
        impl Record for $record {
            fn schema() -> SchemaRef {
                static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
                    Arc::new(Schema::new(vec![
                        $(Field::new(stringify!($field), <$type>::data_type(), false)),*
                    ]))
                });
                SCHEMA.clone()
            }

            fn field_problem() -> Option<String> {
                None
            }

            fn read_fields(fields: &mut FieldReader<'_>) -> Result<Self, ValueError> {
                Ok(Self { $($field: record!(@read fields, $field $(, $default)?)),* })
            }

            fn write_fields(&self, fields: &mut FieldWriter<'_>) -> Result<(), ValueError> {
                $(fields.write(stringify!($field), &self.$field)?;)*
                Ok(())
            }

            fn write_rows(rows: &[Self], fields: &mut FieldWriter<'_>) -> Result<(), ValueError> {
                $(fields.write_each(stringify!($field), rows.iter().map(|row| &row.$field))?;)*
                Ok(())
            }
        }

        impl ArrowType for $record {
            const NO_RECORD_CONTAINS_ITSELF: () = ();

            fn data_type() -> DataType {
                records::data_type::<Self>()
            }

            fn parameter_type() -> DataType {
                DataType::Binary
            }

            fn reads(data_type: &DataType) -> bool {
                records::reads::<Self>(data_type)
            }

            fn writes(data_type: &DataType) -> bool {
                records::writes::<Self>(data_type)
            }
        }

        impl<'a> FromArrow<'a> for $record {
            fn read(value: ValueRef<'a>) -> Result<Self, ValueError> {
                records::read(value)
            }
        }

        impl IntoArrow for $record {
            fn write(&self, column: &mut ColumnBuilder) -> Result<(), ValueError> {
                records::write(self, column)
            }

            fn to_column(&self, data_type: &DataType) -> Result<ArrayRef, ValueError> {
                records::to_column(self, data_type)
            }
        }
    };
    (@read $fields:ident, $field:ident) => {
        $fields.read(stringify!($field))?
    };
    (@read $fields:ident, $field:ident, $default:expr) => {
        $fields.read_or(stringify!($field), || $default)?
    };
}

record!(TokenIdentity {
    principal: String,
    token_name: String = String::new(),
    ttl_seconds: i64 = DEFAULT_TTL_SECONDS
});

record!(IssuedGrant {
    token: String,
    expires_at: DateTime<Utc>,
    grant_id: String = String::new()
});
