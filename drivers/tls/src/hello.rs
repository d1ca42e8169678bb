//! Records the host that a client requests (SNI), which rustls passes only to the function that chooses the server's
//! certificate.

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, OnceLock};

/// Delegates to another resolver, and records the name.
#[derive(Debug)]
pub(crate) struct NotesName {
    chooses: Arc<dyn ResolvesServerCert>,
    name: Arc<OnceLock<String>>,
}

impl NotesName {
    pub(crate) fn new(chooses: Arc<dyn ResolvesServerCert>, name: Arc<OnceLock<String>>) -> Self {
        Self { chooses, name }
    }
}

impl ResolvesServerCert for NotesName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name() {
            // A second name, after a hello retry request, is refused by rustls if it differs.
            let _ = self.name.set(name.to_owned());
        }
        self.chooses.resolve(hello)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.chooses.only_raw_public_keys()
    }
}
