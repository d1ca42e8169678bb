//! Requests URLs for uploads from a server. WIRE_PROTOCOL 10, "Upload URL generation".

use crate::client::Client;
use crate::error::CallError;
use vgi_rpc_protocol::effect::UploadUrl;

impl Client {
    /// Requests `count` pairs of URLs from the server, at most 100: one to upload data that is too large for a request, and one
    /// from which the server reads it.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Command`] on a byte stream, whose requests have no such limit.
    pub fn upload_urls(&mut self, count: u8) -> Result<Vec<UploadUrl>, CallError> {
        self.channel.upload_urls(count)
    }
}
