//! What clients are told about signing in, and browsers that sign in at the tests' own authorization server.
#![cfg(feature = "oauth-pkce")]

mod forged;
mod limits;
mod metadata;
mod tokens;

use crate::ask::*;
use crate::local;
use crate::serve::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Effect, Failure, FailureReason, Request as EffectRequest};
use vgi_rpc_protocol::http::auth::{AuthContext, LoadDocument, bearer_static};
use vgi_rpc_protocol::http::documents::{FormResponse, PostForm};
use vgi_rpc_protocol::http::oauth::{BrowserLogin, BrowserLoginError, ProtectedResource};
use vgi_rpc_protocol::http::{Endpoint, EndpointBuilder, EndpointError, pkce};
use vgi_rpc_protocol::service::Service;

const ISSUER: &str = "https://login.example";
const TOKEN: &str = "a.good~token";
const SECRET: &str = "client-secret-1";
const CALLBACK: &str = "https://reports.example/vgi/_oauth/callback";

fn resource() -> ProtectedResource {
    ProtectedResource::new("https://reports.example", [ISSUER]).unwrap().client_id("web").unwrap()
}

fn login() -> BrowserLogin {
    BrowserLogin::new().client_secret(SECRET)
}

fn with_tokens(builder: EndpointBuilder) -> EndpointBuilder {
    builder.authenticate(bearer_static([(TOKEN, AuthContext::new("test", "ann"))]))
}

/// The authorization server: the challenge of each code, and its behaviour.
#[derive(Default)]
struct Provider {
    codes: Mutex<BTreeMap<String, String>>,
    /// Its answer in place of tokens.
    says: Mutex<Option<FormResponse>>,
    is_down: Mutex<bool>,
    /// The nonce of its ID tokens.
    nonce: Mutex<Option<String>>,
    forms: Mutex<Vec<BTreeMap<String, String>>>,
    documents: Mutex<usize>,
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    url_pairs(text).into_iter().collect()
}

fn url_pairs(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaces = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaces).decode_utf8().unwrap().into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(a, b)| (decode(a), decode(b)))
        .collect()
}

fn answer(status: u16, body: &Value) -> FormResponse {
    let content_type = Some("application/json".to_owned());
    FormResponse { status, content_type, body: Bytes::from(body.to_string()) }
}

impl Provider {
    fn perform(&self, effect: &Effect) -> Completion {
        let EffectRequest::Question(question) = &effect.request else { return Failure::unsupported().into() };
        if *self.is_down.lock().unwrap() {
            *self.documents.lock().unwrap() += 1;
            return Failure::new(FailureReason::Unavailable, "down").into();
        }
        if let Some(document) = question.payload::<LoadDocument>() {
            assert_eq!(document.url, format!("{ISSUER}/.well-known/openid-configuration"));
            *self.documents.lock().unwrap() += 1;
            let metadata = json!({
                "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/authorize?tenant=1"),
                "token_endpoint": format!("{ISSUER}/token"),
            });
            return Completion::value(Bytes::from(metadata.to_string()));
        }
        let post = question.payload::<PostForm>().expect("a document or a form");
        assert_eq!(post.url, format!("{ISSUER}/token"));
        assert!(!format!("{post:?}").contains(SECRET));
        let form = pairs(&post.form);
        self.forms.lock().unwrap().push(form.clone());
        if let Some(answer) = self.says.lock().unwrap().clone() {
            return Completion::value(answer);
        }
        Completion::value(self.exchange(&form))
    }

    /// Exchanges a code, which is valid once, for a client with the verifier.
    fn exchange(&self, form: &BTreeMap<String, String>) -> FormResponse {
        if form["grant_type"] == "refresh_token" {
            return answer(200, &json!({"access_token": "fresh"}));
        }
        let challenge = self.codes.lock().unwrap().remove(&form["code"]);
        let is_good = challenge.is_some_and(|challenge| pkce::challenge(&form["code_verifier"]) == challenge);
        if !is_good
            || form["client_id"] != "web"
            || form.get("client_secret").is_some_and(|own| own != SECRET)
        {
            return answer(400, &json!({"error": "invalid_grant"}));
        }
        let mut tokens = json!({"access_token": TOKEN, "refresh_token": "again", "expires_in": 900});
        if let Some(nonce) = &*self.nonce.lock().unwrap() {
            let claims = URL_SAFE_NO_PAD.encode(json!({"nonce": nonce}).to_string());
            tokens["id_token"] = format!("e30.{claims}.sig").into();
        }
        answer(200, &tokens)
    }
}

/// Returns a server with a login, and its authorization server.
fn serving(login: BrowserLogin) -> (Server, Arc<Provider>) {
    serving_as(login, resource())
}

