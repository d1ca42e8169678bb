//! How people sign in, and how long they may take.

use std::io;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::http::login::DevicePrompt;

/// Opens a browser at a URL.
pub(crate) type Browser = dyn Fn(&str) -> io::Result<()> + Send + Sync;
/// Shows a code to a person.
pub(crate) type ShowCode = dyn Fn(&DevicePrompt) -> io::Result<()> + Send + Sync;

/// How people sign in, and how long they may take.
#[derive(Clone)]
pub(crate) struct Ways {
    pub(crate) browser: Option<Arc<Browser>>,
    pub(crate) device_code: Option<Arc<ShowCode>>,
    pub(crate) time_limit: Duration,
}
