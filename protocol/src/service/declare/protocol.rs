//! An application protocol: a name, a version, methods. WIRE_PROTOCOL 3.1.

use super::method::{Method, MethodSpec};
use super::service_error::ServiceError;
use crate::description::{ProtocolInfo, Version};
use crate::reflection;
use crate::service::context::Shared;
use crate::service::peer::TransportKind;
use crate::wire::error::RpcError;
use crate::wire::keys;
use crate::wire::text::Limit;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The longest protocol name, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// Work to do once before the first call. It receives the transport.
pub(crate) type ServeStart = dyn Fn(TransportKind) -> Result<(), RpcError> + Send + Sync;

/// A protocol to be registered.
pub struct Protocol {
    name: String,
    version: Option<String>,
    deprecated: Option<String>,
    methods: Vec<MethodSpec>,
    shared: Option<Shared>,
    serve_start: Option<Box<ServeStart>>,
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protocol")
            .field("name", &self.name)
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

impl Protocol {
    /// Creates a protocol of this name: letters, digits, `_` and `.`, not beginning with a digit or dot, at most 255 bytes. The
    /// major version is part of the name, as in `acme.Reports.v1`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: None,
            deprecated: None,
            methods: Vec::new(),
            shared: None,
            serve_start: None,
        }
    }

    /// Declares a version, `MAJOR.MINOR.PATCH`. Callers must then send one of equal major and minor version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Marks the protocol as deprecated and says what to migrate to.
    pub fn deprecated(mut self, migrate_to: impl Into<String>) -> Self {
        self.deprecated = Some(migrate_to.into());
        self
    }

    /// Shares a value with all handlers and stream states of the protocol: a pool, a cache, a configuration. They access it with
    /// [`CallContext::shared`](crate::service::CallContext::shared).
    pub fn share(mut self, value: impl Any + Send + Sync) -> Self {
        self.shared = Some(Arc::new(value));
        self
    }

    /// Sets work that is done once before the first call is served. If it fails, no call is served, and the next attempt to serve
    /// runs it again.
    pub fn on_serve_start(
        mut self,
        work: impl Fn(TransportKind) -> Result<(), RpcError> + Send + Sync + 'static,
    ) -> Self {
        self.serve_start = Some(Box::new(work));
        self
    }

    /// Adds a method.
    pub fn method(mut self, method: MethodSpec) -> Self {
        self.methods.push(method);
        self
    }

    /// Adds methods.
    pub fn methods(mut self, methods: impl IntoIterator<Item = MethodSpec>) -> Self {
        self.methods.extend(methods);
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    #[cfg(feature = "http")]
    pub(crate) fn shared<T: Any>(&self) -> Option<&T> {
        self.shared.as_deref()?.downcast_ref()
    }

    pub(crate) fn host(self, reserved: bool) -> Result<Hosted, ServiceError> {
        check_name(&self.name, reserved)?;
        let version = match &self.version {
            Some(text) => Some(
                text.parse::<Version>()
                    .map_err(|error| ServiceError::Version { protocol: self.name.clone(), error })?,
            ),
            None => None,
        };
        let name: Arc<str> = self.name.into();
        let mut methods = BTreeMap::new();
        for spec in self.methods {
            let method = spec.name().to_owned();
            let hosted = spec.host(&name, self.shared.clone()).map_err(|error| ServiceError::Method {
                protocol: name.to_string(),
                method: method.clone(),
                error,
            })?;
            if methods.insert(method.clone(), Arc::new(hosted)).is_some() {
                return Err(ServiceError::DuplicateMethod { protocol: name.to_string(), method });
            }
        }
        let methods: Vec<_> = methods.into_values().collect();
        let infos: Vec<_> = methods.iter().map(|method| method.info().clone()).collect();
        let hash = reflection::protocol_hash(&name, &infos)
            .map_err(|error| ServiceError::Hash { protocol: name.to_string(), error: error.to_string() })?;
        let info = ProtocolInfo {
            name: name.to_string(),
            version,
            deprecated: self.deprecated,
            methods: infos,
            hash,
        };
        Ok(Hosted {
            serve_start: self.serve_start,
            info,
            methods,
            version_text: self.version.unwrap_or_default(),
            version_exempt: reserved,
        })
    }
}

/// A registered protocol.
pub(crate) struct Hosted {
    pub(crate) serve_start: Option<Box<ServeStart>>,
    pub(crate) info: ProtocolInfo,
    /// Sorted by name.
    methods: Vec<Arc<Method>>,
    /// The declared version as text: what a caller of the same version sends.
    pub(crate) version_text: String,
    /// Whether callers of any version are served. Reflection serves them, since it tells them which version they need.
    pub(crate) version_exempt: bool,
}

impl Hosted {
    /// Returns the method of this name, which comes from a peer and may not be valid UTF-8.
    pub(crate) fn method(&self, name: impl AsRef<[u8]>) -> Option<&Arc<Method>> {
        let name = name.as_ref();
        let at = self.methods.binary_search_by(|method| method.info().name.as_bytes().cmp(name)).ok()?;
        self.methods.get(at)
    }

    /// Returns all methods, sorted by name.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Arc<Method>> {
        self.methods.iter()
    }
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Checks a name that is to be registered.
fn check_name(name: &str, reserved: bool) -> Result<(), ServiceError> {
    if !is_protocol_name(name) {
        return Err(ServiceError::InvalidName(Limit::bytes(MAX_NAME_BYTES).cut(name)));
    }
    if !reserved && name.starts_with(keys::RESERVED_PREFIX) {
        return Err(ServiceError::ReservedName(name.into()));
    }
    Ok(())
}

/// Returns whether this is a valid protocol name.
pub(crate) fn is_protocol_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in ["A", "_x", "acme.Reports.v1", "a..b"] {
            assert!(is_protocol_name(good), "{good}");
        }
        for bad in ["", "1a", ".a", "a b", "a/b", "a%b", "é", &"x".repeat(256)] {
            assert!(!is_protocol_name(bad), "{bad}");
        }
    }
}
