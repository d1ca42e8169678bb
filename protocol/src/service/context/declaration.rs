//! The declaration of a hosted method without its handler, and the value that its protocol shares.

use crate::description::MethodInfo;
use crate::ipc::EncodedSchema;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A value that a protocol's handlers share.
pub(crate) type Shared = Arc<dyn Any + Send + Sync>;

/// A hosted method's declaration, without its handler.
pub(crate) struct Declaration {
    /// Name of the protocol that owns the method.
    pub(crate) protocol: Arc<str>,
    pub(crate) shared: Option<Shared>,
    /// The method as clients see it.
    pub(crate) info: MethodInfo,
    pub(crate) result: EncodedSchema,
    pub(crate) header: Option<EncodedSchema>,
    pub(crate) input: Option<EncodedSchema>,
    pub(crate) output: Option<EncodedSchema>,
}

impl fmt::Debug for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Declaration")
            .field("protocol", &self.protocol)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}
