//! Effects, their requests and their completions.

use super::answers::Question;
use super::failure::Failure;
use super::listeners::EffectListeners;
use super::value::Value;
use crate::external::{Fetch, ResolveError, Resolved, Store, Upload};
use crate::location::Location;
use crate::shm::{AttachSegment, SharedMemory};
use crate::wire::error::RpcError;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Identifies an effect within the machine that yielded it. Ids are not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EffectId(pub(super) u64);

/// Something that a machine waits for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Effect {
    /// The id to complete it with.
    pub id: EffectId,
    /// What to do.
    pub request: Request,
    /// How long that may take. A driver completes the effect with [`FailureReason::TimedOut`](super::FailureReason::TimedOut) when it takes longer.
    pub time_limit: Duration,
    /// Effects with the same key have the same request: a driver may perform one of them and complete all with its result.
    pub shared_key: Option<Arc<str>>,
    pub(super) listeners: EffectListeners,
}

impl Effect {
    /// Creates an effect without a machine, for testing code that performs effects.
    pub fn new(id: u64, request: Request, time_limit: Duration, shared_key: Option<Arc<str>>) -> Self {
        let listeners = EffectListeners::default();
        Self { id: EffectId(id), request, time_limit, shared_key, listeners }
    }

    /// Runs `perform`, which performs the effect on this thread. The [hooks](crate::service::CallHook) of the call are notified
    /// before and after it, so a span of the call is current while it runs. Drivers perform every effect through this function.
    pub fn within<T>(&self, perform: impl FnOnce(&Request) -> T) -> T {
        self.listeners.within(|| perform(&self.request))
    }
}

/// What a machine reports about its effects.
#[derive(Clone, Debug)]
pub enum EffectEvent {
    /// This effect is to be performed.
    Requested(Effect),
    /// This effect was requested before and is no longer needed.
    Withdrawn(EffectId),
}

impl EffectEvent {
    /// Returns the effect's id.
    pub const fn id(&self) -> EffectId {
        match self {
            Self::Requested(effect) => effect.id,
            Self::Withdrawn(id) => *id,
        }
    }
}

/// What an effect asks for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// A question of the application's own, from an admission step or an authenticator.
    Question(Question),
    /// This many upload URLs, as [`Completion::UploadUrls`]. WIRE_PROTOCOL 10, "Upload URL generation".
    UploadUrls(usize),
    /// The content of an external object, as [`Completion::Resolved`]. WIRE_PROTOCOL 12.
    Fetch(Fetch),
    /// Storage for an external object, as [`Completion::Stored`]. WIRE_PROTOCOL 12.
    Store(Store),
    /// The upload of a client's request. WIRE_PROTOCOL 10, "Upload URL generation".
    Upload(Upload),
    /// The memory of a client's segment, as [`Completion::Attached`]. WIRE_PROTOCOL 11.
    AttachSegment(AttachSegment),
}

/// The completion of an effect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Completion {
    /// The effect is done, and its data has been passed in pieces.
    Done,
    /// The answer to a question.
    Value(Value),
    /// As many URLs as requested.
    UploadUrls(Vec<UploadUrl>),
    /// The content of the object, or its error.
    Resolved(Result<Resolved, ResolveError>),
    /// The URL of the stored object.
    Stored(Location),
    /// The memory of a segment.
    Attached(Arc<dyn SharedMemory>),
    /// The effect failed.
    Failed(Failure),
}

impl Completion {
    /// Completes a question with a value.
    pub fn value(value: impl Any + Send + Sync) -> Self {
        Self::Value(Value::new(value))
    }

    /// Returns the error of a call that expected another completion, named by `expected`.
    pub(crate) fn into_error(self, expected: &str) -> RpcError {
        match self {
            Self::Failed(failure) => failure.into(),
            _ => RpcError::runtime_error(format!("expected {expected}, got something else")),
        }
    }
}

impl From<Result<Resolved, ResolveError>> for Completion {
    fn from(resolved: Result<Resolved, ResolveError>) -> Self {
        Self::Resolved(resolved)
    }
}

impl<E: Into<Failure>> From<Result<Location, E>> for Completion {
    /// Completes a [`Store`].
    fn from(stored: Result<Location, E>) -> Self {
        stored.map_or_else(|error| Self::Failed(error.into()), Self::Stored)
    }
}

impl<E: Into<Failure>> From<Result<Vec<UploadUrl>, E>> for Completion {
    /// Completes [`Request::UploadUrls`].
    fn from(urls: Result<Vec<UploadUrl>, E>) -> Self {
        urls.map_or_else(|error| Self::Failed(error.into()), Self::UploadUrls)
    }
}

impl<E: Into<Failure>> From<Result<Arc<dyn SharedMemory>, E>> for Completion {
    /// Completes an [`AttachSegment`].
    fn from(attached: Result<Arc<dyn SharedMemory>, E>) -> Self {
        attached.map_or_else(|error| Self::Failed(error.into()), Self::Attached)
    }
}

impl From<Failure> for Completion {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// URLs to upload an object to and to download it from.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadUrl {
    /// The URL to upload to.
    pub upload_url: String,
    /// The URL from which the server downloads.
    pub download_url: String,
    /// The expiry of both URLs, since the Unix epoch.
    pub expires_at: Duration,
}

impl fmt::Debug for UploadUrl {
    /// Omits the URLs, which grant access.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadUrl").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
