//! Complete logins: with a resource and an authorization server that follow their specifications, and with false data from
//! either of them or from an attacker.

use super::*;
use crate::http::auth::Reason;
use crate::http::documents::{FormResponse, PostForm};
use crate::location::Location;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const CALLED: &str = "https://reports.example/vgi";
const ISSUER: &str = "https://login.example";
const NOW: Duration = Duration::from_secs(1_800_000_000);

fn after(seconds: u64) -> Duration {
    NOW + Duration::from_secs(seconds)
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn answer(status: u16, body: &Value) -> FormResponse {
    FormResponse { status, content_type: None, body: Bytes::from(body.to_string()) }
}

fn id_token(claims: &Value) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn resource() -> Value {
    json!({"resource": CALLED, "authorization_servers": [ISSUER], "scopes_supported": ["openid", "email"],
        "client_id": "cli", "client_secret": "published-1", "device_code_client_id": "tv",
        "device_code_client_secret": "published-2"})
}

fn server() -> Value {
    json!({"issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/authorize?tenant=1"),
        "token_endpoint": format!("{ISSUER}/token"), "device_authorization_endpoint": format!("{ISSUER}/device"),
        "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": true})
}

fn challenge() -> String {
    "Bearer resource_metadata=\"https://reports.example/.well-known/oauth-protected-resource/vgi\", client_id=\"cli\"".into()
}

fn discover(challenge: &str, resource: &Value, server: &Value) -> Result<Discovered, LoginError> {
    let challenge = Challenge::parse(challenge)?.unwrap_or_default();
    let mut discovery = Discovery::from_challenge(Location::parse(CALLED).unwrap(), challenge, None)?;
    loop {
        let url = discovery.poll_document().expect("it has not ended").url;
        let document = if url.starts_with(ISSUER) { server } else { resource };
        if let Some(found) = discovery.receive(Ok(document.to_string().as_bytes()))? {
            return Ok(found);
        }
    }
}

fn parameters(flow: Flow) -> LoginParameters {
    LoginParameters::new(
        &discover(&challenge(), &resource(), &server()).unwrap(),
        &LoginSettings::default(),
        flow,
    )
    .unwrap()
}

/// All input of a login with a browser. A test changes it in one place.
struct World {
    challenge: String,
    resource: Value,
    server: Value,
    redirect: BTreeMap<&'static str, String>,
    path: &'static str,
    claims: Value,
    tokens: Value,
    status: u16,
    settings: LoginSettings,
}

impl World {
    /// Creates valid input.
    fn new() -> Self {
        let redirect = [("code", "one-code"), ("iss", ISSUER)];
        Self {
            challenge: challenge(),
            resource: resource(),
            server: server(),
            redirect: redirect.map(|(name, value)| (name, value.to_owned())).into(),
            path: "/callback",
            claims: json!({"iss": ISSUER, "aud": "cli", "exp": after(60).as_secs()}),
            tokens: json!({"access_token": "access-1", "token_type": "Bearer", "expires_in": 60,
                "refresh_token": "refresh-1"}),
            status: 200,
            settings: LoginSettings::default(),
        }
    }

    /// Runs a login, from the 401 to the tokens.
    fn log_in(mut self) -> Result<(Tokens, Vec<PostForm>), LoginError> {
        let found = discover(&self.challenge, &self.resource, &self.server)?;
        let parameters = LoginParameters::new(&found, &self.settings, Flow::Code)?;
        let mut flow = CodeFlow::new(parameters, 4000, [[1; 32], [2; 32], [3; 32]])?;
        let asked = pairs(flow.authorization_url().split_once('?').unwrap().1);
        self.redirect.entry("state").or_insert_with(|| asked["state"].clone());
        if self.claims.get("nonce").is_none() {
            self.claims["nonce"] = asked["nonce"].clone().into();
        }
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.redirect).finish();
        flow.receive_redirect(&format!("{}?{query}", self.path));
        let mut forms = Vec::new();
        loop {
            match flow.poll()? {
                // Nothing was accepted, and a real login would keep waiting.
                CodeStep::WaitForRedirect => return Err(LoginError::Expired),
                CodeStep::Send(form) => {
                    forms.push(form);
                    self.tokens["id_token"] = id_token(&self.claims).into();
                    flow.receive(Ok(answer(self.status, &self.tokens)), NOW);
                }
                CodeStep::Done(tokens) => return Ok((tokens, forms)),
            }
        }
    }
}

