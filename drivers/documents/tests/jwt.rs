//! A server that accepts JSON Web Tokens, and an issuer whose keys rotate, stall, are wrong or disappear. All on real
//! sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vgi_rpc_documents::DocumentLoader;
use vgi_rpc_effects::Performer;
use vgi_rpc_external::{FetcherOptions, HttpFetcher};
use vgi_rpc_http::{Address, Handle, HttpServer, system_entropy};
use vgi_rpc_protocol::external::UrlPolicy;
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::http::auth::{JwtIssuer, jwt};
use vgi_rpc_protocol::service::{Method, Protocol, Service};

const ISSUER: &str = "https://login.example";

/// How the issuer's server responds to a request.
#[derive(Clone)]
enum Behaviour {
    /// Publishes the keys with these numbers, after a delay.
    Publish(Vec<u8>, Duration),
    /// Sends this text as it is.
    Say(String),
    Stall,
}

/// The issuer's server.
struct Issuer {
    address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    requests: Arc<AtomicUsize>,
}

impl Issuer {
    fn new(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (behaviour, requests) = (Arc::new(Mutex::new(behaviour)), Arc::new(AtomicUsize::new(0)));
        let (shared, counted) = (behaviour.clone(), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (behaviour, counted) = (shared.clone(), counted.clone());
                thread::spawn(move || answer(stream.unwrap(), &behaviour, &counted));
            }
        });
        Self { address, behaviour, requests }
    }

    fn publishing(keys: &[u8]) -> Self {
        Self::new(Behaviour::Publish(keys.to_vec(), Duration::ZERO))
    }

    fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }
}

fn answer(mut stream: TcpStream, behaviour: &Mutex<Behaviour>, requests: &AtomicUsize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return;
        }
        head.push(byte[0]);
    }
    requests.fetch_add(1, Ordering::AcqRel);
    assert!(
        !String::from_utf8_lossy(&head).to_lowercase().contains("authorization"),
        "it is sent no credential"
    );
    let behaviour = behaviour.lock().unwrap().clone();
    let text = match behaviour {
        Behaviour::Publish(keys, after) => {
            thread::sleep(after);
            let keys = published(&keys).to_string();
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{keys}", keys.len())
        }
        Behaviour::Say(text) => text,
        Behaviour::Stall => {
            thread::sleep(Duration::from_secs(30));
            return;
        }
    };
    // A client that has read enough may disconnect.
    let _ = stream.write_all(text.as_bytes());
}

fn signer(number: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap()
}

