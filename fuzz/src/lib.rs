//! Properties that must hold for any bytes. Each target is a function that takes bytes and panics if a property does not
//! hold.
//!
//! Contains the targets, one file each, and what they share. `cargo test` replays the seeds and every input that once
//! failed (`tests/replay.rs`); `fuzz/run` searches for more with libFuzzer (`libfuzzer/`, a separate package, because
//! only `cargo fuzz` can link it). `README.md` describes how to run a target and how to add one.

pub mod support;

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*

        /// Every target by its name, which is also the name of its binary and of its folders.
        pub const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name::run)),*];
    };
}

targets! {
    capture,
    client_certificates,
    client_connection,
    effects,
    external_calls,
    external_object,
    grant_tokens,
    http1_client,
    http1_server,
    http_client,
    http_coding,
    http_endpoint,
    ipc_raw,
    ipc_structured,
    jwt_tokens,
    login,
    metadata_detail,
    operations,
    peer_headers,
    peer_whois,
    proxy_header,
    proxy_proof,
    server_session,
    shared_memory,
    socks_replies,
    tls,
    tokens,
}
