//! Everything that a client reads to sign in: challenges, metadata, redirects, responses to forms, and stored logins.
//! Accepted data is from the requested server, and is sent nowhere else; no error contains a secret.
//!
//! The first byte of an input selects the kind of the rest.

use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;
use vgi_rpc_protocol::external::Location;
use vgi_rpc_protocol::http::documents::FormResponse;
use vgi_rpc_protocol::http::login::{
    Challenge, CodeFlow, CodeStep, DeviceFlow, DeviceStep, Discovered, Discovery, Flow, LoginError,
    LoginSettings, ResourceMetadata, SavedLogin, ServerMetadata, LoginParameters, Tokens,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const CALLED: &str = "https://reports.example/vgi";
const ISSUER: &str = "https://login.example";
/// A code, which no error may repeat.
const CODE: &str = "a-code-that-is-a-secret";

/// Checks the input in `data`.
pub fn run(data: &[u8]) {
    let Some((manner, rest)) = data.split_first() else { return };
    match manner % 8 {
        0 => challenge(&String::from_utf8_lossy(rest)),
        1 => quoted(&String::from_utf8_lossy(rest)),
        2 => resource(rest),
        3 => server(rest),
        4 => redirect(&String::from_utf8_lossy(rest)),
        5 => tokens(rest),
        6 => device(rest),
        _ => saved(rest),
    }
}

fn called() -> Location {
    Location::parse(CALLED).expect("a URL")
}

fn origin(url: &str) -> String {
    Location::parse(url).expect("a URL").url().origin().ascii_serialization()
}

fn challenge(header: &str) {
    let Ok(Some(challenge)) = Challenge::parse(header) else { return };
    assert!(header.to_ascii_lowercase().contains("bearer"));
    for id in [&challenge.client_id, &challenge.device_code_client_id].into_iter().flatten() {
        assert!(!id.is_empty() && id.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{id:?}");
    }
    if let Ok(discovery) = Discovery::from_challenge(called(), challenge, None) {
        let document = discovery.poll_document().expect("the first document");
        assert_eq!(origin(&document.url), "https://reports.example");
    }
}

/// A value is read as it was quoted, whatever surrounds it.
fn quoted(value: &str) {
    let escaped: String = value.chars().flat_map(|letter| ['\\', letter]).collect();
    let header = format!("Basic realm=\"{escaped}\", Bearer scope=\"{escaped}\", a=b, Negotiate YQ==");
    match Challenge::parse(&header) {
        Ok(challenge) => assert_eq!(challenge.and_then(|challenge| challenge.scope).as_deref(), Some(value)),
        Err(_) => assert!(header.len() > 16 << 10),
    }
}

fn resource(document: &[u8]) {
    match ResourceMetadata::parse(document, &called()) {
        Ok(metadata) => {
            assert_eq!(origin(&metadata.resource), "https://reports.example");
            assert!(!metadata.authorization_servers.is_empty());
            let token_endpoint = metadata.token_endpoint.as_ref();
            assert!(token_endpoint.is_none_or(|url| origin(url.as_str()) == "https://reports.example"));
            hides_secret_of(document, &format!("{metadata:?}"));
        }
        Err(error) => hides_secret_of(document, &format!("{error} {error:?}")),
    }
}

/// Asserts that no text contains the client secret of a document.
fn hides_secret_of(document: &[u8], shown: &str) {
    let Ok(read) = serde_json::from_slice::<Value>(document) else { return };
    let secret = read.get("client_secret").and_then(Value::as_str).unwrap_or_default();
    // Shorter ones may occur in our own texts, and a value that is also published under another name is not secret.
    let elsewhere = read.as_object().is_some_and(|members| {
        members.iter().any(|(name, value)| name != "client_secret" && value.to_string().contains(secret))
    });
    assert!(!secret.starts_with("s3cret-") || elsewhere || !shown.contains(secret), "{shown}");
}

fn server(document: &[u8]) {
    let Ok(metadata) = ServerMetadata::parse(document, ISSUER) else { return };
    assert_eq!(metadata.issuer, ISSUER);
    let others = [&metadata.authorization_endpoint, &metadata.device_authorization_endpoint];
    for url in others.into_iter().flatten().chain([&metadata.token_endpoint]) {
        assert_eq!(url.url().scheme(), "https", "{url}");
    }
}

fn found() -> Discovered {
    let mut discovery = Discovery::from_url(called(), None);
    let resource = format!(r#"{{"resource":"{CALLED}","authorization_servers":["{ISSUER}"],"client_id":"cli"}}"#);
    let server = format!(
        r#"{{"issuer":"{ISSUER}","authorization_endpoint":"{ISSUER}/a","token_endpoint":"{ISSUER}/t",
            "device_authorization_endpoint":"{ISSUER}/d"}}"#
    );
    assert!(discovery.receive(Ok(resource.as_bytes())).expect("a resource").is_none());
    discovery.receive(Ok(server.as_bytes())).expect("a server").expect("it is all")
}

fn parameters(flow: Flow) -> LoginParameters {
    LoginParameters::new(&found(), &LoginSettings::default(), flow).expect("it has this flow")
}

fn begun() -> CodeFlow {
    CodeFlow::new(parameters(Flow::Code), 4000, [[1; 32], [2; 32], [3; 32]]).expect("parameters of codes")
}

fn state(flow: &CodeFlow) -> String {
    let url = Location::parse(flow.authorization_url()).expect("a URL");
    let state = url.url().query_pairs().find(|(name, _)| name == "state");
    state.expect("a state").1.into_owned()
}

/// Targets, one per line; `$` is replaced by the state.
fn redirect(text: &str) {
    let mut flow = begun();
    let state = state(&flow);
    for line in text.split('\n').take(16) {
        let has_state = line.contains('$');
        let was_waiting = matches!(flow.poll(), Ok(CodeStep::WaitForRedirect));
        let reply = flow.receive_redirect(&line.replace('$', &state));
        assert!([200, 400, 404, 410].contains(&reply.status));
        let is_waiting = matches!(flow.poll(), Ok(CodeStep::WaitForRedirect));
        assert!(was_waiting || !is_waiting, "it does not wait again");
        assert!(has_state || was_waiting == is_waiting, "nothing happens without the state");
        assert!(reply.status != 200 || matches!(flow.poll(), Ok(CodeStep::Send(_))));
    }
}

/// Returns the status of a response, and its body.
fn answer(data: &[u8]) -> FormResponse {
    let (kind, body) = data.split_first().unwrap_or((&0, &[]));
    let status = [200, 200, 400, 401, 403, 429, 500, 503][usize::from(kind % 8)];
    FormResponse { status, content_type: None, body: Bytes::copy_from_slice(body) }
}

fn are_good(tokens: &Tokens) {
    let bearer = tokens.bearer();
    assert!(!bearer.is_empty() && bearer.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(bearer.len() < 24 || !format!("{tokens:?}").contains(bearer));
}

fn hides(error: &LoginError, secret: &str) {
    assert!(!format!("{error} {error:?}").contains(secret), "{error}");
}

fn tokens(data: &[u8]) {
    let mut flow = begun();
    flow.receive_redirect(&format!("/callback?code={CODE}&state={}", state(&flow)));
    assert!(matches!(flow.poll(), Ok(CodeStep::Send(_))));
    flow.receive(Ok(answer(data)), NOW);
    match flow.poll() {
        Ok(CodeStep::Done(tokens)) => are_good(&tokens),
        Ok(step) => panic!("{step:?}"),
        Err(error) => hides(&error, CODE),
    }
}

/// Responses, one per line: to the first form, and to the polls after it.
fn device(data: &[u8]) {
    let mut flow = DeviceFlow::new(parameters(Flow::DeviceCode)).expect("parameters of device codes");
    let mut answers = data.split(|byte| *byte == b'\n');
    let mut now = NOW;
    // An hour, with at least a second between two polls, and as many waits.
    for _ in 0..10_000 {
        match flow.poll(now) {
            Ok(DeviceStep::Send(_)) => {
                let answer = answers.next().map(answer).ok_or_else(|| LoginError::Unavailable("none".into()));
                flow.receive(answer, now);
            }
            Ok(DeviceStep::Show(prompt)) => {
                assert!(prompt.verification_url.starts_with("http"), "{}", prompt.verification_url);
                assert!(!prompt.user_code.contains(char::is_control) && !prompt.user_code.is_empty());
                assert!(prompt.expires_at <= NOW + Duration::from_secs(3600));
            }
            Ok(DeviceStep::WaitUntil(time)) => {
                assert!(time > now, "no driver busy-loops");
                now = time;
            }
            Ok(DeviceStep::Done(tokens)) => return are_good(&tokens),
            Ok(step) => panic!("{step:?}"),
            Err(_) => return,
        }
    }
    panic!("it does not terminate");
}

fn saved(document: &[u8]) {
    let Ok(login) = SavedLogin::parse(document, &called()) else { return };
    are_good(&login.tokens);
    assert_eq!(login.server, CALLED);
    let again = SavedLogin::parse(login.to_json().as_bytes(), &called());
    assert_eq!(again.as_ref(), Ok(&login));
    if let Some(form) = login.parameters.refresh(&login.tokens) {
        assert_eq!(Location::parse(&form.url).expect("a URL").url().scheme(), "https");
    }
}
