//! The state that all machines for one server share: the settings and the server's capabilities.

use super::settings::Settings;
use crate::http::capabilities::{Capabilities, EXTERNALIZATION_ENABLED, SUPPORTED_ENCODINGS};
use crate::http::coding::{Codecs, Coding};
use http::HeaderMap;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) codecs: Codecs,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    capabilities: Option<Arc<Capabilities>>,
    /// The coding of requests, once the server has listed a supported one.
    coding: Option<Coding>,
    /// Whether the server has refused a coded request.
    refuses_codings: bool,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self { codecs: Codecs::new(settings.codec), settings, known: Mutex::default() }
    }

    pub(super) fn capabilities(&self) -> Option<Arc<Capabilities>> {
        self.known().capabilities.clone()
    }

    /// Returns the coding of request bodies, if the settings and the server allow one.
    pub(super) fn request_coding(&self) -> Option<Coding> {
        let known = self.known();
        known.coding.filter(|_| self.settings.compress_requests && !known.refuses_codings)
    }

    /// Whether the server is known to refuse a body of this size and to vend upload URLs.
    pub(super) fn wants_upload(&self, bytes: u64) -> bool {
        self.known().capabilities.as_ref().is_some_and(|known| {
            known.upload.is_some() && known.max_request_bytes.is_some_and(|max| bytes > max)
        })
    }

    /// Whether the server is known to vend upload URLs.
    pub(super) fn takes_uploads(&self) -> bool {
        self.known().capabilities.as_ref().is_some_and(|known| known.upload.is_some())
    }

    /// Stops sending coded requests.
    pub(super) fn refuse_codings(&self) {
        self.known().refuses_codings = true;
    }

    /// Whether the server is known to support a limit on responses.
    pub(super) fn heeds_limits(&self) -> bool {
        self.known().capabilities.as_ref().is_some_and(|known| known.accept_max_response_bytes)
    }

    /// Reads the capabilities of a response, unless a proxy created it: a server sends them with every response, whatever the
    /// status. Returns whether the response had any.
    pub(super) fn learn(&self, headers: &HeaderMap) -> bool {
        let says = headers.contains_key(EXTERNALIZATION_ENABLED) || headers.contains_key(SUPPORTED_ENCODINGS);
        if says {
            self.set(headers);
        }
        says
    }

    /// Stores the capabilities of a response, even if it has none.
    pub(super) fn set(&self, headers: &HeaderMap) {
        let capabilities = Capabilities::from_headers(headers);
        let mut known = self.known();
        known.coding = Capabilities::listed_encodings(headers).unwrap_or_default().first().copied();
        if known.capabilities.as_deref() != Some(&capabilities) {
            known.capabilities = Some(Arc::new(capabilities));
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // Every change is a single assignment, so the state is consistent.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
