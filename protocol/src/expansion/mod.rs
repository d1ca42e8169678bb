//! The runtime support for code that `vgi-rpc-macros` generates. Not a public API.
//!
//! The traits of `roles` have no supertraits, and one blanket implementation each that the compiler does not recommend. So a type
//! that is not suitable for a role causes one error with the role's own message, whatever it lacks. A macro names the type itself
//! wherever it uses one, and the compiler shows equal errors at one place only once.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `roles` | what types are used as: fields, parameters, results, rows, states, errors |
// | `turns` | the functions that take the turns of streams |

mod roles;
mod turns;

pub use crate::client::params::ParamsRow;
pub use crate::values::{enums, records};
pub use arrow_array::ArrayRef;
pub use arrow_schema::{DataType, SchemaRef};
pub use roles::{ExchangeState, HandlerError, Parameter, ProducerState, RecordField, Returned, Row, SameRow};
pub use turns::{GivesSchemas, answer_rows, input_rows, opened, opened_with_schemas, produce_rows};

use arrow_schema::{Field, Schema};
use std::sync::Arc;

/// The names that are in scope where an Arrow type is declared.
pub mod data_types {
    pub use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit};
    pub use std::sync::Arc;
}

/// Returns a schema of these fields.
pub fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}
