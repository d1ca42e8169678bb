//! A real browser signs in at the test's own authorization server, reads a page, and signs out.
//!
//! Needs `chromedriver` and a Chromium: `cargo test -p vgi-rpc-documents --test browser -- --ignored`. Saves screenshots
//! of all pages, wide and narrow, in `target/tmp/screenshots`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod provider;
mod webdriver;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use provider::Provider;
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_documents::DocumentLoader;
use vgi_rpc_effects::Performer;
use vgi_rpc_external::{FetcherOptions, HttpFetcher};
use vgi_rpc_http::{Handle, HttpServer, system_entropy};
use vgi_rpc_protocol::external::UrlPolicy;
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::http::auth::{JwtIssuer, jwt};
use vgi_rpc_protocol::http::oauth::{BrowserLogin, ProtectedResource};
use vgi_rpc_protocol::http::pkce::{LoginState, new_state_cookie};
use vgi_rpc_protocol::http::token::{KeyRing, TokenKey};
use vgi_rpc_protocol::service::{Exchange, Method, Protocol, Service, Stream, Turn};
use vgi_rpc_protocol::wire::error::RpcError;
use webdriver::Browser;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn keys() -> KeyRing {
    KeyRing::new(TokenKey::new([7; 32]), [])
}

/// Returns its argument. It is never called.
#[derive(serde::Serialize, serde::Deserialize)]
struct Copied {}

impl Exchange for Copied {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        turn.emit_with(input.clone(), turn.input_metadata().clone())
    }
}

fn service() -> Service {
    let schema = |fields: Vec<Field>| Arc::new(Schema::new(fields));
    let greet = Method::new("greet")
        .param("name", DataType::Utf8)
        .optional("title", DataType::Utf8)
        .returns(DataType::Utf8)
        .doc("Says hello to somebody.")
        .unary(|args, _| Ok(format!("Hello, {}!", args.get::<&str>("name")?)));
    let scale = Method::new("scale")
        .param_with_default("factor", Arc::new(arrow_array::Float64Array::from(vec![2.0])))
        .input(schema(vec![Field::new("value", DataType::Float64, false)]))
        .output(schema(vec![
            Field::new("value", DataType::Float64, false),
            Field::new(
                "a_column_with_a_name_that_is_too_long_for_a_narrow_window_by_far",
                DataType::Utf8,
                true,
            ),
        ]))
        .doc("Multiplies each value.\nWhat is null stays null.")
        .deprecated("Use `scale_by`.")
        .exchange(|_, _| Ok(Stream::new(Copied {})));
    let protocol = Protocol::new("demo.Reports.v1").version("1.2.0").method(greet).method(scale);
    Service::builder("browser00000").protocol(protocol).build().unwrap()
}

/// A server that signs browsers in.
struct Running {
    address: SocketAddr,
    handle: Handle,
}

impl Running {
    fn new(provider: &Provider) -> Self {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let issuer = provider.issuer();
        let resource = ProtectedResource::new(&url, [&issuer]).unwrap().client_id("web").unwrap();
        let resource = resource.id_token_as_bearer();
        let endpoint = Endpoint::builder(Arc::new(service()), system_entropy)
            .token_keys(keys())
            .authenticate(jwt([JwtIssuer::new(&issuer, ["web"])]).unwrap())
            .protected_resource(resource)
            .browser_login(BrowserLogin::new().client_secret(provider::SECRET))
            .build()
            .unwrap();
        let fetcher = HttpFetcher::new(FetcherOptions::default()).unwrap();
        let loader = DocumentLoader::with(fetcher, UrlPolicy::https_or_http_loopback());
        let server = HttpServer::new(endpoint).effects(Performer::new(loader));
        let bound = server.bind_tcp(&format!("127.0.0.1:{port}")).unwrap();
        let (address, handle) = (SocketAddr::from(([127, 0, 0, 1], port)), bound.handle());
        thread::spawn(move || bound.run().unwrap());
        Self { address, handle }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.drain(Duration::ZERO);
    }
}

#[test]
#[ignore = "needs chromedriver: tests/run runs it if installed"]
fn a_person_signs_in_reads_a_page_and_signs_out() {
    let provider = Provider::start();
    let server = Running::new(&provider);
    let browser = Browser::start();
    let describe = server.url("/describe");

    // The first visit leads to the authorization server.
    browser.go(&describe);
    assert!(browser.url().starts_with(&format!("{}/authorize?", provider.issuer())), "{}", browser.url());
    assert_eq!(browser.text("h1"), "Who are you?");
    browser.click("#allow");
    assert_eq!((browser.url(), browser.text("h1")), (describe.clone(), "Hosted protocols".into()));
    browser.screenshots("describe");
    browser.click("details summary");
    assert!(browser.text("details pre").contains("vgi_rpc_connect::connect"));
    browser.screenshots("describe-call");
    let is_wider = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    browser.resize(400, 900);
    assert_eq!(browser.run(is_wider), json!(false), "a narrow page scrolls only vertically");
    browser.resize(1280, 900);

    // No script can read the token, and the login's state is deleted.
    assert_eq!(browser.run("return document.cookie"), json!(""));
    let cookies = browser.cookies();
    let names: Vec<_> = cookies.iter().map(|cookie| cookie["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["_vgi_auth"]);
    assert_eq!((&cookies[0]["httpOnly"], &cookies[0]["sameSite"]), (&json!(true), &json!("Lax")));
    browser.go(&server.url("/"));
    assert_eq!(browser.text("h1"), "vgi-rpc server");
    browser.screenshots("landing");

    // The callback URL can be used once.
    let callback = provider.last_redirect();
    browser.go(&callback);
    assert!(browser.text("p").contains("did not begin to sign in here"), "{}", browser.text("p"));
    assert_eq!(browser.text("h1"), "You are not signed in");
    browser.screenshots("login-error");

    browser.go(&server.url("/_oauth/logout"));
    assert_eq!(browser.text("h1"), "You are signed out");
    browser.screenshots("signed-out");
    assert!(browser.cookies().is_empty());
    browser.go(&describe);
    assert_eq!(browser.text("h1"), "Who are you?", "signing in begins again");

    // Denied consent, and a state other than the browser's.
    browser.click("#deny");
    assert!(browser.text("p").contains("she said no"), "{}", browser.text("p"));
    browser.go(&describe);
    browser.click("#other-state");
    assert!(browser.text("p").contains("another login"), "{}", browser.text("p"));

    // A login that took too long.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let state = LoginState {
        created_at: now - 601,
        verifier: "v".into(),
        state: "late".into(),
        nonce: "n".into(),
        target: "/".into(),
        return_to: String::new(),
    };
    browser.add_cookie("_vgi_login", &new_state_cookie(&keys(), &state, [1; 24]).unwrap());
    browser.go(&server.url("/_oauth/callback?code=1&state=late"));
    assert!(browser.text("p").contains("ten minutes"), "{}", browser.text("p"));

    // Without its authorization server the login fails, and the refusal remains a refusal.
    let gone = Provider::gone();
    let server = Running::new(&gone);
    browser.go(&server.url("/describe"));
    assert_eq!(browser.text("h1"), "This service needs to know who you are");
    browser.screenshots("unauthorized");
    browser.go(&server.url("/nothing"));
}
