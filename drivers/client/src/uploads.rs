//! Asking a server for URLs to upload to. WIRE_PROTOCOL 10, "Upload URL generation".

use crate::client::Client;
use crate::error::CallError;
use vgi_rpc_protocol::effect::UploadUrl;

impl Client {
    /// Asks the server for as many pairs of URLs as `count` says, at most 100: one to upload to what is too large for a
    /// request, and one for the server to read it from.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::Command`] on a connection of bytes, whose requests have no such limit.
    pub fn upload_urls(&mut self, count: u8) -> Result<Vec<UploadUrl>, CallError> {
        self.channel.upload_urls(count)
    }
}