fn serving_as(login: BrowserLogin, resource: ProtectedResource) -> (Server, Arc<Provider>) {
    let provider = Arc::new(Provider::default());
    let performs = provider.clone();
    let set = |builder| with_tokens(builder).protected_resource(resource).browser_login(login);
    let server = serve(local::service().0, set).performing(move |effect| performs.perform(effect));
    (server, provider)
}

fn browse(path: &str) -> Request<Bytes> {
    ask("GET", path).with("accept", "text/html,application/xhtml+xml")
}

/// A browser that was redirected: the query of the target, and its cookie.
struct Away {
    query: BTreeMap<String, String>,
    cookie: String,
}

fn sent_away(server: &Server, provider: &Provider, path: &str) -> Away {
    let answer = server.send(browse(path));
    assert_eq!(answer.status, 302, "{}", body(&answer));
    let location = answer.header("location").unwrap().to_owned();
    let (place, query) = location.split_once('?').unwrap();
    assert_eq!(place, format!("{ISSUER}/authorize"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let query = pairs(query);
    let challenge = query["code_challenge"].clone();
    provider.codes.lock().unwrap().insert("code 1".into(), challenge);
    *provider.nonce.lock().unwrap() = Some(query["nonce"].clone());
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    Away { query, cookie }
}

fn pair_of(cookie: &str) -> &str {
    cookie.split(';').next().unwrap()
}

impl Away {
    /// Returns the request with which the browser comes back, with additional parameters.
    fn back(&self, more: &[(&str, &str)]) -> Request<Bytes> {
        let mut pairs = vec![("code", "code 1"), ("state", &*self.query["state"])];
        for (name, value) in more {
            pairs.retain(|(known, _)| known != name);
            pairs.push((name, value));
        }
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let query: Vec<String> = pairs
            .iter()
            .filter(|(_, value)| *value != "(none)")
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        browse(&format!("/vgi/_oauth/callback?{}", query.join("&"))).with("cookie", pair_of(&self.cookie))
    }
}

fn cookies(answer: &Answered) -> Vec<&str> {
    answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect()
}

fn body(answer: &Answered) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// Checks that the response is a page that says why a browser is not signed in, and sets no token.
#[track_caller]
fn check_page(answer: &Answered, status: u16, text: &str) {
    assert_eq!(answer.status, status, "{}", body(answer));
    assert!(body(answer).contains(text), "expected {text:?} in {}", body(answer));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("content-security-policy").is_some());
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert!(cookies(answer).iter().all(|cookie| cookie.contains("Max-Age=0")), "{:?}", cookies(answer));
    assert!(!body(answer).contains(SECRET) && !body(answer).contains(TOKEN));
}

#[test]
fn metadata_are_open_and_every_refusal_leads_there() {
    let set = |builder| with_tokens(builder).protected_resource(resource().name("Reports"));
    let server = serve(local::service().0, set);
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/vgi"] {
        let answer = server.send(ask("GET", path));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        let expected = json!({
            "resource": "https://reports.example", "authorization_servers": [ISSUER], "client_id": "web",
            "resource_name": "Reports",
        });
        assert_eq!(document, expected);
        assert_eq!(server.send(ask("POST", path)).status, 405);
        assert_eq!(server.send(ask("OPTIONS", path)).header("allow"), Some("GET, HEAD, OPTIONS"));
    }
    for path in ["/.well-known/oauth-protected-resource/other", "/.well-known/oauth-protected-resourcex"] {
        assert_eq!(server.send(ask("GET", path)).status, 404);
    }
    let refused = server.send(local::local("who"));
    let expected = "Bearer resource_metadata=\"https://reports.example/.well-known/oauth-protected-resource\", \
                    client_id=\"web\"";
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some(expected)));
    assert_eq!(server.send(browse("/vgi/describe")).status, 401, "there is no login");
    let own = serve(local::service().0, |builder| set(builder).challenge("Basic"));
    assert_eq!(own.send(local::local("who")).header("www-authenticate"), Some("Basic"));
    let none = serve(local::service().0, with_tokens);
    assert_eq!(none.send(ask("GET", "/.well-known/oauth-protected-resource")).status, 404);
    assert_eq!(none.send(local::local("who")).header("www-authenticate"), None);
}

