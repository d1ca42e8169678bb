//! The effect that fetches the object of a pointer. WIRE_PROTOCOL 12, "Fetch safety".

use super::pointer::Pointer;
use super::policy::UrlPolicy;
use super::resolution::{ObjectLimits, Resolution};
use super::resolve_error::ResolveError;
use crate::Limits;
use crate::ipc::Metadata;
use crate::location::Location;
use crate::memory::Account;
use crate::wire::error::RpcError;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How pointers are resolved.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// The size limits of an object.
    pub object_limits: ObjectLimits,
    /// Which URLs may be requested: the pointer's URL, and the target of every redirect. Public hosts over HTTPS by default.
    pub policy: UrlPolicy,
    /// The time limit for a fetch, including all of its attempts. 60 seconds by default, like the canonical implementation.
    pub time_limit: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            object_limits: ObjectLimits::default(),
            policy: UrlPolicy::https_public(),
            time_limit: Duration::from_secs(60),
        }
    }
}

/// Fetch the object of a pointer, and complete the effect with its content:
/// [`Completion::Resolved`](crate::effect::Completion::Resolved).
///
/// The driver feeds a [`resolution`](Self::resolution) on its own thread, so the object is decoded where it is read, and only the
/// decoded data is held. Each attempt [restarts](Resolution::begin) the resolution.
///
/// Before each request, the driver applies the [policy](FetchOptions::policy) to the URL, to the target of every redirect, and
/// to each address that it connects to. The URL of the pointer was checked before the effect was yielded.
#[derive(Clone)]
pub struct Fetch(Arc<Inner>);

struct Inner {
    pointer: Pointer,
    schema: SchemaRef,
    limits: Limits,
    account: Account,
    options: FetchOptions,
}

impl Fetch {
    /// Creates a fetch of a pointer's object. The object's batch must have this schema.
    ///
    /// # Errors
    /// If the policy refuses the URL.
    pub fn new(
        pointer: Pointer,
        schema: SchemaRef,
        limits: &Limits,
        account: &Account,
        options: &FetchOptions,
    ) -> Result<Self, ResolveError> {
        let checked = options.policy.check(&pointer.location);
        checked.map_err(|error| ResolveError::new(&pointer.location, error))?;
        let (limits, account, options) = (limits.clone(), account.clone(), options.clone());
        Ok(Self(Arc::new(Inner { pointer, schema, limits, account, options })))
    }

    /// Creates the fetch of the batch that a pointer refers to. Returns `None` if the batch is not a pointer.
    ///
    /// # Errors
    /// If the pointer is invalid, or the policy refuses its URL.
    pub(crate) fn of_batch(
        batch: &RecordBatch,
        metadata: &Metadata,
        limits: &Limits,
        account: &Account,
        options: &FetchOptions,
    ) -> Result<Option<Self>, RpcError> {
        let Some(pointer) = Pointer::recognise(batch.num_rows(), metadata)? else { return Ok(None) };
        Ok(Some(Self::new(pointer, batch.schema(), limits, account, options)?))
    }

    /// Returns the object's location. Its `Debug` output shows only the path.
    pub fn location(&self) -> &Location {
        &self.0.pointer.location
    }

    /// Returns how the object may be fetched.
    pub fn options(&self) -> &FetchOptions {
        &self.0.options
    }

    /// Returns a decoder for the object.
    pub fn resolution(&self) -> Resolution {
        let Inner { pointer, schema, limits, account, options } = &*self.0;
        Resolution::new(pointer.clone(), schema.clone(), limits, account, options.object_limits)
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("location", self.location()).finish_non_exhaustive()
    }
}
