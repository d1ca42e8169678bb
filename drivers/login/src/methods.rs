//! The ways in which users sign in, and the time limit.

use std::io;
use std::sync::Arc;
use std::time::Duration;
use vgi_rpc_protocol::http::login::DevicePrompt;

/// Opens a browser at a URL.
pub(crate) type Browser = dyn Fn(&str) -> io::Result<()> + Send + Sync;
/// Shows a code to the user.
pub(crate) type ShowCode = dyn Fn(&DevicePrompt) -> io::Result<()> + Send + Sync;

/// The ways in which users sign in, and the time limit.
#[derive(Clone)]
pub(crate) struct SignInMethods {
    pub(crate) browser: Option<Arc<Browser>>,
    pub(crate) device_code: Option<Arc<ShowCode>>,
    pub(crate) time_limit: Duration,
}
