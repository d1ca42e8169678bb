//! A small Cloud Storage that checks signatures independently: it builds the canonical request from what it receives, and
//! has only the public key and the secret. It also checks dates and expiry, and does not replace objects unless the
//! request asks for it.

use crate::keys::{ACCESS_ID, SECRET, SERVICE_ACCOUNT};
use ring::{digest, hmac, signature};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime};

/// How the server misbehaves.
pub enum Trouble {
    /// Responds with this status, these headers and this body.
    Answer(u16, String, Vec<u8>),
    /// Executes the request, and closes the connection without a response.
    LoseAnswer,
    /// Sends nothing for a while.
    Stall,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub body: Vec<u8>,
    pub content_type: Option<String>,
    pub coding: Option<String>,
}

#[derive(Default)]
pub struct State {
    pub objects: BTreeMap<String, Stored>,
    pub troubles: VecDeque<Trouble>,
    /// Method, path, and status of the response.
    pub log: Vec<(String, String, u16)>,
    /// Added to the clock, in seconds.
    pub ahead: i64,
    pub may_replace: bool,
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, state: Arc::default() };
        let shared = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                thread::spawn(move || shared.converse(stream));
            }
        });
        server
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns the statuses of the requests that it has answered.
    pub fn statuses(&self) -> Vec<u16> {
        self.state().log.iter().map(|(.., status)| *status).collect()
    }

    fn converse(&self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut connection = BufReader::new(stream);
        while let Some(request) = Request::read(&mut connection) {
            let trouble = self.state().troubles.pop_front();
            let answer = match &trouble {
                Some(Trouble::Answer(status, head, body)) => {
                    Answer { status: *status, head: head.clone(), body: body.clone() }
                }
                Some(Trouble::Stall) => {
                    thread::sleep(Duration::from_secs(2));
                    return;
                }
                _ => self.answer(&request),
            };
            self.state().log.push((request.method.clone(), request.path.clone(), answer.status));
            if matches!(trouble, Some(Trouble::LoseAnswer)) {
                return;
            }
            let len = answer.body.len();
            // HEAD has the same response head as GET.
            let length = if answer.head.contains("Content-Length") {
                String::new()
            } else {
                format!("Content-Length: {len}\r\n")
            };
            let head = format!("HTTP/1.1 {} Status\r\n{}{length}\r\n", answer.status, answer.head);
            let stream = connection.get_mut();
            if stream.write_all(&[head.as_bytes(), &answer.body].concat()).is_err() {
                return;
            }
        }
    }

    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        now.checked_add_signed(self.state().ahead).unwrap()
    }

    fn answer(&self, request: &Request) -> Answer {
        let now = self.now();
        let date = |time: u64| {
            chrono::DateTime::from_timestamp(time as i64, 0).unwrap().format("%a, %d %b %Y %H:%M:%S GMT")
        };
        let head = format!("Date: {}\r\n", date(now));
        let refuse = |(status, code): (u16, &str)| {
            // Like Cloud Storage itself, it repeats what was signed.
            let body = format!(
                "<?xml version='1.0'?><Error><Code>{code}</Code><Details>{}</Details></Error>",
                request.query
            );
            Answer { status, head: head.clone(), body: body.into_bytes() }
        };
        if let Err(error) = request.check(now) {
            return refuse(error);
        }
        let mut state = self.state();
        match (&*request.method, state.objects.get(&request.path).cloned()) {
            ("PUT", Some(_)) if !state.may_replace => refuse((403, "AccessDenied")),
            ("PUT", _) => {
                let header = |name: &str| request.headers.get(name).cloned();
                let stored = Stored {
                    body: request.body.clone(),
                    content_type: header("content-type"),
                    coding: header("content-encoding"),
                };
                state.objects.insert(request.path.clone(), stored);
                Answer { status: 200, head, body: Vec::new() }
            }
            (_, None) => refuse((404, "NoSuchKey")),
            (method, Some(stored)) => {
                let coding =
                    stored.coding.map(|coding| format!("Content-Encoding: {coding}\r\n")).unwrap_or_default();
                let len = stored.body.len();
                let head = format!("{head}Last-Modified: {}\r\nContent-Length: {len}\r\n{coding}", date(now));
                Answer { status: 200, head, body: if method == "HEAD" { Vec::new() } else { stored.body } }
            }
        }
    }
}

