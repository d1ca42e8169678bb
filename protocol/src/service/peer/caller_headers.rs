//! The HTTP request headers that describe the caller's program and trace.

/// The program and trace that the request headers name. The caller chose every value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallerHeaders {
    /// `User-Agent`, cut to 1 KiB. It is kept for [hooks](crate::service::CallHook) and records: without either, it is `None`.
    pub user_agent: Option<String>,
    /// `traceparent` of W3C Trace Context.
    pub traceparent: Option<String>,
    /// `tracestate` of W3C Trace Context, if there is a `traceparent`.
    pub tracestate: Option<String>,
    /// `sentry-trace`. It is kept for [hooks](crate::service::CallHook).
    pub sentry_trace: Option<String>,
}

impl CallerHeaders {
    /// Returns whether no header is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
