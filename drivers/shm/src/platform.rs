//! Which kinds of shared memory this platform supports.

/// Whether this platform is supported by this crate. Otherwise no segment is created or attached.
pub const IS_SUPPORTED: bool = cfg!(unix);

/// Whether segments can be passed by their descriptors on this platform: `EXTENSION.md` of `vgi_rpc_protocol::shm`.
pub const TAKES_DESCRIPTORS: bool = cfg!(target_os = "linux");
