//! Declares methods by Rust types, which map to Arrow types.

use super::method::MethodBuilder;
use crate::values::{ArrowType, IntoArrow, Record, records};
use arrow_schema::Field;

/// Declarations by Rust types. If one does not fit, building the service fails.
impl MethodBuilder {
    /// Adds a parameter of a Rust type, with the type and nullability that it has as a parameter.
    pub fn typed_param<T: ArrowType>(self, name: &str) -> Self {
        self.typed_param_as::<T>(Field::new(name, T::parameter_type(), T::NULLABLE))
    }

    /// Adds a parameter of a Rust type as an Arrow field.
    #[doc(hidden)]
    pub fn typed_param_as<T: ArrowType>(mut self, field: Field) -> Self {
        self.problem = self.problem.or_else(|| records::problem::<T>(&field));
        self.param_field(field)
    }

    /// Sets the default of the parameter that was added last.
    #[doc(hidden)]
    pub fn typed_default<T: IntoArrow>(mut self, name: &str, default: T) -> Self {
        let Some(field) = self.params.last() else { return self };
        match default.into_column(field.data_type()) {
            Ok(column) => self.defaults.push((name.into(), column)),
            Err(error) => {
                self.problem = self.problem.or_else(|| Some(format!("the default of {name:?}: {error}")));
            }
        }
        self
    }

    /// Adds a parameter for each field of a record, which [`Args::to_record`](crate::service::Args::to_record) reads.
    pub fn record_params<R: Record>(mut self) -> Self {
        self.params.extend(R::schema().fields().iter().map(|field| field.as_ref().clone()));
        self.problem = self.problem.or_else(R::field_problem);
        self
    }

    /// Declares a return value of a Rust type, with the type and nullability that it has as a result.
    pub fn typed_result<T: ArrowType>(self) -> Self {
        self.typed_result_as::<T>(Field::new("result", T::parameter_type(), T::NULLABLE))
    }

    /// Declares a return value of a Rust type as an Arrow field. A client reads it as that type.
    #[doc(hidden)]
    pub fn typed_result_as<T: ArrowType>(mut self, field: Field) -> Self {
        self.problem = self.problem.or_else(|| records::problem::<T>(&field));
        self.returns_field(field)
    }
}
