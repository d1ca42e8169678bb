//! The worker and the client driver as processes: instructions, access logs, and recorded conversations.

mod access_log;
mod client_driver;
#[cfg(unix)]
mod recording;
