//! Why a request is refused before any handler has run: a status and an error.

use crate::memory::OverBudget;
use crate::wire::error::RpcError;
use http::StatusCode;

/// Why a request was not dispatched.
pub(super) type Refusal = (StatusCode, RpcError);

/// Returns the refusal of a request that exceeds the memory budget.
pub(super) fn no_room(error: OverBudget) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, error.into())
}

pub(super) fn bad_request(error: RpcError) -> Refusal {
    (StatusCode::BAD_REQUEST, error)
}
