//! Methods about parameters: several of them, defaults, and void results.

use vgi_rpc_protocol::service;
use vgi_rpc_protocol::service::MethodSpec;

/// The methods of this theme.
#[service(name = "ConformanceService")]
pub trait Parameters {
    fn void_noop(&self) {}

    fn void_with_param(&self, value: i64) {
        let _ = value;
    }

    fn add_floats(&self, a: f64, b: f64) -> f64 {
        a + b
    }

    fn concatenate(&self, prefix: &str, suffix: &str, #[arrow(default = "-")] separator: &str) -> String {
        [prefix, separator, suffix].concat()
    }

    fn with_defaults(
        &self,
        required: i64,
        #[arrow(default = "default")] optional_str: &str,
        #[arrow(default = 42)] optional_int: i64,
    ) -> String {
        format!("required={required}, optional_str={optional_str}, optional_int={optional_int}")
    }
}

struct Worker;

impl Parameters for Worker {}

/// The methods of this theme.
pub fn methods() -> Vec<MethodSpec> {
    ParametersProtocol::methods(Worker)
}