#[test]
fn a_login_with_a_browser() {
    let parameters = parameters(Flow::Code);
    let mut flow = CodeFlow::new(parameters, 4000, [[1; 32], [2; 32], [3; 32]]).unwrap();
    let url = Location::parse(flow.authorization_url()).unwrap();
    assert!(url.as_str().starts_with("https://login.example/authorize?tenant=1&response_type=code&"));
    let asked = pairs(url.url().query().unwrap());
    assert_eq!((asked["client_id"].as_str(), asked["scope"].as_str()), ("cli", "openid email"));
    assert_eq!(asked["redirect_uri"], "http://127.0.0.1:4000/callback");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert!(asked["state"] != asked["nonce"] && asked["state"].len() == 43);

    // Requests of any other process on this machine change nothing.
    for (target, status) in [
        ("/", 404),
        ("/favicon.ico", 404),
        ("/callback/more?code=a", 404),
        ("/callback", 400),
        ("/callback?code=a", 400),
        ("/callback?code=a&state=", 400),
        ("/callback?code=a&state=other", 400),
        ("/callback?error=access_denied", 400),
        ("/callback?state=a&state=b&code=c", 400),
        ("/callback?\u{e9}", 400),
        (&format!("/callback?{}", "a".repeat(10_000)), 400),
    ] {
        assert_eq!(flow.receive_redirect(target).status, status, "{target:.60}");
        assert!(matches!(flow.poll(), Ok(CodeStep::WaitForRedirect)), "{target:.60}");
    }

    // Nor does a request of the browser with too many parameters.
    let honest = format!("iss={ISSUER}&state={}", asked["state"]);
    for more in
        ["code=a&code=b".to_owned(), "code=\u{e9}".into(), format!("code=a&more={}", "a".repeat(8192))]
    {
        assert_eq!(flow.receive_redirect(&format!("/callback?{honest}&{more}")).status, 400, "{more:.20}");
        assert!(matches!(flow.poll(), Ok(CodeStep::WaitForRedirect)), "{more:.20}");
    }
    let redirect = format!("/callback?code=a%20b&{honest}");
    let reply = flow.receive_redirect(&redirect);
    assert!(reply.status == 200 && !reply.page.contains("a b"));
    let Ok(CodeStep::Send(form)) = flow.poll() else { panic!("the code is exchanged") };
    assert_eq!(flow.receive_redirect(&redirect).status, 410, "a code serves once");
    assert_eq!(form.url, "https://login.example/token");
    let sent = pairs(&form.form);
    assert_eq!(crate::http::pkce::challenge(&sent["code_verifier"]), asked["code_challenge"]);
    assert_eq!(
        (sent["code"].as_str(), sent["redirect_uri"].as_str()),
        ("a b", asked["redirect_uri"].as_str())
    );
    assert_eq!((sent["grant_type"].as_str(), sent.get("client_secret")), ("authorization_code", None));
    let tokens = json!({"access_token": "access-1", "token_type": "Bearer"});
    flow.receive(Ok(answer(200, &tokens)), NOW);
    let Ok(CodeStep::Done(tokens)) = flow.poll() else { panic!("it is done") };
    assert_eq!((tokens.bearer(), tokens.expires_at()), ("access-1", None));
    assert!(flow.poll().is_err(), "it has ended");
    assert!(!format!("{flow:?} {tokens:?} {form:?}").contains("access-1"));
}

#[test]
fn a_redirect_without_a_usable_code_ends_the_login() {
    for (code, is_usable) in [("", false), (&*"a".repeat(4097), false), (&*"a".repeat(4096), true)] {
        let mut flow = CodeFlow::new(parameters(Flow::Code), 4000, [[1; 32], [2; 32], [3; 32]]).unwrap();
        let asked = pairs(flow.authorization_url().split_once('?').unwrap().1);
        flow.receive_redirect(&format!("/callback?code={code}&iss={ISSUER}&state={}", asked["state"]));
        assert_eq!(matches!(flow.poll(), Ok(CodeStep::Send(_))), is_usable, "{}", code.len());
        assert_eq!(matches!(flow.poll(), Err(LoginError::Answer { .. })), !is_usable, "{}", code.len());
    }
}

