//! The authorization server's metadata, and which parts of it are rejected.

use super::*;

/// Returns the status of a browser's response if the authorization server has this metadata.
fn status_with(issuer: &str, document: impl Into<Bytes>) -> u16 {
    let document = document.into();
    let resource = ProtectedResource::new("https://reports.example", [issuer]).unwrap();
    let resource = resource.client_id("web").unwrap();
    let set = |builder| with_tokens(builder).protected_resource(resource).browser_login(login());
    let server = serve(local::service().0, set).performing(move |_| Completion::value(document.clone()));
    server.send(browse("/vgi")).status
}

fn document(issuer: &str, authorization: &str, token: &str) -> String {
    let (authorization, token) = (format!("{authorization}/authorize"), format!("{token}/token"));
    json!({"issuer": issuer, "authorization_endpoint": authorization, "token_endpoint": token}).to_string()
}

#[test]
fn what_an_authorization_server_says_of_itself_is_checked() {
    let (local, plain) = ("http://127.0.0.1:9", "http://login.example");
    let honest = document(ISSUER, ISSUER, "https://tokens.example");
    assert_eq!(status_with(ISSUER, honest.clone()), 302);
    assert_eq!(status_with(local, document(local, local, local)), 302);
    for (what, document) in [
        ("another issuer", document("https://evil.example", ISSUER, ISSUER)),
        ("another spelling of the issuer", document("https://login.example/", ISSUER, ISSUER)),
        ("people in the clear", document(ISSUER, plain, ISSUER)),
        ("tokens in the clear", document(ISSUER, ISSUER, plain)),
        ("tokens to this machine", document(ISSUER, ISSUER, local)),
        ("no URL", document(ISSUER, ISSUER, "login")),
        ("no JSON", String::new()),
        ("no token endpoint", json!({"issuer": ISSUER, "authorization_endpoint": ISSUER}).to_string()),
        ("more than 64 KiB", format!("{honest}{}", " ".repeat(64 << 10))),
    ] {
        assert_eq!(status_with(ISSUER, document), 401, "{what}");
    }
    assert_eq!(status_with(local, document(local, "ftp://127.0.0.1", local)), 401);
}
