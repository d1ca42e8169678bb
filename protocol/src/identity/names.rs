//! Names of the protocol and its methods on the wire.

/// Wire name of the protocol. Its last part is the major version.
pub const PROTOCOL_NAME: &str = "vgi_rpc.Identity.v2";

pub(super) const INTROSPECT_TOKEN: &str = "introspect_token";
pub(super) const ISSUE_GRANT: &str = "issue_grant";