impl Request {
    fn read(connection: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = || {
            let mut line = String::new();
            match connection.read_line(&mut line) {
                Ok(1..) => Some(line.trim_end().to_owned()),
                _ => None,
            }
        };
        let start = line()?;
        let mut parts = start.split(' ');
        let (method, target) = (parts.next()?.to_owned(), parts.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let mut headers = HashMap::new();
        while let Some((name, value)) = line()?.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let len = headers.get("content-length").map_or(0, |len: &String| len.parse().unwrap());
        let mut body = vec![0; len];
        connection.read_exact(&mut body).ok()?;
        Some(Self { method, path, query, headers, body })
    }

    /// Checks signature and time according to "Canonical requests" and "Signatures" of Cloud Storage's documentation.
    fn check(&self, now: u64) -> Result<(), (u16, &'static str)> {
        let denied = |code| (403, code);
        let pairs: Vec<&str> = self.query.split('&').collect();
        let find = |name: &str| {
            pairs
                .iter()
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                .ok_or((400, "AuthenticationRequired"))
        };
        let signed_headers = decode(find("X-Goog-SignedHeaders")?);
        let mut headers = String::new();
        for name in signed_headers.split(';') {
            let value = self.headers.get(name).ok_or((400, "MalformedSecurityHeader"))?;
            // The port is not signed.
            let value = if name == "host" { value.split(':').next().unwrap() } else { value };
            headers.push_str(&format!("{name}:{value}\n"));
        }
        let is_signed = |name: &str| signed_headers.split(';').any(|signed| signed == name);
        if self.headers.keys().any(|name| name.starts_with("x-goog-") && !is_signed(name)) {
            return Err((400, "MalformedSecurityHeader"));
        }
        let mut signed: Vec<_> =
            pairs.iter().copied().filter(|pair| !pair.starts_with("X-Goog-Signature=")).collect();
        signed.sort_unstable();
        let canonical = format!(
            "{}\n{}\n{}\n{headers}\n{signed_headers}\nUNSIGNED-PAYLOAD",
            self.method,
            self.path,
            signed.join("&")
        );
        let (algorithm, time) = (find("X-Goog-Algorithm")?, find("X-Goog-Date")?);
        let credential = decode(find("X-Goog-Credential")?);
        let (signer, scope) = credential.split_once('/').unwrap();
        let scope_of_day = format!("{}/auto/storage/goog4_request", &time[..8]);
        if scope != scope_of_day {
            return Err((400, "InvalidArgument"));
        }
        let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("{algorithm}\n{time}\n{scope}\n{digest}");
        let signature = unhex(find("X-Goog-Signature")?).ok_or(denied("SignatureDoesNotMatch"))?;
        if !verify(algorithm, signer, &time[..8], text.as_bytes(), &signature) {
            return Err(denied("SignatureDoesNotMatch"));
        }
        let signed_at =
            chrono::NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ").unwrap().and_utc().timestamp();
        let (signed_at, lifetime) = (signed_at as u64, find("X-Goog-Expires")?.parse::<u64>().unwrap());
        if lifetime > 604_800 || signed_at > now + 15 * 60 {
            return Err((400, "InvalidArgument"));
        }
        if now >= signed_at + lifetime { Err((400, "ExpiredToken")) } else { Ok(()) }
    }
}

fn verify(algorithm: &str, signer: &str, date: &str, text: &[u8], signature: &[u8]) -> bool {
    match (algorithm, signer) {
        ("GOOG4-RSA-SHA256", "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com") => {
            let file: serde_json::Value = serde_json::from_str(SERVICE_ACCOUNT).unwrap();
            let pem = file["private_key"].as_str().unwrap();
            let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
            let pair = signature::RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
            let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
            public.verify(&signature::RSA_PKCS1_2048_8192_SHA256, text, signature).is_ok()
        }
        ("GOOG4-HMAC-SHA256", ACCESS_ID) => {
            let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
            let parts = [date, "auto", "storage", "goog4_request"];
            let key = parts.iter().fold(format!("GOOG4{SECRET}").into_bytes(), |key, part| {
                sign(&key, part.as_bytes()).as_ref().to_vec()
            });
            sign(&key, text).as_ref() == signature
        }
        _ => false,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}