#[test]
fn a_browser_signs_in_reads_a_page_and_signs_out() {
    let (server, provider) = serving(login());
    let away = sent_away(&server, &provider, "/vgi/describe?a=b");
    let expected = [
        ("client_id", "web"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("tenant", "1"),
    ];
    for (name, value) in expected {
        assert_eq!(away.query[name], value, "{name}");
    }
    assert!(away.query["state"].len() >= 43 && away.query["nonce"].len() >= 43);
    assert_ne!(away.query["state"], away.query["nonce"]);
    assert!(away.cookie.starts_with("__Host-vgi_login="));
    assert!(
        away.cookie.ends_with("; Path=/; Max-Age=600; SameSite=Lax; Secure; HttpOnly"),
        "{}",
        away.cookie
    );

    let back = server.send(away.back(&[("iss", ISSUER)]));
    assert_eq!((back.status, back.header("location")), (302, Some("/vgi/describe?a=b")), "{}", body(&back));
    assert_eq!(
        cookies(&back),
        [
            "_vgi_auth=a.good~token; Path=/vgi; Max-Age=900; SameSite=Lax; Secure; HttpOnly",
            "__Host-vgi_login=; Path=/; Max-Age=0; SameSite=Lax; Secure; HttpOnly",
        ]
    );
    let form = provider.forms.lock().unwrap().pop().unwrap();
    assert_eq!((&*form["redirect_uri"], &*form["client_secret"]), (CALLBACK, SECRET));
    assert_eq!(form["grant_type"], "authorization_code");

    let signed_in = |request: Request<Bytes>| request.with("cookie", &format!("other=1; _vgi_auth={TOKEN}"));
    assert_eq!(server.send(signed_in(browse("/vgi/describe"))).status, 200);
    assert_eq!(server.send(signed_in(local::local("who"))).text(), "test/ann true");
    let out = server.send(signed_in(browse("/vgi/_oauth/logout")));
    check_page(&out, 200, "You are signed out");
    assert_eq!(cookies(&out).len(), 2);
    assert_eq!(*provider.documents.lock().unwrap(), 1, "its metadata is cached");
}

#[test]
fn programs_are_refused_as_before() {
    let (server, _) = serving(login());
    for request in [
        ask("GET", "/vgi/describe"),
        ask("GET", "/vgi/describe").with("accept", "application/json"),
        local::local("who").with("accept", "text/html"),
    ] {
        let answer = server.send(request);
        assert_eq!((answer.status, answer.header("vgi-auth-reason")), (401, Some("missing_credential")));
        assert!(answer.header("set-cookie").is_none());
    }
}

#[test]
fn a_credential_that_is_refused_is_not_replaced_by_a_cookie() {
    let (server, _) = serving(login());
    let both = local::local("who")
        .with("authorization", "Bearer wrong")
        .with("cookie", &format!("_vgi_auth={TOKEN}"));
    assert_eq!(server.send(both).status, 401);
    let two = local::local("who").with("cookie", &format!("_vgi_auth={TOKEN}; _vgi_auth={TOKEN}"));
    assert_eq!(server.send(two).status, 401, "either of two cookies may be another user's");
    let header = local::local("who")
        .with("authorization", &format!("Bearer {TOKEN}"))
        .with("cookie", "_vgi_auth=wrong");
    assert_eq!(server.send(header).text(), "test/ann true");
}

#[test]
fn a_login_is_finished_by_the_browser_that_began_it() {
    let (server, provider) = serving(login());
    let away = sent_away(&server, &provider, "/vgi");
    let other = sent_away(&server, &provider, "/vgi");
    let state = other.query["state"].clone();
    check_page(&server.send(away.back(&[("state", &state)])), 400, "another login");
    check_page(&server.send(away.back(&[("state", "")])), 400, "another login");
    check_page(&server.send(away.back(&[("state", "(none)")])), 400, "another login");
    let without = away.back(&[]);
    let (mut head, body) = without.into_parts();
    head.headers.remove("cookie");
    check_page(&server.send(Request::from_parts(head, body)), 400, "did not begin to sign in");
    let forged = Away { cookie: "__Host-vgi_login=AAAA".into(), query: away.query.clone() };
    check_page(&server.send(forged.back(&[])), 400, "not from this server");
    check_page(&server.after(Duration::from_secs(601)).send(away.back(&[])), 400, "ten minutes");
    check_page(
        &server.send(away.back(&[("iss", "https://evil.example")])),
        400,
        "another authorization server",
    );
    check_page(&server.send(away.back(&[("code", "(none)")])), 400, "no code");
    check_page(&server.send(away.back(&[("code", "")])), 400, "no code");
    assert!(provider.forms.lock().unwrap().is_empty(), "no code was exchanged");
    // A state that occurs twice in the query is not accepted.
    let twice = browse(&format!("/vgi/_oauth/callback?code=a&state={0}&state={0}", away.query["state"]));
    check_page(&server.send(twice.with("cookie", pair_of(&away.cookie))), 400, "another login");
    let (mut head, body) = away.back(&[]).into_parts();
    let twice = format!("{0}; {0}", pair_of(&away.cookie));
    head.headers.insert("cookie", twice.parse().unwrap());
    check_page(&server.send(Request::from_parts(head, body)), 400, "two cookies");
    for name in ["code", "iss", "error"] {
        let path = away.back(&[("iss", ISSUER)]).uri().to_string();
        let twice = browse(&format!("{path}&{name}=x&{name}=y")).with("cookie", pair_of(&away.cookie));
        check_page(&server.send(twice), 400, "twice");
    }
    // This browser can still finish its login.
    let other_state = server.send(away.back(&[("state", &state)]));
    assert!(cookies(&other_state).is_empty(), "{:?}", cookies(&other_state));
}

#[test]
fn what_the_authorization_server_refuses_ends_the_login() {
    let (server, provider) = serving(login());
    let away = sent_away(&server, &provider, "/vgi");
    let denied = [("error", "access_denied"), ("error_description", "<b>no</b>")];
    let page = server.send(away.back(&denied));
    check_page(&page, 400, "&lt;b&gt;no&lt;/b&gt;");
    assert_eq!(cookies(&page), ["__Host-vgi_login=; Path=/; Max-Age=0; SameSite=Lax; Secure; HttpOnly"]);
    assert_eq!(server.send(away.back(&[])).status, 302);
    // A code is valid once.
    check_page(&server.send(away.back(&[])), 502, "status 400");
    let (server, provider) = serving(login().scopes(["read"]));
    let away = sent_away(&server, &provider, "/vgi");
    let says = |answer: FormResponse| *provider.says.lock().unwrap() = Some(answer);
    for (body, text) in [
        (json!({}), "no token"),
        (json!({"access_token": ""}), "no token"),
        (json!([]), "other than tokens"),
        (json!({"access_token": 7}), "other than tokens"),
        (json!({"access_token": "a\nb"}), "an invalid token"),
    ] {
        says(answer(200, &body));
        check_page(&server.send(away.back(&[])), 502, text);
    }
    says(answer(302, &json!({"access_token": TOKEN})));
    check_page(&server.send(away.back(&[])), 502, "status 302");
    // Otherwise the browser would be redirected again and again.
    says(answer(200, &json!({"access_token": "of-another-audience"})));
    check_page(&server.send(away.back(&[])), 403, "invalid_credential");
}

#[test]
fn an_id_token_is_of_its_own_login() {
    let (server, provider) = serving(login());
    let away = sent_away(&server, &provider, "/vgi");
    *provider.nonce.lock().unwrap() = Some("another".into());
    check_page(&server.send(away.back(&[])), 502, "another login");
    let away = sent_away(&server, &provider, "/vgi");
    *provider.nonce.lock().unwrap() = None;
    check_page(&server.send(away.back(&[])), 502, "no id token");
    for claims in ["e30", "bm9uZQ", ""] {
        let tokens = json!({"access_token": TOKEN, "id_token": format!("e30.{claims}.sig")});
        *provider.says.lock().unwrap() = Some(answer(200, &tokens));
        check_page(&server.send(away.back(&[])), 502, "another login");
    }
    *provider.says.lock().unwrap() = None;
    let away = sent_away(&server, &provider, "/vgi");
    assert_eq!(server.send(away.back(&[])).status, 302);
    // Without the scope `openid` there may be no ID token.
    let (server, provider) = serving(login().scopes(["read"]));
    let away = sent_away(&server, &provider, "/vgi");
    *provider.nonce.lock().unwrap() = None;
    assert_eq!((&*away.query["scope"], server.send(away.back(&[])).status), ("read", 302));
}

#[test]
fn an_authorization_server_that_is_down_is_asked_again() {
    let (server, provider) = serving(login());
    *provider.is_down.lock().unwrap() = true;
    for asked in 1..=2 {
        let answer = server.send(browse("/vgi/describe"));
        assert_eq!((answer.status, *provider.documents.lock().unwrap()), (401, asked));
        assert!(answer.header("set-cookie").is_none());
    }
    *provider.is_down.lock().unwrap() = false;
    let away = sent_away(&server, &provider, "/vgi/describe");
    *provider.is_down.lock().unwrap() = true;
    check_page(&server.send(away.back(&[])), 502, "could not be reached");
    // Its metadata is used for a day, and requested again before that ends.
    let later = server.after(Duration::from_secs(86_399));
    assert_eq!(later.send(browse("/vgi/describe")).status, 302);
    assert_eq!(server.after(Duration::from_secs(86_400)).send(browse("/vgi/describe")).status, 401);
}

#[test]
fn a_browser_is_sent_nowhere_else() {
    let (server, provider) = serving(login());
    for (asked, target) in [
        ("/vgi/describe?x=//evil.example", "/vgi/describe?x=//evil.example"),
        ("//evil.example/vgi", "/vgi"),
        ("/vgi//evil.example", "/vgi"),
        ("/vgi/..//evil.example", "/vgi"),
        ("/vgi/%2f%2fevil.example", "/vgi"),
        ("/vgi/%5cevil.example", "/vgi"),
        ("/vgix/describe", "/vgi"),
        ("/vgi?_vgi_return_to=https://evil.example/", "/vgi?_vgi_return_to=https://evil.example/"),
    ] {
        let away = sent_away(&server, &provider, asked);
        assert_eq!(server.send(away.back(&[])).header("location"), Some(target), "{asked}");
    }
}

const PAGE: &str = "https://app.example/page";

#[test]
fn known_pages_are_sent_the_token() {
    let (server, provider) = serving(login().return_page(PAGE));
    let asked = "/vgi?_vgi_return_to=https%3A%2F%2Fapp.example%2Fpage%3Fx%3D1";
    let away = sent_away(&server, &provider, asked);
    assert!(!away.query.contains_key("prompt"));
    let back = server.send(away.back(&[]));
    let expected = "https://app.example/page?x=1#token=a.good%7Etoken&client_id=web&\
                    token_endpoint=https%3A%2F%2Freports.example%2Fvgi%2F_oauth%2Ftoken";
    assert_eq!((back.status, back.header("location")), (302, Some(expected)));
    assert!(!format!("{:?}", back.headers).contains("good"), "the token does not appear in logged headers");
    assert_eq!(cookies(&back), ["__Host-vgi_login=; Path=/; Max-Age=0; SameSite=Lax; Secure; HttpOnly"]);
    // A signed-in browser signs in again, possibly without interaction at the authorization server: no cookie is passed on.
    let signed_in = browse(asked).with("cookie", &format!("_vgi_auth={TOKEN}"));
    assert!(server.send(signed_in).header("location").unwrap().starts_with(ISSUER));
    // A program gets the page that it requests.
    let program = ask("GET", asked).with("authorization", &format!("Bearer {TOKEN}"));
    assert_eq!(server.send(program).status, 200);
    for other in
        ["https://evil.example/", "https://app.example/go?https://evil.example", "https://app.example/"]
    {
        let request =
            browse(&format!("/vgi?_vgi_return_to={other}")).with("cookie", &format!("_vgi_auth={TOKEN}"));
        assert_eq!(server.send(request).status, 200, "{other}");
    }

    let (server, provider) = serving(login().return_page(PAGE).refresh_tokens_for_pages());
    let away = sent_away(&server, &provider, "/vgi");
    assert!(!away.query.contains_key("prompt"), "the server's own login needs no refresh token");
    let away = sent_away(&server, &provider, asked);
    assert_eq!((&*away.query["prompt"], &*away.query["access_type"]), ("consent", "offline"));
    let back = server.send(away.back(&[]));
    assert!(back.header("location").unwrap().ends_with("&refresh_token=again"));
    let document = server.send(ask("GET", "/.well-known/oauth-protected-resource"));
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    assert_eq!(document["token_endpoint"], "https://reports.example/vgi/_oauth/token");
    assert!(!document.to_string().contains(SECRET));
}

fn exchange(form: &str) -> Request<Bytes> {
    let request = Request::post("/vgi/_oauth/token").header("origin", "https://app.example");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(Bytes::copy_from_slice(form.as_bytes())).unwrap()
}

#[test]
fn codes_are_exchanged_for_known_pages() {
    let login = || login().return_page(PAGE).return_page("https://other.example/");
    let (server, provider) = serving(login().refresh_tokens_for_pages());
    let error = |answer: &Answered| {
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.status, body["error"].as_str().unwrap_or_default().to_owned())
    };
    let granted = |answer: &Answered| answer.header("access-control-allow-origin").map(str::to_owned);
    for (form, expected) in [
        ("", (400, "unsupported_grant_type")),
        ("grant_type=client_credentials", (400, "unsupported_grant_type")),
        ("grant_type=password&username=a", (400, "unsupported_grant_type")),
        ("grant_type=refresh_token&grant_type=password", (400, "invalid_request")),
        ("grant_type=authorization_code&code=a&code_verifier=b", (400, "invalid_request")),
        (
            "grant_type=authorization_code&code=a&redirect_uri=https://app.example/page",
            (400, "invalid_request"),
        ),
        (
            "grant_type=authorization_code&code=a&code_verifier=b&redirect_uri=https://reports.example/vgi/_oauth/callback",
            (400, "invalid_request"),
        ),
        (
            "grant_type=authorization_code&code=a&code_verifier=b&redirect_uri=https://app.example/other",
            (400, "invalid_request"),
        ),
        // The page of another origin, which is also known.
        (
            "grant_type=authorization_code&code=a&code_verifier=b&redirect_uri=https://other.example/",
            (400, "invalid_request"),
        ),
        ("grant_type=refresh_token&client_id=other", (400, "invalid_client")),
    ] {
        let answer = server.send(exchange(form));
        assert_eq!(error(&answer), (expected.0, expected.1.to_owned()), "{form}");
        assert_eq!(granted(&answer).as_deref(), Some("https://app.example"));
    }
    let long = server.send(exchange(&format!("grant_type=refresh_token&scope={}", "a".repeat(20_000))));
    assert_eq!(long.status, 413);
    let json = exchange("{}").having("content-type", "application/json");
    assert_eq!(error(&server.send(json)), (415, "invalid_request".into()));
    let stranger = server.send(exchange("grant_type=refresh_token").having("origin", "https://evil.example"));
    assert_eq!((stranger.status, granted(&stranger)), (403, None));
    assert!(stranger.header("vary").is_some_and(|vary| vary.contains("origin")), "{stranger:?}");
    assert!(provider.forms.lock().unwrap().is_empty(), "nothing was forwarded");

    // A program sends no origin.
    let mut program = exchange("grant_type=password");
    program.headers_mut().remove("origin");
    let program = server.send(program);
    assert_eq!((error(&program).1.as_str(), granted(&program)), ("unsupported_grant_type", None));

    let fresh =
        server.send(exchange("grant_type=refresh_token&refresh_token=again&client_secret=mine&extra=1"));
    assert_eq!((fresh.status, &*body(&fresh)), (200, r#"{"access_token":"fresh"}"#));
    assert_eq!(
        (fresh.header("cache-control"), granted(&fresh).as_deref()),
        (Some("no-store"), Some("https://app.example"))
    );
    let form = provider.forms.lock().unwrap().pop().unwrap();
    let names: Vec<&str> = form.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_id", "client_secret", "grant_type", "refresh_token"]);
    assert_eq!(form["client_secret"], SECRET);

    let refused = server.send(exchange(
        "grant_type=authorization_code&code=none&code_verifier=a&redirect_uri=https://app.example/page",
    ));
    assert_eq!(error(&refused), (400, "invalid_grant".into()), "the answer of the authorization server");
    for status in [302, 401] {
        *provider.says.lock().unwrap() = Some(answer(status, &json!({})));
        assert_eq!(error(&server.send(exchange("grant_type=refresh_token"))), (502, "server_error".into()));
    }
    // A program, which sends no origin, may redeem only codes for its own machine.
    let of_program = |redirect: &str| {
        let (mut head, body) = exchange(&format!(
            "grant_type=authorization_code&code=1&code_verifier=a&redirect_uri={redirect}"
        ))
        .into_parts();
        head.headers.remove("origin");
        error(&server.send(Request::from_parts(head, body)))
    };
    *provider.says.lock().unwrap() = None;
    for redirect in [PAGE, CALLBACK, "https://evil.example/", "http://evil.example/", ""] {
        assert_eq!(of_program(redirect), (400, "invalid_request".into()), "{redirect}");
    }
    assert_eq!(of_program("http://127.0.0.1:4711/back"), (400, "invalid_grant".into()), "it was forwarded");
    // Without the setting, pages neither get refresh tokens nor may use them.
    let (short, provider_of_short) = serving(login());
    assert_eq!(
        error(&short.send(exchange("grant_type=refresh_token"))),
        (400, "unsupported_grant_type".into())
    );
    *provider_of_short.says.lock().unwrap() =
        Some(answer(200, &json!({"access_token": "a", "refresh_token": "b"})));
    let code = "grant_type=authorization_code&code=1&code_verifier=a&redirect_uri=https://app.example/page";
    assert_eq!(body(&short.send(exchange(code))), r#"{"access_token":"a"}"#);
    *provider.is_down.lock().unwrap() = true;
    assert_eq!(error(&server.send(exchange("grant_type=refresh_token"))), (502, "server_error".into()));

    let preflight = ask("OPTIONS", "/vgi/_oauth/token").with("access-control-request-method", "POST");
    let allowed = server.send(preflight.with("origin", "https://app.example"));
    assert_eq!(granted(&allowed).as_deref(), Some("https://app.example"));
    assert_eq!(allowed.header("access-control-allow-methods"), Some("POST, OPTIONS"));
    assert_eq!(allowed.header("access-control-allow-headers"), Some("content-type"));
    let preflight = ask("OPTIONS", "/vgi/_oauth/token").with("access-control-request-method", "POST");
    let stranger = server.send(preflight.with("origin", "https://evil.example"));
    assert_eq!((granted(&stranger), stranger.header("access-control-allow-methods")), (None, None));
    // Without return pages there is no exchange, and the path is treated like any other.
    assert_eq!(serving(BrowserLogin::new()).0.send(exchange("grant_type=refresh_token")).status, 401);
}

#[test]
fn a_server_on_this_machine_keeps_the_codes_of_its_own_login() {
    let here = ProtectedResource::new("http://localhost:8080", [ISSUER]).unwrap().client_id("web").unwrap();
    let (server, provider) = serving_as(login().return_page(PAGE), here);
    let own = "http://localhost:8080/vgi/_oauth/callback";
    let form = format!("grant_type=authorization_code&code=1&code_verifier=a&redirect_uri={own}");
    let (mut head, body) = exchange(&form).into_parts();
    head.headers.remove("origin");
    assert_eq!(server.send(Request::from_parts(head, body)).status, 400);
    assert!(provider.forms.lock().unwrap().is_empty());
}

#[test]
fn cookies_are_as_the_settings_say() {
    let plain = ProtectedResource::new("http://localhost:8080", [ISSUER]).unwrap().client_id("web").unwrap();
    let (server, provider) = serving_as(BrowserLogin::new().cookie_for_scripts(), plain);
    let away = sent_away(&server, &provider, "/vgi");
    assert!(!away.cookie.contains("Secure") && away.cookie.contains("HttpOnly"));
    let back = server.send(away.back(&[]));
    assert_eq!(cookies(&back)[0], "_vgi_auth=a.good~token; Path=/vgi; Max-Age=900; SameSite=Lax");
    assert!(!provider.forms.lock().unwrap()[0].contains_key("client_secret"), "a public client");
}

#[test]
fn a_token_that_fits_in_no_cookie_is_an_error() {
    let long = "x".repeat(5000);
    let provider = Arc::new(Provider::default());
    let performs = provider.clone();
    let known = bearer_static([(long.clone(), AuthContext::new("test", "ann"))]);
    let set = |builder: EndpointBuilder| {
        builder.authenticate(known).protected_resource(resource()).browser_login(login().scopes(["read"]))
    };
    let server = serve(local::service().0, set).performing(move |effect| performs.perform(effect));
    let away = sent_away(&server, &provider, "/vgi");
    *provider.says.lock().unwrap() = Some(answer(200, &json!({"access_token": long})));
    // Browsers would silently drop the cookie.
    check_page(&server.send(away.back(&[])), 502, "too long for a cookie");
}

#[test]
fn a_login_that_cannot_be_set_up_is_refused() {
    let service: Arc<Service> = Arc::new(local::service().0);
    let build = |set: &dyn Fn(EndpointBuilder) -> EndpointBuilder| {
        let builder = Endpoint::builder(service.clone(), |memory: &mut [u8]| memory.fill(7));
        match set(builder).build() {
            Err(EndpointError::Login(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let bare = || ProtectedResource::new("https://reports.example", [ISSUER]).unwrap();
    assert_eq!(build(&|builder| with_tokens(builder).browser_login(login())), BrowserLoginError::NoResource);
    let no_client =
        |builder: EndpointBuilder| with_tokens(builder).protected_resource(bare()).browser_login(login());
    assert_eq!(build(&no_client), BrowserLoginError::NoClientId);
    let open = |builder: EndpointBuilder| builder.protected_resource(resource()).browser_login(login());
    assert_eq!(build(&open), BrowserLoginError::NoAuthenticator);
    let other = ProtectedResource::new("https://reports.example", ["login"]).unwrap().client_id("a").unwrap();
    let named = |builder: EndpointBuilder| {
        with_tokens(builder).protected_resource(other.clone()).browser_login(login())
    };
    assert_eq!(build(&named), BrowserLoginError::Issuer("login".into()));
    for origin in [
        "app.example",
        "http://app.example/",
        "https://a@app.example/",
        "https://app.example/#a",
        "null",
        "*",
    ] {
        let paged = |builder: EndpointBuilder| {
            with_tokens(builder).protected_resource(resource()).browser_login(login().return_page(origin))
        };
        assert_eq!(build(&paged), BrowserLoginError::Page(origin.into()));
    }
    assert!(!format!("{:?}", login()).contains(SECRET));
    let open = ProtectedResource::new("http://reports.example", [ISSUER]).unwrap().client_id("a").unwrap();
    let in_the_clear = |builder: EndpointBuilder| {
        with_tokens(builder).protected_resource(open.clone()).browser_login(login())
    };
    assert_eq!(build(&in_the_clear), BrowserLoginError::InTheClear("http://reports.example".into()));
    let plain = ProtectedResource::new("https://reports.example", ["http://login.example"]).unwrap();
    let plain = plain.client_id("a").unwrap();
    let in_the_clear = |builder: EndpointBuilder| {
        with_tokens(builder).protected_resource(plain.clone()).browser_login(login())
    };
    assert_eq!(build(&in_the_clear), BrowserLoginError::InTheClear("http://login.example".into()));
    let elsewhere = ProtectedResource::new("https://reports.example/other", [ISSUER]).unwrap();
    let builder = Endpoint::builder(service.clone(), |memory: &mut [u8]| memory.fill(7)).prefix("/vgi");
    assert!(matches!(
        builder.protected_resource(elsewhere).build(),
        Err(EndpointError::Resource { prefix, .. }) if prefix == "/vgi"
    ));
}

#[test]
fn a_browser_is_not_sent_round_in_circles() {
    let (server, _) = serving(login());
    for request in [
        // A client that adds this header would add it again and override the cookie.
        browse("/vgi/describe").with("authorization", "Basic YTpi"),
        browse("/vgi/describe").with("authorization", ""),
        browse("/vgi/describe").with("cookie", "_vgi_auth=a; _vgi_auth=b"),
        browse("/vgi/describe").with("sec-fetch-mode", "no-cors"),
    ] {
        let answer = server.send(request);
        assert_eq!((answer.status, answer.header("location")), (401, None));
    }
    assert_eq!(server.send(browse("/vgi/describe").with("sec-fetch-mode", "navigate")).status, 302);
    assert_eq!(server.send(ask("GET", "/vgi").with("accept", "TEXT/HTML")).status, 302);
}

#[test]
fn what_must_hold_of_every_request_holds_of_a_login() {
    use vgi_rpc_protocol::http::auth::require_all;
    use vgi_rpc_protocol::http::proof::{Gate, GateConfig, Secrets};
    let secrets = Secrets::parse(&format!("edge:{}", "11".repeat(32))).unwrap();
    let gate = Gate::new(GateConfig::new("here", secrets)).unwrap();
    let tokens = bearer_static([(TOKEN, AuthContext::new("test", "ann"))]);
    let set = |builder: EndpointBuilder| {
        let behind = require_all(gate, Some(Box::new(tokens)));
        builder.authenticate(behind).protected_resource(resource()).browser_login(login().return_page(PAGE))
    };
    let server = serve(local::service().0, set);
    let form = "grant_type=authorization_code&code=1&code_verifier=a&redirect_uri=https://app.example/page";
    for request in [browse("/vgi"), browse("/vgi/_oauth/callback?code=a&state=b"), exchange(form)] {
        let answer = server.send(request);
        assert_eq!((answer.status, answer.header("location")), (401, None));
        assert_eq!(answer.header("vgi-auth-reason"), Some("proxy_required"));
    }
}

#[test]
fn the_operator_learns_what_the_browser_does_not() {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let (kept, provider) = (reports.clone(), Arc::new(Provider::default()));
    let performs = provider.clone();
    let set = move |builder: EndpointBuilder| {
        with_tokens(builder)
            .protected_resource(resource())
            .browser_login(login().scopes(["read"]).return_page(PAGE))
            .on_auth_failure(move |error| kept.lock().unwrap().push(error.to_string()))
    };
    let server = serve(local::service().0, set).performing(move |effect| performs.perform(effect));
    let reported = || std::mem::take(&mut *reports.lock().unwrap());
    let away = sent_away(&server, &provider, "/vgi");
    assert!(reported().is_empty(), "a browser that comes for the first time");
    *provider.says.lock().unwrap() = Some(answer(401, &json!({"error": "invalid_client"})));
    check_page(&server.send(away.back(&[])), 502, "status 401");
    assert!(reported().concat().contains("status 401 invalid_client"));
    *provider.is_down.lock().unwrap() = true;
    check_page(&server.send(away.back(&[])), 502, "could not be reached");
    assert!(reported().concat().contains("down"));
    *provider.is_down.lock().unwrap() = false;
    *provider.says.lock().unwrap() = Some(answer(200, &json!({"access_token": "of-another-audience"})));
    check_page(&server.send(away.back(&[])), 403, "invalid_credential");
    assert_eq!(reported().len(), 1);
    *provider.says.lock().unwrap() = Some(answer(302, &json!({})));
    let form = "grant_type=authorization_code&code=1&code_verifier=a&redirect_uri=https://app.example/page";
    assert_eq!(server.send(exchange(form)).status, 502);
    assert!(reported().concat().contains("status 302"));
    // A refused token is still reported if the request is for a page.
    let guess = browse("/vgi").with("cookie", "_vgi_auth=guess");
    assert_eq!(server.send(guess).status, 302);
    assert_eq!(reported().len(), 1);
}

#[test]
fn at_the_root_of_an_origin_no_other_host_can_set_the_cookies() {
    let provider = Arc::new(Provider::default());
    let performs = provider.clone();
    let set = |builder: EndpointBuilder| {
        with_tokens(builder).prefix("").protected_resource(resource()).browser_login(login())
    };
    let server = serve(local::service().0, set).performing(move |effect| performs.perform(effect));
    let away = sent_away(&server, &provider, "/describe");
    assert!(away.cookie.starts_with("__Host-vgi_login="), "{}", away.cookie);
    let path = away.back(&[]).uri().to_string().replace("/vgi/", "/");
    let back = server.send(browse(&path).with("cookie", pair_of(&away.cookie)));
    assert_eq!(back.header("location"), Some("/describe"));
    let kept = cookies(&back)[0].to_owned();
    assert_eq!(kept, format!("__Host-vgi_auth={TOKEN}; Path=/; Max-Age=900; SameSite=Lax; Secure; HttpOnly"));
    assert_eq!(server.send(browse("/describe").with("cookie", pair_of(&kept))).status, 200);
    assert_eq!(server.send(browse("/describe").with("cookie", &format!("_vgi_auth={TOKEN}"))).status, 302);
}
