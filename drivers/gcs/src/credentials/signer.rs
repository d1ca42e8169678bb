//! A key that signs URLs, of either kind.

use super::hmac_key::HmacKey;
use super::service_account::ServiceAccountKey;
use crate::v4::{Endpoint, SignError, UrlToSign};
use std::fmt;
use std::sync::Arc;
use vgi_rpc_protocol::external::Location;

/// A key that signs URLs. Clones share it.
///
/// Identities without a key on this machine (the metadata server of Google Cloud, workload identity federation, a user's own
/// login) are not supported, because each signature requires a call of the IAM API's `signBlob`. Sign in the application with
/// that, and pass the URLs to a [`PresignedGcsStorage`](crate::PresignedGcsStorage).
#[derive(Clone)]
pub struct Credentials(Kind);

#[derive(Clone)]
enum Kind {
    ServiceAccount(Arc<ServiceAccountKey>),
    Hmac(Arc<HmacKey>),
}

impl Credentials {
    /// Signs a URL. RSA takes about a millisecond, HMAC some microseconds.
    ///
    /// # Errors
    /// If a part of the URL is invalid.
    pub fn sign(&self, url: &UrlToSign<'_>) -> Result<Location, SignError> {
        match &self.0 {
            Kind::ServiceAccount(key) => key.sign(url),
            Kind::Hmac(key) => key.sign(url),
        }
    }

    /// Returns the default endpoint of Cloud Storage for this key.
    pub fn endpoint(&self) -> Endpoint {
        match &self.0 {
            Kind::ServiceAccount(key) => key.endpoint(),
            Kind::Hmac(_) => Endpoint::default(),
        }
    }
}

impl From<ServiceAccountKey> for Credentials {
    fn from(key: ServiceAccountKey) -> Self {
        Self(Kind::ServiceAccount(Arc::new(key)))
    }
}

impl From<HmacKey> for Credentials {
    fn from(key: HmacKey) -> Self {
        Self(Kind::Hmac(Arc::new(key)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::ServiceAccount(key) => f.debug_tuple("Credentials").field(key).finish(),
            Kind::Hmac(key) => f.debug_tuple("Credentials").field(key).finish(),
        }
    }
}