/// A change to the valid input, and the error with which the login must end.
type Lie = (&'static str, fn(&mut World), fn(&LoginError) -> bool);

/// Each row is caught by one check: without it, the login would succeed.
#[test]
fn every_lie_is_found() {
    let (tokens, forms) = World::new().log_in().expect("an honest world");
    assert_eq!((tokens.bearer(), forms.len()), ("access-1", 1));
    let lies: &[Lie] = &[
        ("no challenge", |w| w.challenge.clear(), |e| matches!(e, LoginError::Challenge { .. })),
        (
            "metadata at another origin",
            |w| w.challenge = w.challenge.replace("reports.", "evil."),
            |e| matches!(e, LoginError::Challenge { .. }),
        ),
        (
            "metadata in the clear",
            |w| w.challenge = w.challenge.replace("https:", "http:"),
            |e| matches!(e, LoginError::Challenge { .. }),
        ),
        (
            "another resource",
            |w| w.resource["resource"] = "https://bank.example".into(),
            |e| matches!(e, LoginError::Resource { .. }),
        ),
        (
            "a resource below",
            |w| w.resource["resource"] = "https://reports.example/vgi/more".into(),
            |e| matches!(e, LoginError::Resource { .. }),
        ),
        (
            "no authorization server",
            |w| w.resource["authorization_servers"] = json!([]),
            |e| matches!(e, LoginError::Metadata { .. }),
        ),
        (
            "an authorization server on this machine",
            |w| w.resource["authorization_servers"] = json!(["http://127.0.0.1:9"]),
            |e| matches!(e, LoginError::Metadata { .. }),
        ),
        (
            "a token endpoint elsewhere",
            |w| w.resource["token_endpoint"] = "https://evil.example/token".into(),
            |e| matches!(e, LoginError::Metadata { .. }),
        ),
        (
            "another issuer",
            |w| w.server["issuer"] = "https://evil.example".into(),
            |e| matches!(e, LoginError::Issuer { .. }),
        ),
        (
            "tokens in the clear",
            |w| w.server["token_endpoint"] = "http://login.example/token".into(),
            |e| matches!(e, LoginError::Metadata { .. }),
        ),
        (
            "people in the clear",
            |w| w.server["authorization_endpoint"] = "http://login.example/authorize".into(),
            |e| matches!(e, LoginError::Metadata { .. }),
        ),
        (
            "no S256",
            |w| w.server["code_challenge_methods_supported"] = json!(["plain"]),
            |e| matches!(e, LoginError::NoFlow { .. }),
        ),
        (
            "another state",
            |w| drop(w.redirect.insert("state", "other".into())),
            |e| *e == LoginError::Expired,
        ),
        ("no state", |w| drop(w.redirect.insert("state", String::new())), |e| *e == LoginError::Expired),
        ("another path", |w| w.path = "/other", |e| *e == LoginError::Expired),
        (
            "a redirect of another issuer",
            |w| drop(w.redirect.insert("iss", "https://evil.example".into())),
            |e| matches!(e, LoginError::Issuer { .. }),
        ),
        (
            "a redirect without an issuer",
            |w| drop(w.redirect.remove("iss")),
            |e| matches!(e, LoginError::Issuer { .. }),
        ),
        ("no code", |w| drop(w.redirect.remove("code")), |e| matches!(e, LoginError::Answer { .. })),
        (
            "a refusal",
            |w| drop(w.redirect.insert("error", "access_denied".into())),
            |e| *e == LoginError::Denied,
        ),
        (
            "an id token of another issuer",
            |w| w.claims["iss"] = "https://evil.example".into(),
            |e| matches!(e, LoginError::IdToken { .. }),
        ),
        (
            "an id token for another client",
            |w| w.claims["aud"] = "other".into(),
            |e| matches!(e, LoginError::IdToken { .. }),
        ),
        (
            "an id token of another login",
            |w| w.claims["nonce"] = "other".into(),
            |e| matches!(e, LoginError::IdToken { .. }),
        ),
        (
            "an id token without a nonce",
            |w| w.claims["nonce"] = Value::Null,
            |e| matches!(e, LoginError::IdToken { .. }),
        ),
        (
            "an old id token",
            |w| w.claims["exp"] = NOW.as_secs().into(),
            |e| matches!(e, LoginError::IdToken { .. }),
        ),
        (
            "a token of another type",
            |w| w.tokens["token_type"] = "mac".into(),
            |e| matches!(e, LoginError::Answer { .. }),
        ),
        (
            "a token with a line break",
            |w| w.tokens["access_token"] = "a\r\nb".into(),
            |e| matches!(e, LoginError::Answer { .. }),
        ),
        ("another status", |w| w.status = 203, |e| matches!(e, LoginError::Answer { .. })),
    ];
    for (name, lie, is_expected) in lies {
        let mut world = World::new();
        lie(&mut world);
        match world.log_in() {
            Ok(_) => panic!("{name}: it was believed"),
            Err(error) => {
                assert!(is_expected(&error), "{name}: {error:?}");
                let shown = format!("{error} {error:?}");
                for secret in ["one-code", "access-1", "refresh-1", "published"] {
                    assert!(!shown.contains(secret), "{name}: {shown}");
                }
            }
        }
    }
}

#[test]
fn an_error_that_repeats_what_was_sent_does_not_show_it() {
    let mut world = World::new();
    world.status = 400;
    world.tokens = json!({"error": "invalid_grant", "error_description": "the code one-code is not known"});
    let error = world.log_in().unwrap_err();
    assert_eq!(error, LoginError::Refused { code: "invalid_grant".into(), description: String::new() });
}

#[test]
fn a_published_secret_is_used_only_by_those_who_want_it() {
    let secret = |flow, settings: &LoginSettings| {
        let found = discover(&challenge(), &resource(), &server()).unwrap();
        let parameters = LoginParameters::new(&found, settings, flow).unwrap();
        let form = match flow {
            Flow::Code => parameters.form(&parameters.token_endpoint, &[]),
            Flow::DeviceCode => {
                let Ok(DeviceStep::Send(form)) = DeviceFlow::new(parameters).unwrap().poll(NOW) else {
                    panic!()
                };
                form
            }
        };
        let sent = pairs(&form.form);
        (sent["client_id"].clone(), sent.get("client_secret").cloned())
    };
    let silent = LoginSettings::default();
    assert_eq!(secret(Flow::Code, &silent), ("cli".into(), None));
    assert_eq!(secret(Flow::DeviceCode, &silent), ("tv".into(), None));
    let wanted = LoginSettings { accept_published_secret: true, ..LoginSettings::default() };
    assert_eq!(secret(Flow::Code, &wanted), ("cli".into(), Some("published-1".into())));
    assert_eq!(secret(Flow::DeviceCode, &wanted), ("tv".into(), Some("published-2".into())));
    // A published secret belongs to the client that it is published with.
    let own = LoginSettings {
        client_id: Some("own".into()),
        accept_published_secret: true,
        ..LoginSettings::default()
    };
    assert_eq!(secret(Flow::DeviceCode, &own), ("own".into(), None));
}

#[test]
fn clients_are_named_by_the_settings_the_metadata_and_the_challenge() {
    let client = |resource: &Value, challenge: &str, flow| {
        let found = discover(challenge, resource, &server()).unwrap();
        LoginParameters::new(&found, &LoginSettings::default(), flow)
            .map(|parameters| parameters.client_id().to_owned())
    };
    let mut bare = resource();
    for name in ["client_id", "device_code_client_id"] {
        bare.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(client(&bare, &challenge(), Flow::DeviceCode), Ok("cli".into()));
    let device = format!("{}, device_code_client_id=\"box\"", challenge());
    assert_eq!(client(&bare, &device, Flow::DeviceCode), Ok("box".into()));
    assert_eq!(client(&bare, &device, Flow::Code), Ok("cli".into()));
    let nobody = challenge().replace(", client_id=\"cli\"", "");
    assert_eq!(client(&bare, &nobody, Flow::Code), Err(LoginError::NoClientId));
}

#[test]
fn a_server_with_a_secret_of_its_own_exchanges_codes_itself() {
    let endpoint = |settings: LoginSettings| {
        let mut world = World::new();
        world.resource["token_endpoint"] = "https://reports.example/vgi/_oauth/token".into();
        world.settings = settings;
        world.log_in().unwrap().1.remove(0).url
    };
    let using = || LoginSettings { use_published_token_endpoint: true, ..LoginSettings::default() };
    assert_eq!(endpoint(using()), "https://reports.example/vgi/_oauth/token");
    assert_eq!(endpoint(LoginSettings::default()), "https://login.example/token");
    // It does not have the secret of another client.
    let other = LoginSettings { client_id: Some("other".into()), ..using() };
    let mut found = discover(&challenge(), &resource(), &server()).unwrap();
    found.resource.token_endpoint =
        Some(Location::parse("https://reports.example/vgi/_oauth/token").unwrap());
    for (settings, flow) in [(&other, Flow::Code), (&using(), Flow::DeviceCode)] {
        let parameters = LoginParameters::new(&found, settings, flow).unwrap();
        assert_eq!(parameters.token_endpoint.as_str(), "https://login.example/token");
    }
    let secret = || Some("mine".to_owned().into());
    let own = LoginSettings { client_id: Some("cli".into()), client_secret: secret(), ..using() };
    assert_eq!(endpoint(own), "https://login.example/token");
}

/// RFC 8707, section 2: without the resource, the called server could obtain a token for another server.
#[test]
fn every_request_names_the_resource() {
    let found = discover(&challenge(), &resource(), &server()).unwrap();
    for (omit_resource, expected) in [(false, Some(CALLED)), (true, None)] {
        let settings = LoginSettings { omit_resource, ..LoginSettings::default() };
        let resource = |text: &str| pairs(text).get("resource").cloned();
        let parameters = LoginParameters::new(&found, &settings, Flow::Code).unwrap();
        let old = tokens("old", 10, Some("refresh-1"));
        assert_eq!(resource(&parameters.refresh(&old).unwrap().form).as_deref(), expected);
        let saved = SavedLogin::new(&Location::parse(CALLED).unwrap(), parameters.clone(), old.clone());
        let saved = SavedLogin::parse(saved.to_json().as_bytes(), &Location::parse(CALLED).unwrap()).unwrap();
        assert_eq!(resource(&saved.parameters.refresh(&old).unwrap().form).as_deref(), expected);
        let flow = CodeFlow::new(parameters, 4000, [[1; 32], [2; 32], [3; 32]]).unwrap();
        let url = Location::parse(flow.authorization_url()).unwrap();
        assert_eq!(resource(url.url().query().unwrap()).as_deref(), expected);
        let mut flow =
            DeviceFlow::new(LoginParameters::new(&found, &settings, Flow::DeviceCode).unwrap()).unwrap();
        let Ok(DeviceStep::Send(form)) = flow.poll(NOW) else { panic!("it asks for a code") };
        assert_eq!(resource(&form.form).as_deref(), expected);
        let mut world = World::new();
        world.settings = settings;
        assert_eq!(resource(&world.log_in().unwrap().1[0].form).as_deref(), expected);
    }
}

#[test]
fn the_id_token_is_the_bearer_where_the_server_wants_it() {
    let mut world = World::new();
    world.resource["use_id_token_as_bearer"] = true.into();
    world.claims["exp"] = after(30).as_secs().into();
    let (tokens, _) = world.log_in().unwrap();
    assert!(tokens.bearer().starts_with("e30.") && tokens.expires_at() == Some(after(30)));
}

/// Returns a device flow after the response to its first form.
fn device(body: &Value) -> (DeviceFlow, Result<DeviceStep, LoginError>) {
    let mut flow = DeviceFlow::new(parameters(Flow::DeviceCode)).unwrap();
    let Ok(DeviceStep::Send(form)) = flow.poll(NOW) else { panic!("it asks for a code") };
    assert_eq!(form.url, "https://login.example/device");
    assert_eq!(pairs(&form.form)["scope"], "openid email");
    flow.receive(Ok(answer(200, body)), NOW);
    let step = flow.poll(NOW);
    (flow, step)
}

fn device_code() -> Value {
    json!({"device_code": "device-1", "user_code": "ABCD-EFGH", "verification_uri": "https://login.example/tv",
        "expires_in": 120, "interval": 2})
}

/// Answers the form that is due at this time.
fn ask(flow: &mut DeviceFlow, at: u64, status: u16, body: &Value) {
    assert!(matches!(flow.poll(after(at - 1)), Ok(DeviceStep::WaitUntil(time)) if time == after(at)), "{at}");
    let Ok(DeviceStep::Send(form)) = flow.poll(after(at)) else { panic!("a question is due") };
    assert_eq!(
        (form.url.as_str(), pairs(&form.form)["device_code"].as_str()),
        ("https://login.example/token", "device-1")
    );
    flow.receive(Ok(answer(status, body)), after(at));
}

#[test]
fn a_login_with_a_device_code() {
    let (mut flow, step) = device(&device_code());
    let Ok(DeviceStep::Show(prompt)) = step else { panic!("a code is shown") };
    assert_eq!((prompt.user_code.as_str(), prompt.expires_at), ("ABCD-EFGH", after(120)));
    assert!(!format!("{prompt:?} {flow:?}").contains("ABCD"));
    let error = |code: &str| json!({"error": code});
    ask(&mut flow, 2, 400, &error("authorization_pending"));
    ask(&mut flow, 4, 400, &error("slow_down"));
    ask(&mut flow, 11, 400, &error("authorization_pending"));
    ask(&mut flow, 18, 503, &json!("down"));
    ask(&mut flow, 32, 200, &json!({"access_token": "a", "token_type": "Bearer"}));
    assert!(matches!(flow.poll(after(32)), Ok(DeviceStep::Done(tokens)) if tokens.bearer() == "a"));
    assert!(flow.poll(after(33)).is_err());
}

#[test]
fn a_device_code_ends() {
    let begin = || device(&device_code()).0;
    let error = |code: &str| json!({"error": code, "error_description": "device-1"});
    for (code, expected) in [
        ("access_denied", LoginError::Denied),
        ("expired_token", LoginError::Expired),
        ("invalid_grant", LoginError::Refused { code: "invalid_grant".into(), description: String::new() }),
    ] {
        let mut flow = begin();
        ask(&mut flow, 2, 400, &error(code));
        assert_eq!(flow.poll(after(2)).unwrap_err(), expected);
        assert_eq!(flow.poll(after(9)).unwrap_err(), expected, "it stays so");
    }
    // The device code has expired, whatever the server says.
    let mut flow = begin();
    assert!(matches!(flow.poll(after(120)), Err(LoginError::Expired)));
    // An unreachable server is not polled forever.
    let mut body = device_code();
    body["expires_in"] = 3600.into();
    let mut flow = device(&body).0;
    let mut asked = 0;
    let mut at = 0;
    let end = loop {
        match flow.poll(after(at)) {
            Ok(DeviceStep::Send(_)) => {
                asked += 1;
                flow.receive(Err(LoginError::Unavailable("gone".into())), after(at));
            }
            Ok(DeviceStep::WaitUntil(time)) => at = (time - NOW).as_secs(),
            other => break other,
        }
    };
    assert!(asked == 6 && matches!(end, Err(LoginError::Unavailable(_))), "{asked} {end:?}");
    // Only consecutive failures count.
    let mut flow = device(&body).0;
    let (mut at, mut wait) = (0, 2);
    for _ in 0..7 {
        ask(&mut flow, at + wait, 503, &json!({}));
        (at, wait) = (at + wait, wait * 2);
        ask(&mut flow, at + wait, 400, &error("authorization_pending"));
        at += wait;
    }
}

#[test]
fn device_codes_that_cannot_be_shown_are_refused() {
    for (name, value) in [
        ("device_code", json!("")),
        ("device_code", json!("a b")),
        ("user_code", json!("")),
        ("user_code", json!("A\u{1b}[2J")),
        ("user_code", json!("A".repeat(65))),
        ("verification_uri", json!("http://login.example/tv")),
        ("verification_uri", json!("javascript:alert(1)")),
        ("verification_uri", json!("file:///etc/passwd")),
        ("verification_uri", json!("ftp://login.example/tv")),
        ("verification_uri_complete", json!("login")),
        ("expires_in", json!(-5)),
        ("expires_in", Value::Null),
        ("interval", json!("often")),
    ] {
        let mut body = device_code();
        body[name] = value.clone();
        let (_, step) = device(&body);
        assert!(matches!(step, Err(LoginError::Answer { .. })), "{name} {value}: {step:?}");
    }
    // The interval is never zero and never longer than five minutes.
    for (interval, wait) in [(0, 1), (100_000, 300)] {
        let mut body = device_code();
        (body["interval"], body["expires_in"]) = (interval.into(), 1_000_000.into());
        let (mut flow, step) = device(&body);
        assert!(matches!(step, Ok(DeviceStep::Show(prompt)) if prompt.expires_at == after(3600)));
        assert!(matches!(flow.poll(NOW), Ok(DeviceStep::WaitUntil(time)) if time == after(wait)));
        if wait == 300 {
            ask(&mut flow, 300, 400, &json!({"error": "slow_down"}));
            assert!(matches!(flow.poll(after(300)), Ok(DeviceStep::WaitUntil(time)) if time == after(600)));
        }
    }
    // A code in an unsuccessful response is ignored.
    let mut flow = DeviceFlow::new(parameters(Flow::DeviceCode)).unwrap();
    flow.receive(Ok(answer(500, &device_code())), NOW);
    assert!(matches!(flow.poll(NOW), Err(LoginError::Answer { status: 500, .. })));
}

/// Returns tokens that expire, with or without a refresh token.
fn tokens(bearer: &str, end: u64, refresh: Option<&str>) -> Tokens {
    Tokens {
        access: bearer.to_owned().into(),
        refresh: refresh.map(|token| token.to_owned().into()),
        id: None,
        expires_at: Some(after(end)),
        sends_id: false,
    }
}

fn used(bearer: &str) -> Step {
    Step::Use(bearer.to_owned().into())
}

#[test]
fn one_renewal_for_all_that_wait() {
    let old = tokens("old", 100, Some("refresh-1"));
    let mut holder = TokenHolder::new(Some(old.clone()));
    assert_eq!(holder.request(NOW), used("old"));
    // Shortly before it expires, one call renews it; the others use it as long as it is valid.
    assert_eq!(holder.request(after(56)), Step::Renew(Renewal::Refresh(old.clone())));
    assert_eq!(holder.request(after(56)), used("old"));
    assert_eq!(holder.request(after(100)), Step::Wait(1));
    assert_eq!(holder.refused(Some("old"), Reason::ExpiredCredential, after(100)), Step::Wait(1));
    assert_eq!(holder.outcome(1), None);
    assert_eq!(holder.renewed(Ok(tokens("new", 1000, Some("refresh-2"))), after(100)), None);
    assert_eq!(holder.outcome(1), Some(&Ok(())));
    assert_eq!(holder.request(after(100)), used("new"));
    // A late refusal of the old token.
    assert_eq!(holder.refused(Some("old"), Reason::ExpiredCredential, after(100)), used("new"));
    // No renewal is in progress that this could end.
    assert_eq!(holder.renewed(Ok(old), after(100)), None);
    assert_eq!(holder.request(after(100)), used("new"));
    // The outcome of one renewal is not the outcome of the next.
    assert!(matches!(holder.refused(Some("new"), Reason::ExpiredCredential, after(100)), Step::Renew(_)));
    assert_eq!((holder.outcome(1), holder.outcome(2)), (Some(&Ok(())), None));
}

#[test]
fn an_outage_keeps_the_refresh_token_and_a_refusal_does_not() {
    let refused = || LoginError::Refused { code: "invalid_grant".into(), description: String::new() };
    let old = tokens("old", 10, Some("refresh-1"));
    let mut holder = TokenHolder::new(Some(old.clone()));
    assert_eq!(holder.request(NOW), Step::Renew(Renewal::Refresh(old.clone())));
    let outage = LoginError::Unavailable("down".into());
    assert_eq!(holder.renewed(Err(outage.clone()), NOW), None);
    assert_eq!(holder.outcome(1), Some(&Err(outage)));
    // The token is used as long as it is valid, and the next attempt is delayed.
    assert_eq!(holder.valid_bearer(NOW), Some("old".to_owned().into()));
    assert_eq!((holder.request(NOW), holder.request(after(4))), (used("old"), used("old")));
    assert_eq!(holder.request(after(5)), Step::Renew(Renewal::Refresh(old.clone())));
    // No user is asked to sign in before the server has required it.
    assert_eq!(holder.renewed(Err(refused()), NOW), None);
    assert_eq!((holder.outcome(2).cloned(), holder.request(NOW)), (Some(Ok(())), Step::Anonymous));
    assert_eq!(holder.refused(None, Reason::MissingCredential, NOW), Step::Renew(Renewal::Login));
    assert_eq!(holder.renewed(Err(LoginError::Denied), NOW), None);
    assert_eq!(holder.outcome(3), Some(&Err(LoginError::Denied)));

    // After a 401, a refused refresh starts a login at once, for all waiting calls.
    let mut holder = TokenHolder::new(Some(old.clone()));
    assert_eq!(
        holder.refused(Some("old"), Reason::InvalidCredential, NOW),
        Step::Renew(Renewal::Refresh(old))
    );
    assert_eq!(holder.renewed(Err(refused()), NOW), Some(Renewal::Login));
    assert_eq!((holder.outcome(1).cloned(), holder.request(NOW)), (None, Step::Wait(1)));
    assert_eq!(holder.renewed(Ok(tokens("new", 1000, None)), NOW), None);
    assert_eq!((holder.outcome(1).cloned(), holder.request(NOW)), (Some(Ok(())), used("new")));
}

#[test]
fn the_last_seconds_of_a_token_are_used() {
    let mut holder = TokenHolder::new(Some(tokens("old", 10, None)));
    assert_eq!((holder.request(after(9)), holder.request(after(10))), (used("old"), Step::Anonymous));
}

fn refused_with(code: &str) -> LoginError {
    LoginError::Refused { code: code.into(), description: String::new() }
}

/// Returns a holder with a refresh in progress, begun by a call that may not start a login.
fn under_way() -> TokenHolder {
    let mut holder = TokenHolder::new(Some(tokens("old", 10, Some("refresh-1"))));
    assert!(matches!(holder.request(NOW), Step::Renew(Renewal::Refresh(_))));
    holder
}

#[test]
fn who_waits_for_a_refresh_can_have_a_login() {
    // A refused call waits, and a login is started for it.
    let mut holder = under_way();
    assert_eq!(holder.refused(Some("old"), Reason::ExpiredCredential, NOW), Step::Wait(1));
    assert_eq!(holder.renewed(Err(refused_with("invalid_grant")), NOW), Some(Renewal::Login));
    // An explicit login takes place whatever the result of the refresh.
    for result in [
        Ok(tokens("new", 1000, Some("refresh-2"))),
        Err(LoginError::Unavailable("down".into())),
        Err(refused_with("invalid_grant")),
    ] {
        let mut holder = under_way();
        assert_eq!(holder.login(), Step::Wait(1));
        assert_eq!(holder.renewed(result, NOW), Some(Renewal::Login));
        assert_eq!((holder.outcome(1).cloned(), holder.login()), (None, Step::Wait(1)));
        assert_eq!(holder.renewed(Ok(tokens("mine", 1000, None)), NOW), None);
        assert_eq!((holder.outcome(1).cloned(), holder.request(NOW)), (Some(Ok(())), used("mine")));
    }
}

#[test]
fn only_three_errors_end_a_refresh_token() {
    for code in ["invalid_grant", "invalid_client", "unauthorized_client"] {
        let mut holder = under_way();
        holder.renewed(Err(refused_with(code)), NOW);
        assert!(holder.tokens().is_none(), "{code}");
    }
    for error in [
        refused_with("invalid_request"),
        refused_with("invalid_target"),
        LoginError::Denied,
        LoginError::Answer { expected: "tokens", status: 403 },
        LoginError::IdToken { expected: "of this issuer" },
    ] {
        let mut holder = under_way();
        holder.renewed(Err(error.clone()), NOW);
        assert!(holder.tokens().is_some_and(Tokens::can_be_refreshed), "{error}");
        assert_eq!(holder.outcome(1), Some(&Err(error)));
    }
}

#[test]
fn short_lived_tokens_are_used_for_half_of_their_life() {
    let mut holder = under_way();
    let short = tokens("short", 20, Some("refresh-2"));
    assert_eq!(holder.renewed(Ok(short.clone()), NOW), None);
    assert_eq!(holder.request(after(9)), used("short"));
    assert_eq!(holder.request(after(10)), Step::Renew(Renewal::Refresh(short)));
}

#[test]
fn what_was_under_way_when_the_tokens_were_forgotten_is_dropped() {
    let mut holder = under_way();
    holder.forget();
    assert!(holder.is_stale());
    assert_eq!(holder.renewed(Ok(tokens("new", 1000, Some("refresh-2"))), NOW), None);
    assert_eq!((holder.outcome(1).cloned(), holder.request(NOW)), (Some(Ok(())), Step::Anonymous));
    // A login too, and its caller receives an error.
    assert_eq!(holder.login(), Step::Renew(Renewal::Login));
    holder.forget();
    assert_eq!(holder.renewed(Ok(tokens("new", 1000, None)), NOW), None);
    assert_eq!((holder.outcome(2), holder.tokens()), (Some(&Err(LoginError::SignedOut)), None));
    // A later sign-in starts a new login.
    assert_eq!(holder.login(), Step::Renew(Renewal::Login));
    holder.forget();
    assert_eq!(holder.login(), Step::Wait(3));
    assert_eq!(holder.renewed(Ok(tokens("old", 1000, None)), NOW), Some(Renewal::Login));
    assert!(!holder.is_stale());
    assert_eq!(holder.renewed(Ok(tokens("new", 1000, None)), NOW), None);
    assert_eq!(holder.request(NOW), used("new"));
}

#[test]
fn a_person_is_not_asked_again_and_again() {
    // The server refuses the token of the login that has just completed.
    let mut holder = TokenHolder::new(None);
    let step = holder.refused(None, Reason::MissingCredential, NOW);
    assert_eq!(step, Step::Renew(Renewal::Login));
    holder.renewed(Ok(tokens("mine", 1000, None)), NOW);
    for reason in [Reason::InvalidCredential, Reason::ExpiredCredential, Reason::Unauthorized] {
        assert_eq!(holder.refused(Some("mine"), reason, NOW), Step::GiveUp, "{reason:?}");
    }
    // Later, the token may have been revoked, or it has expired.
    assert_eq!(holder.refused(Some("mine"), Reason::InvalidCredential, after(31)), Step::GiveUp);
    let step = holder.refused(Some("mine"), Reason::ExpiredCredential, after(31));
    assert_eq!(step, Step::Renew(Renewal::Login));
    // A failed login is followed by a pause, except for an explicit login.
    holder.renewed(Err(LoginError::Expired), after(1000));
    let step = holder.refused(Some("mine"), Reason::InvalidCredential, after(1029));
    assert_eq!((step, holder.login()), (Step::GiveUp, Step::Renew(Renewal::Login)));
    holder.renewed(Err(LoginError::Expired), after(1000));
    let step = holder.refused(Some("mine"), Reason::InvalidCredential, after(1030));
    assert_eq!(step, Step::Renew(Renewal::Login));
    // Nor does a refused refresh token end the pause.
    let mut holder = TokenHolder::new(Some(tokens("old", 1000, Some("refresh-1"))));
    holder.login();
    holder.renewed(Err(LoginError::Denied), NOW);
    assert!(matches!(holder.refused(Some("old"), Reason::InvalidCredential, NOW), Step::Renew(_)));
    assert_eq!(holder.renewed(Err(refused_with("invalid_grant")), NOW), None);
    assert_eq!(holder.outcome(2), Some(&Ok(())));
}

#[test]
fn only_what_a_new_token_mends_is_renewed() {
    let fresh = tokens("fresh", 1000, Some("refresh-1"));
    for reason in [Reason::InsufficientScope, Reason::ProxyRequired] {
        let mut holder = TokenHolder::new(Some(fresh.clone()));
        assert_eq!(holder.refused(Some("fresh"), reason, NOW), Step::GiveUp);
    }
    // If a freshly refreshed token is still invalid, a user must sign in.
    let mut holder = TokenHolder::new(Some(fresh.clone()));
    assert!(matches!(
        holder.refused(Some("fresh"), Reason::InvalidCredential, NOW),
        Step::Renew(Renewal::Refresh(_))
    ));
    holder.renewed(Ok(tokens("again", 1000, Some("refresh-2"))), NOW);
    assert_eq!(holder.refused(Some("again"), Reason::InvalidCredential, NOW), Step::Renew(Renewal::Login));
}

#[test]
fn refresh_tokens_rotate_or_stay() {
    let parameters = parameters(Flow::Code);
    let old = tokens("old", 10, Some("refresh-1"));
    let sent = pairs(&parameters.refresh(&old).unwrap().form);
    assert_eq!((sent["refresh_token"].as_str(), sent["client_id"].as_str()), ("refresh-1", "cli"));
    assert!(parameters.refresh(&tokens("old", 10, None)).is_none());
    let refresh = |body: Value| parameters.refreshed(answer(200, &body), &old, NOW).unwrap();
    let rotated = refresh(json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "refresh-2"}));
    assert_eq!(pairs(&parameters.refresh(&rotated).unwrap().form)["refresh_token"], "refresh-2");
    let kept = refresh(json!({"access_token": "a", "token_type": "Bearer"}));
    assert_eq!(pairs(&parameters.refresh(&kept).unwrap().form)["refresh_token"], "refresh-1");
    let echo = json!({"error": "invalid_grant", "error_description": "refresh-1 is gone"});
    assert!(!format!("{:?}", parameters.refreshed(answer(400, &echo), &old, NOW)).contains("refresh-1"));
}

