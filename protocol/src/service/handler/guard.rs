//! Catches panics of the application's code.

use crate::panics;
use crate::wire::error::RpcError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the application's code. A panic in it becomes an error.
pub(crate) fn guard<T>(f: impl FnOnce() -> Result<T, RpcError>) -> Result<T, RpcError> {
    // State that the handler left inconsistent belongs to this call alone, which is over.
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let error = panicked(&*panic);
        panics::discard(panic);
        Err(error)
    })
}

fn panicked(panic: &(dyn Any + Send)) -> RpcError {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".into());
    RpcError::new("Panic", format!("the handler panicked: {text}"))
}
