//! The keys that seal grants.

use crate::support::{Listening, process, text};
use std::process::Command;
use vgi_rpc_connect::connect;

const KEYS: &str = "VGI_RPC_GRANT_KEYS";
const MAX_TTL_SECONDS: &str = "VGI_RPC_GRANT_MAX_TTL_SECONDS";
const IDENTITY: &str = "vgi_rpc.Identity.v2";

/// 32 bytes in base64.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn with_keys(flags: &[&str], keys: &str) -> Command {
    let mut command = process("greeter", flags);
    command.env(KEYS, keys);
    command
}

/// Returns the protocols that a worker hosts over HTTP.
fn hosted(command: Command) -> Vec<String> {
    let worker = Listening::run(command);
    let mut client = connect(&format!("http://127.0.0.1:{}", worker.place("PORT:"))).unwrap();
    client.protocols().unwrap().protocols.into_iter().map(|listed| listed.protocol).collect()
}

pub fn hosted_with_keys() {
    let protocols = hosted(with_keys(&["--http"], KEY));
    assert_eq!(protocols.last().map(String::as_str), Some(IDENTITY), "{protocols:?}");
    for without in ["", " "] {
        let protocols = hosted(with_keys(&["--http"], without));
        assert!(!protocols.contains(&IDENTITY.to_owned()), "{protocols:?}");
    }
}

pub fn invalid_keys() {
    let said = |mut command: Command| {
        let output = command.output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(!said.contains("AAECAwQ"), "{said}");
        said
    };
    let twice = format!("{KEY},{KEY}");
    let invalid = [
        (format!("{KEY},{}", &KEY[..20]), "grant key 2: expected 32 bytes in base64"),
        (KEY.replace('=', "!"), "grant key 1: expected 32 bytes in standard base64"),
        (twice, "grant key 2 is the same as an earlier one"),
        (",".to_owned(), "expected at least one grant key"),
    ];
    for (keys, expected) in &invalid {
        for flags in [&["--http"][..], &["--pipe"]] {
            let said = said(with_keys(flags, keys));
            assert!(said.contains(expected) && said.contains(KEYS), "expected {expected:?} in {said}");
        }
    }
    let mut forever = with_keys(&["--http"], KEY);
    forever.env(MAX_TTL_SECONDS, "0");
    assert!(said(forever).contains("longest lifetime of grants"));
}
