//! A small authorization server: discovery, codes with PKCE, device codes, and refresh tokens that rotate.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_protocol::http::pkce;

/// All tokens, and whether the resource server still accepts them.
pub type Issued = Arc<Mutex<BTreeMap<String, bool>>>;

pub struct Authority {
    pub issuer: String,
    pub issued: Issued,
    state: Arc<Mutex<State>>,
}

pub struct State {
    /// The challenge of each code.
    pub codes: BTreeMap<String, String>,
    pub refresh_token: Option<String>,
    /// The lifetime of the next access tokens, in seconds.
    pub life: u64,
    pub gives_refresh: bool,
    /// The errors returned for the next polls with a device code, before tokens.
    pub device_errors: VecDeque<&'static str>,
    /// How long a refresh takes.
    pub refresh_delay: Duration,
    /// The response to refreshes in place of tokens.
    pub refresh_error: Option<(u16, &'static str)>,
    /// The grant types of the received forms, in order.
    pub grants: Vec<String>,
    pub forms: Vec<BTreeMap<String, String>>,
    pub has_browser_flow: bool,
    /// Whether the resource server knows the next tokens.
    pub registers: bool,
    count: usize,
}

pub fn pairs(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

impl Authority {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            codes: BTreeMap::new(),
            refresh_token: None,
            life: 3600,
            gives_refresh: true,
            device_errors: VecDeque::new(),
            refresh_delay: Duration::ZERO,
            refresh_error: None,
            grants: Vec::new(),
            forms: Vec::new(),
            has_browser_flow: true,
            registers: true,
            count: 0,
        };
        let (state, issued) = (Arc::new(Mutex::new(state)), Issued::default());
        let authority = Self { issuer: issuer.clone(), issued: issued.clone(), state: state.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (state, issued, issuer) = (state.clone(), issued.clone(), issuer.clone());
                thread::spawn(move || answer(stream.unwrap(), &state, &issued, &issuer));
            }
        });
        authority
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns how often tokens were requested with this grant type.
    pub fn count(&self, grant: &str) -> usize {
        self.state().grants.iter().filter(|known| known.ends_with(grant)).count()
    }

    /// Makes the resource server refuse all current tokens as expired.
    pub fn expire_all(&self) {
        self.issued.lock().unwrap().values_mut().for_each(|is_good| *is_good = false);
    }

    /// Plays the browser of a person who signs in. Returns the redirect, with its parameters.
    pub fn sign_in(&self, url: &str) -> (String, BTreeMap<String, String>) {
        let (endpoint, query) = url.split_once('?').unwrap();
        assert_eq!(endpoint, format!("{}/authorize", self.issuer));
        let asked = pairs(query);
        assert_eq!(
            (asked["response_type"].as_str(), asked["code_challenge_method"].as_str()),
            ("code", "S256")
        );
        assert!(asked["redirect_uri"].starts_with("http://127.0.0.1:"), "{asked:?}");
        let code = format!("code-{}", asked["nonce"]);
        self.state().codes.insert(code.clone(), asked["code_challenge"].clone());
        let redirect = [("code", &code), ("state", &asked["state"]), ("iss", &self.issuer)];
        let redirect = redirect.map(|(name, value)| (name.to_owned(), value.clone())).into();
        (asked["redirect_uri"].clone(), redirect)
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>, issued: &Issued, issuer: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(!head.to_lowercase().contains("authorization:"), "it is sent no credential of calls");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    let form = pairs(std::str::from_utf8(&body).unwrap());
    let path = head.split(' ').nth(1).unwrap();
    let (status, document) = match path {
        "/.well-known/openid-configuration" => (200, metadata(&state.lock().unwrap(), issuer)),
        "/device" => {
            assert_eq!(form["client_id"], "tv");
            let page = format!("{issuer}/tv");
            (
                200,
                json!({"device_code": "device-secret", "user_code": "WXYZ", "verification_uri": page,
                "expires_in": 60, "interval": 1}),
            )
        }
        "/token" => token(state, issued, issuer, form),
        _ => (404, json!({})),
    };
    let document = document.to_string();
    let length = document.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    // A client that has read enough may disconnect.
    let _ = stream.write_all((head + &document).as_bytes());
}

fn metadata(state: &State, issuer: &str) -> Value {
    let mut metadata = json!({"issuer": issuer, "token_endpoint": format!("{issuer}/token"),
        "device_authorization_endpoint": format!("{issuer}/device"),
        "authorization_response_iss_parameter_supported": true});
    if state.has_browser_flow {
        metadata["authorization_endpoint"] = format!("{issuer}/authorize").into();
    }
    metadata
}

fn token(
    state: &Mutex<State>,
    issued: &Issued,
    issuer: &str,
    form: BTreeMap<String, String>,
) -> (u16, Value) {
    let error = |code: &str| (400, json!({"error": code, "error_description": "see the log"}));
    let delay = {
        let mut state = state.lock().unwrap();
        state.grants.push(form["grant_type"].clone());
        state.forms.push(form.clone());
        state.refresh_delay
    };
    let mut claims = json!({"iss": issuer, "aud": form["client_id"], "sub": "ann", "exp": now() + 3600});
    match form["grant_type"].as_str() {
        "authorization_code" => {
            let challenge = state.lock().unwrap().codes.remove(&form["code"]);
            if challenge != Some(pkce::challenge(&form["code_verifier"])) {
                return error("invalid_grant");
            }
            let client = form["redirect_uri"].strip_prefix("http://").unwrap().split('/').next().unwrap();
            assert!(TcpStream::connect(client).is_err(), "the client's port is closed by now");
            claims["nonce"] = form["code"].strip_prefix("code-").unwrap().into();
        }
        "urn:ietf:params:oauth:grant-type:device_code" => {
            assert_eq!(form["device_code"], "device-secret");
            if let Some(code) = state.lock().unwrap().device_errors.pop_front() {
                return error(code);
            }
        }
        "refresh_token" => {
            thread::sleep(delay);
            let mut state = state.lock().unwrap();
            if let Some((status, code)) = state.refresh_error {
                return (status, json!({"error": code, "error_description": form["refresh_token"]}));
            }
            // Each can be used once.
            if state.refresh_token.take() != Some(form["refresh_token"].clone()) {
                return error("invalid_grant");
            }
        }
        _ => return error("unsupported_grant_type"),
    }
    let mut state = state.lock().unwrap();
    state.count += 1;
    let access = format!("access-secret-{}", state.count);
    if state.registers {
        issued.lock().unwrap().insert(access.clone(), true);
    }
    let id_token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut tokens = json!({"access_token": access, "token_type": "Bearer", "expires_in": state.life, "id_token": id_token});
    if state.gives_refresh {
        let refresh = format!("refresh-secret-{}", state.count);
        tokens["refresh_token"] = refresh.clone().into();
        state.refresh_token = Some(refresh);
    }
    (200, tokens)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
