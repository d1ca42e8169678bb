//! How a login uses the tokens that it receives.

use super::*;
use vgi_rpc_protocol::effect::Question;
use vgi_rpc_protocol::http::auth::{AuthError, AuthRequest, Reason, bearer};

/// The question of an authenticator in these tests.
struct MayEnter;

/// Returns a token with these claims.
fn token_with(claims: &Value) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn set_up(
    login: BrowserLogin,
    resource: ProtectedResource,
    authenticator: impl vgi_rpc_protocol::http::auth::Authenticator + 'static,
    may_enter: bool,
) -> (Server, Arc<Provider>) {
    let provider = Arc::new(Provider::default());
    let performs = provider.clone();
    let set = |builder: EndpointBuilder| {
        builder.authenticate(authenticator).protected_resource(resource).browser_login(login)
    };
    let server = serve(local::service().0, set).performing(move |effect| match &effect.request {
        EffectRequest::Question(question) if question.payload::<MayEnter>().is_some() => {
            Completion::value(may_enter)
        }
        _ => performs.perform(effect),
    });
    (server, provider)
}

/// Accepts all tokens that have claims.
fn with_claims() -> impl vgi_rpc_protocol::http::auth::Authenticator {
    bearer(|token: &str, request: &AuthRequest<'_>| {
        // It sees a bearer token, however that was sent.
        let headers = format!("{:?}", request.parts.headers);
        assert!(!headers.contains("cookie") && !headers.contains(token), "{headers}");
        match token.starts_with("e30.") {
            true => Ok(AuthContext::new("test", "ann")),
            false => Err(AuthError::refused(Reason::InvalidCredential, "no claims")),
        }
    })
}

#[test]
fn the_id_token_is_the_bearer_where_the_server_wants_it() {
    let (server, provider) =
        set_up(login().return_page(PAGE), resource().id_token_as_bearer(), with_claims(), true);
    let away = sent_away(&server, &provider, "/vgi");
    let back = server.send(away.back(&[]));
    assert!(cookies(&back)[0].starts_with("_vgi_auth=e30."), "{:?}", cookies(&back));
    let kept = pair_of(cookies(&back)[0]).to_owned();
    let who = local::local("who").with("cookie", &format!("{kept}; {}", pair_of(&away.cookie)));
    assert_eq!(server.send(who).text(), "test/ann true");
    let away = sent_away(&server, &provider, &format!("/vgi?_vgi_return_to={PAGE}"));
    let back = server.send(away.back(&[]));
    let location = back.header("location").unwrap();
    assert!(location.starts_with(&format!("{PAGE}#token=e30.")), "{location}");
    assert!(location.ends_with("&use_id_token=true"), "{location}");
}

#[test]
fn a_cookie_lives_as_long_as_its_token() {
    let (server, provider) = set_up(login().scopes(["read"]), resource(), with_claims(), true);
    let now = server.now.as_secs();
    for (exp, expires_in, age) in [
        (json!(now + 300), json!(900), 300),
        (json!(now + 1), json!(900), 60),
        (json!(now - 1), json!(900), 60),
        (json!(1e300), Value::Null, 60),
        (json!(now + 100_000_000), Value::Null, 30 * 86_400),
        (Value::Null, json!(900), 900),
        (Value::Null, json!(0.5), 60),
        (json!("soon"), Value::Null, 3600),
    ] {
        let away = sent_away(&server, &provider, "/vgi");
        let token = token_with(&json!({"exp": exp}));
        let tokens = json!({"access_token": token, "expires_in": expires_in});
        *provider.says.lock().unwrap() = Some(answer(200, &tokens));
        let back = server.send(away.back(&[]));
        let kept = cookies(&back)[0].to_owned();
        assert!(kept.contains(&format!("; Max-Age={age};")), "{exp} {expires_in}: {kept}");
    }
}

#[test]
fn an_authenticator_may_ask_before_it_accepts_a_token() {
    let asks = bearer(|_: &str, request: &AuthRequest<'_>| {
        match request.ask("may enter", || Question::new(MayEnter))?.value::<bool>() {
            Some(true) => Ok(AuthContext::new("test", "ann")),
            _ => Err(AuthError::refused(Reason::InvalidCredential, "not known")),
        }
    });
    let (server, provider) = set_up(login(), resource(), asks, true);
    let away = sent_away(&server, &provider, "/vgi");
    let back = server.send(away.back(&[]));
    assert_eq!((back.status, back.header("location")), (302, Some("/vgi")), "{}", body(&back));
}

#[test]
fn what_must_hold_of_every_request_may_be_asked() {
    let gate = |request: &AuthRequest<'_>| match request.ask("gate", || Question::new(MayEnter))?.value() {
        Some(true) => Err(AuthError::refused(Reason::MissingCredential, "nobody")),
        _ => Err(AuthError::denied(Reason::ProxyRequired, "not through the proxy")),
    };
    for (may_enter, status, text) in [(true, 400, "did not begin to sign in"), (false, 401, "proxy_required")]
    {
        let (server, _) = set_up(login(), resource(), gate, may_enter);
        let answer = server.send(browse("/vgi/_oauth/callback?code=a&state=b"));
        assert_eq!(answer.status, status);
        assert!(body(&answer).contains(text), "{}", body(&answer));
    }
}

#[test]
fn a_login_mends_missing_and_bad_credentials_alone() {
    for (reason, status) in [
        (Reason::MissingCredential, 302),
        (Reason::InvalidCredential, 302),
        (Reason::ExpiredCredential, 302),
        (Reason::InsufficientScope, 401),
        (Reason::ProxyRequired, 401),
    ] {
        let refuses = move |_: &AuthRequest<'_>| Err(AuthError::denied(reason, "no"));
        let (server, _) = set_up(login(), resource(), refuses, true);
        assert_eq!(server.send(browse("/vgi")).status, status, "{reason:?}");
    }
}
