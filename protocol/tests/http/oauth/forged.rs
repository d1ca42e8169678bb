//! States sealed by another server with the same keys under different settings.

use super::*;
use vgi_rpc_protocol::http::pkce::LoginState;

#[test]
fn where_a_browser_is_sent_is_checked_again_when_it_comes_back() {
    let provider = Arc::new(Provider::default());
    let performs = provider.clone();
    let set = |builder| {
        let login = login().scopes(["read"]).return_page(PAGE);
        with_tokens(builder).token_keys(keys(1, [])).protected_resource(resource()).browser_login(login)
    };
    let server = serve(local::service().0, set).performing(move |effect| performs.perform(effect));
    let location = |target: &str, return_to: &str| {
        let state = LoginState {
            created_at: server.now.as_secs(),
            verifier: "v".into(),
            state: "s".into(),
            nonce: "n".into(),
            target: target.into(),
            return_to: return_to.into(),
        };
        let cookie = pkce::new_state_cookie(&keys(1, []), &state, [2; 24]).unwrap();
        *provider.says.lock().unwrap() = Some(answer(200, &json!({"access_token": TOKEN})));
        let request = browse("/vgi/_oauth/callback?code=1&state=s");
        let back = server.send(request.with("cookie", &format!("__Host-vgi_login={cookie}")));
        assert_eq!(back.status, 302, "{}", body(&back));
        back.header("location").unwrap().to_owned()
    };
    assert_eq!(location("/vgi/describe", ""), "/vgi/describe");
    assert!(location("/vgi/describe", PAGE).starts_with(&format!("{PAGE}#token=")));
    for target in ["https://evil.example/", "//evil.example/", "/other/describe", "/vgi/%2fevil.example"] {
        assert_eq!(location(target, ""), "/vgi", "{target}");
    }
    for page in ["https://evil.example/page", "https://app.example/other", "http://app.example/page"] {
        assert_eq!(location("/vgi/describe", page), "/vgi/describe", "{page}");
    }
}

#[test]
fn a_long_target_does_not_keep_a_person_out() {
    let (server, provider) = serving(login());
    // Even compressed it would not fit in a cookie.
    let long: String =
        (0..1500_u32).map(|number| format!("{:08x}", number.wrapping_mul(2_654_435_761))).collect();
    let away = sent_away(&server, &provider, &format!("/vgi/describe?{long}"));
    assert_eq!(server.send(away.back(&[])).header("location"), Some("/vgi"));
}