#[test]
fn a_saved_login_is_for_one_server() {
    let server = Location::parse(CALLED).unwrap();
    let saved = SavedLogin::new(&server, parameters(Flow::Code), tokens("hidden-1", 10, Some("hidden-2")));
    assert!(!format!("{saved:?}").contains("hidden"));
    let document = saved.to_json();
    let read = SavedLogin::parse(document.as_bytes(), &server).unwrap();
    assert_eq!((&read.tokens, read.parameters.client_id()), (&saved.tokens, "cli"));
    assert!(
        read.parameters.refresh(&read.tokens).is_some()
            && CodeFlow::new(read.parameters, 1, [[0; 32]; 3]).is_err()
    );
    let other = Location::parse("https://evil.example/vgi").unwrap();
    assert!(SavedLogin::parse(document.as_bytes(), &other).is_err());
    let whole: Value = serde_json::from_str(&document).unwrap();
    for (name, value) in [
        ("version", json!(2)),
        ("token_endpoint", json!("http://login.example/token")),
        ("token_endpoint", json!("http://127.0.0.1:9/token")),
        ("access_token", json!("hidden 3")),
        ("sends_id", json!(true)),
        ("client_id", json!("")),
        ("more", json!(1)),
    ] {
        let mut changed = whole.clone();
        changed[name] = value;
        let error = SavedLogin::parse(changed.to_string().as_bytes(), &server).unwrap_err();
        assert!(!error.to_string().contains("hidden"), "{name}: {error}");
    }
    let padded = |length: usize| format!("{}{}", *document, " ".repeat(length - document.len()));
    assert!(SavedLogin::parse(padded(256 << 10).as_bytes(), &server).is_ok());
    for document in [&b""[..], b"{}", b"null", &document.as_bytes()[1..], padded((256 << 10) + 1).as_bytes()]
    {
        assert!(SavedLogin::parse(document, &server).is_err());
    }
}

