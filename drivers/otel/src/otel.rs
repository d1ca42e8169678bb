//! The type [`Otel`], which creates hooks that share the same settings.

use crate::client::OtelClient;
use crate::config::OtelConfig;
use crate::external::OtelPerform;
use crate::names;
use crate::server::OtelServer;
use crate::shared::Shared;
use opentelemetry::KeyValue;
use std::fmt;
use std::sync::Arc;
use vgi_rpc_effects::Perform;
use vgi_rpc_protocol::http::auth::AuthError;

/// Creates hooks that trace and measure. Clones share the tracer and the instruments.
#[derive(Clone)]
pub struct Otel(Arc<Shared>);

impl fmt::Debug for Otel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otel")
            .field("tracing", &self.0.tracer.is_some())
            .field("metrics", &self.0.instruments.is_some())
            .finish_non_exhaustive()
    }
}

impl Otel {
    /// Creates it from the settings. Without a provider, the current global one is used: set it before.
    pub fn new(config: OtelConfig) -> Self {
        Self(Arc::new(config.into_shared()))
    }

    /// Returns a hook that traces and measures the calls of a service: for `ServiceBuilder::hook`.
    pub fn server(&self) -> OtelServer {
        OtelServer(self.0.clone())
    }

    /// Returns a hook that traces and measures the calls of a client: for `Client::hook`.
    pub fn client(&self) -> OtelClient {
        OtelClient(self.0.clone())
    }

    /// Wraps `perform`, and traces the transfers of external objects.
    pub fn perform<P: Perform>(&self, perform: P) -> OtelPerform<P> {
        OtelPerform { shared: self.0.clone(), perform }
    }

    /// Returns a function that counts callers that were refused with 401: for `EndpointBuilder::on_auth_failure`. `service` is
    /// the metric's [`rpc.service`](names::SERVICE), usually the first hosted protocol. Failures of authentication itself, or its
    /// unavailability, are not counted.
    pub fn auth_failures(&self, service: impl Into<String>) -> impl Fn(&AuthError) + Send + Sync + 'static {
        let shared = self.0.clone();
        let mut labels = vec![
            KeyValue::new(names::SYSTEM, names::SYSTEM_VALUE),
            KeyValue::new(names::SERVICE, service.into()),
        ];
        labels.extend(shared.attributes.iter().cloned());
        move |error| {
            let (AuthError::Refused(failure) | AuthError::Denied(failure)) = error else { return };
            if let Some(instruments) = &shared.instruments {
                let reason = KeyValue::new(names::AUTH_ERROR_TYPE, failure.reason.as_str());
                let labels: Vec<_> = labels.iter().cloned().chain([reason]).collect();
                instruments.auth_failures.add(1, &labels);
            }
        }
    }
}
