//! A small authorization server: a page to sign in or refuse, single-use codes with PKCE, and id tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};
use vgi_rpc_protocol::http::pkce;

/// What the client must send, in addition to the verifier.
pub const SECRET: &str = "the client's secret";

type Pairs = BTreeMap<String, String>;

pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The parameters behind each code that has not been exchanged.
    codes: Mutex<BTreeMap<String, Pairs>>,
    last_redirect: Mutex<String>,
}

impl Provider {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = serving.clone();
                thread::spawn(move || serve(stream.unwrap(), address, &shared));
            }
        });
        Self { address, shared }
    }

    /// Returns one whose server does not run.
    pub fn gone() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { address, shared: Arc::default() }
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the target of the last redirect.
    pub fn last_redirect(&self) -> String {
        self.shared.last_redirect.lock().unwrap().clone()
    }
}

/// The key that signs tokens.
fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap()
}

fn serve(mut stream: TcpStream, address: SocketAddr, shared: &Shared) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let (head, body) = loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => received.extend_from_slice(&buffer[..count]),
        }
    };
    let target = head.split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let answer = answer(path, &pairs(query), &pairs(&body), &format!("http://{address}"), shared);
    // Browsers open connections that they do not use.
    let _ = stream.write_all(answer.as_bytes());
}

fn answer(path: &str, query: &Pairs, form: &Pairs, issuer: &str, shared: &Shared) -> String {
    match path {
        "/.well-known/openid-configuration" => json_answer(
            200,
            &json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
            }),
        ),
        "/keys" => {
            let x = URL_SAFE_NO_PAD.encode(key().public_key().as_ref());
            json_answer(200, &json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x}]}))
        }
        "/authorize" => {
            assert_eq!(query["code_challenge_method"], "S256");
            let code = format!("code-{}", shared.codes.lock().unwrap().len());
            shared.codes.lock().unwrap().insert(code.clone(), query.clone());
            let back =
                |rest: &str| format!("/go?to={}", encode(&format!("{}?{rest}", query["redirect_uri"])));
            let state = &query["state"];
            let iss = encode(issuer);
            page(&format!(
                "<h1>Who are you?</h1>\
                 <a id=allow href=\"{}\">Ann</a> <a id=deny href=\"{}\">Nobody</a> <a id=other-state href=\"{}\">Eve</a>",
                back(&format!("code={code}&state={state}&iss={iss}")),
                back(&format!(
                    "error=access_denied&error_description=she%20said%20no&state={state}&iss={iss}"
                )),
                back(&format!("code={code}&state=another&iss={iss}")),
            ))
        }
        "/go" => {
            shared.last_redirect.lock().unwrap().clone_from(&query["to"]);
            format!(
                "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                query["to"]
            )
        }
        "/token" => {
            let asked = shared.codes.lock().unwrap().remove(&form["code"]);
            match asked.filter(|asked| {
                pkce::challenge(&form["code_verifier"]) == asked["code_challenge"]
                    && form["redirect_uri"] == asked["redirect_uri"]
                    && form["client_secret"] == SECRET
            }) {
                Some(asked) => {
                    json_answer(200, &json!({"access_token": "opaque", "id_token": id_token(issuer, &asked)}))
                }
                None => json_answer(400, &json!({"error": "invalid_grant"})),
            }
        }
        _ => page("<h1>Nothing here</h1>"),
    }
}

fn id_token(issuer: &str, asked: &Pairs) -> String {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 600;
    let claims = json!({"iss": issuer, "aud": asked["client_id"], "sub": "ann", "exp": expires, "nonce": asked["nonce"]});
    let header = json!({"alg": "EdDSA", "kid": "one"});
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key().sign(signed.as_bytes())))
}

fn json_answer(status: u16, body: &Value) -> String {
    whole(status, "application/json", &body.to_string())
}

fn page(body: &str) -> String {
    whole(200, "text/html", &format!("<!doctype html><title>Login</title>{body}"))
}

fn whole(status: u16, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn pairs(text: &str) -> Pairs {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