#[test]
fn the_terms_of_a_stored_login_are_those_of_the_settings() {
    let parameters = parameters(Flow::Code);
    let is_allowed = |set: fn(&mut LoginSettings)| {
        let mut settings = LoginSettings::default();
        set(&mut settings);
        parameters.are_allowed_by(&settings)
    };
    assert!(is_allowed(|_| {}));
    assert!(is_allowed(|settings| settings.issuer = Some(ISSUER.into())));
    assert!(!is_allowed(|settings| settings.issuer = Some("https://other.example".into())));
    assert!(is_allowed(|settings| settings.client_id = Some("cli".into())));
    assert!(!is_allowed(|settings| settings.client_id = Some("tv".into())));
    assert!(is_allowed(|settings| settings.scopes = Some(vec!["email".into(), "openid".into()])));
    assert!(!is_allowed(|settings| settings.scopes = Some(vec!["openid".into()])));
    assert!(
        !is_allowed(|settings| settings.scopes = Some(vec!["openid".into(), "email".into(), "a".into()]))
    );
    let published = LoginParameters { is_published_endpoint: true, ..parameters.clone() };
    assert!(!published.are_allowed_by(&LoginSettings::default()));
}

#[test]
fn a_client_that_no_form_can_name_is_refused() {
    let found = discover(&challenge(), &resource(), &server()).unwrap();
    let with = |id: &str, secret: &str| {
        let mut settings = LoginSettings { client_id: Some(id.into()), ..LoginSettings::default() };
        settings.client_secret = Some(secret.to_owned().into());
        LoginParameters::new(&found, &settings, Flow::Code)
    };
    assert!(with("cli", "secret").is_ok());
    for (id, secret) in [("", "secret"), ("a\nb", "secret"), ("cli", ""), ("cli", "a\nb")] {
        assert_eq!(with(id, secret), Err(LoginError::NoClientId), "{id:?} {secret:?}");
    }
}
