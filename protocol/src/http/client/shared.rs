//! What the callers of one server know together: the settings, and what the server has said of itself.

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
    /// The coding of requests, once the server has listed one that is spoken here.
    coding: Option<Coding>,
    /// The server has refused a coded request.
    refuses_codings: bool,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self { codecs: Codecs::new(settings.codec), settings, known: Mutex::default() }
    }

    pub(super) fn capabilities(&self) -> Option<Arc<Capabilities>> {
        self.known().capabilities.clone()
    }

    /// The coding that a request's body may have, if the settings and the server allow any.
    pub(super) fn request_coding(&self) -> Option<Coding> {
        let known = self.known();
        known.coding.filter(|_| self.settings.compress_requests && !known.refuses_codings)
    }

    /// Whether the server is known to refuse a body of so many bytes, and to say where it may be uploaded to.
    pub(super) fn wants_upload(&self, bytes: u64) -> bool {
        self.known().capabilities.as_ref().is_some_and(|known| {
            known.upload.is_some() && known.max_request_bytes.is_some_and(|max| bytes > max)
        })
    }

    /// Whether the server is known to say where a request may be uploaded to.
    pub(super) fn takes_uploads(&self) -> bool {
        self.known().capabilities.as_ref().is_some_and(|known| known.upload.is_some())
    }

    /// Sends no coded requests any more.
    pub(super) fn refuse_codings(&self) {
        self.known().refuses_codings = true;
    }

    /// Whether the server is known to heed a limit on responses.
    pub(super) fn heeds_limits(&self) -> bool {
        self.known().capabilities.as_ref().is_some_and(|known| known.accept_max_response_bytes)
    }

    /// Learns from a response, unless it is a proxy's own: a server says what it can do on every response, whatever
    /// the status. Says whether it did.
    pub(super) fn learn(&self, headers: &HeaderMap) -> bool {
        let says = headers.contains_key(EXTERNALIZATION_ENABLED) || headers.contains_key(SUPPORTED_ENCODINGS);
        if says {
            self.set(headers);
        }
        says
    }

    /// Takes a response for what the server says of itself, even if that is nothing.
    pub(super) fn set(&self, headers: &HeaderMap) {
        let capabilities = Capabilities::from_headers(headers);
        let mut known = self.known();
        known.coding = Capabilities::listed_encodings(headers).unwrap_or_default().first().copied();
        if known.capabilities.as_deref() != Some(&capabilities) {
            known.capabilities = Some(Arc::new(capabilities));
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // Every change is one assignment.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