fn published(numbers: &[u8]) -> Value {
    let key = |number: &u8| {
        let x = URL_SAFE_NO_PAD.encode(signer(*number).public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": format!("key {number}"), "x": x})
    };
    json!({"keys": numbers.iter().map(key).collect::<Vec<_>>()})
}

fn token_with_id(number: u8, id: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = json!({"alg": "EdDSA", "kid": id});
    let claims = json!({"iss": ISSUER, "aud": "tables", "sub": "ann", "exp": now + 600});
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(signer(number).sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn token(number: u8) -> String {
    token_with_id(number, &format!("key {number}"))
}

/// A server that accepts the issuer's tokens.
struct Running {
    address: SocketAddr,
    handle: Handle,
}

impl Running {
    fn new(issuer: &Issuer) -> Self {
        let mut options = FetcherOptions::default();
        options.read_timeout = Duration::from_millis(700);
        let fetcher = HttpFetcher::new(options).unwrap();
        Self::with(issuer, DocumentLoader::with(fetcher, UrlPolicy::https_or_http_loopback()))
    }

    fn with(issuer: &Issuer, loader: DocumentLoader) -> Self {
        let who = Method::new("who").unary(|_, _| Ok(()));
        let service = Service::builder("documents000").protocol(Protocol::new("test.Jwt.v1").method(who));
        let url = format!("http://{}/keys", issuer.address);
        let callers = jwt([JwtIssuer::new(ISSUER, ["tables"]).key_set_url(url)]).unwrap();
        let endpoint =
            Endpoint::builder(Arc::new(service.build().unwrap()), system_entropy).authenticate(callers);
        let server = HttpServer::new(endpoint.build().unwrap()).effects(Performer::new(loader));
        let bound = server.bind_tcp("127.0.0.1:0").unwrap();
        let Address::Tcp(address) = bound.address() else { panic!("a TCP address") };
        let (address, handle) = (*address, bound.handle());
        thread::spawn(move || bound.run().unwrap());
        Self { address, handle }
    }

    /// Returns the response head of a call with an invalid body: an authenticated call is refused for its body.
    fn head(&self, token: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let request = format!(
            "POST /test.Jwt.v1/who HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/vnd.apache.arrow.stream\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let response = String::from_utf8_lossy(&response);
        response.split("\r\n\r\n").next().unwrap().to_lowercase()
    }

    fn status(&self, token: &str) -> u16 {
        self.head(token).split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.drain(Duration::ZERO);
    }
}

/// The status of an authenticated call whose body is empty.
const LET_IN: u16 = 400;

#[test]
fn all_calls_wait_for_one_load() {
    let issuer = Issuer::new(Behaviour::Publish(vec![1], Duration::from_millis(300)));
    let running = Running::new(&issuer);
    let statuses: Vec<_> = thread::scope(|scope| {
        let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| running.status(&token(1)))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(statuses, [LET_IN; 20]);
    assert_eq!(issuer.requests(), 1);
    assert_eq!((running.status(&token(1)), issuer.requests()), (LET_IN, 1));
}

#[test]
fn made_up_ids_and_a_rotation() {
    let issuer = Issuer::publishing(&[1]);
    let running = Running::new(&issuer);
    assert_eq!(running.status(&token(1)), LET_IN);
    // Right after a load, the server cannot distinguish a new id from an invented one.
    let flood = |ids: std::ops::Range<u32>| {
        thread::scope(|scope| {
            let calls: Vec<_> = ids
                .map(|id| {
                    scope.spawn({
                        let running = &running;
                        move || running.head(&token_with_id(9, &id.to_string()))
                    })
                })
                .collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
        })
    };
    for head in flood(0..40) {
        assert!(head.contains(" 503 ") && head.contains("retry-after: "), "{head}");
    }
    assert_eq!((running.status(&token(1)), issuer.requests()), (LET_IN, 1));
    issuer.behave(Behaviour::Publish(vec![2], Duration::from_millis(100)));
    thread::sleep(Duration::from_secs(5));
    // The new key is accepted at once, during the next flood, which itself causes no load.
    thread::scope(|scope| {
        let flooded = scope.spawn(|| flood(100..140));
        assert_eq!(running.status(&token(2)), LET_IN);
        for head in flooded.join().unwrap() {
            assert!(head.contains(" 401 ") || head.contains(" 503 "), "{head}");
        }
    });
    assert!((2..=3).contains(&issuer.requests()), "{}", issuer.requests());
    assert_eq!(running.status(&token(2)), LET_IN);
    assert_ne!(running.status(&token(1)), LET_IN, "that key was removed");
}

#[test]
fn an_issuer_that_lies_stalls_or_is_gone_is_an_outage() {
    let page = "<html>not found</html>";
    let long = "x".repeat(300_000);
    for behaviour in [
        Behaviour::Stall,
        Behaviour::Say("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n".into()),
        Behaviour::Say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len())),
        Behaviour::Say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}", long.len())),
        Behaviour::Say("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n".into()),
        Behaviour::Say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"keys\"".into()),
        Behaviour::Say("nothing like HTTP\r\n\r\n".into()),
    ] {
        let issuer = Issuer::new(behaviour);
        let running = Running::new(&issuer);
        let head = running.head(&token(1));
        assert!(head.contains(" 503 ") && head.contains("retry-after: "), "{head}");
        assert_eq!(issuer.requests(), 1, "it is not requested again at once");
    }
    let gone = Issuer::publishing(&[1]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let running = Running::new(&Issuer { address: free, ..gone });
    assert!(running.head(&token(1)).contains(" 503 "));
}

#[test]
fn callers_who_go_away_cause_no_further_load() {
    let issuer = Issuer::new(Behaviour::Publish(vec![1], Duration::from_millis(200)));
    let running = Running::new(&issuer);
    for _ in 0..5 {
        let mut stream = TcpStream::connect(running.address).unwrap();
        let head = "POST /test.Jwt.v1/who HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n";
        stream.write_all(format!("{head}Authorization: Bearer {}\r\n\r\n", token(1)).as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(100));
        drop(stream);
        thread::sleep(Duration::from_millis(300));
    }
    assert_eq!((running.status(&token(1)), issuer.requests()), (LET_IN, 1));
}

#[test]
fn plain_http_is_refused_by_default() {
    let issuer = Issuer::publishing(&[1]);
    let running = Running::with(&issuer, DocumentLoader::new().unwrap());
    // A configuration mistake, which no later request can repair.
    assert!(running.head(&token(1)).contains(" 500 "));
    assert_eq!(issuer.requests(), 0);
}
