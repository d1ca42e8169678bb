//! A small object store over HTTP, at URLs with credentials and a signature, like the capture's, for the worker's
//! requests.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Objects by their paths: the bytes, and the headers from their upload.
type Objects = HashMap<String, (Vec<u8>, String)>;

/// Serves objects until the test ends.
pub struct Store {
    /// Host and port.
    pub address: String,
    objects: Arc<Mutex<Objects>>,
}

impl Store {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let objects: Arc<Mutex<Objects>> = Arc::default();
        let (own, shared) = (address.clone(), objects.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &own, &mut shared.lock().unwrap());
            }
        });
        Self { address, objects }
    }

    pub fn put(&self, path: &str, bytes: &[u8]) {
        self.objects.lock().unwrap().insert(path.to_owned(), (bytes.to_vec(), String::new()));
    }

    /// Returns the URL of an object, as given to a client.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}?X-Signature=s3cr3t", self.address)
    }
}

/// Answers one request, and closes the connection.
fn answer(mut stream: TcpStream, address: &str, objects: &mut Objects) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let head: Vec<String> =
        reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let mut words = head.first().map_or("", String::as_str).split([' ', '?']);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
    let header = |name: &str| {
        let mut lines = head.iter().filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (status, headers, answer) = match (method, objects.get(&path)) {
        ("POST", _) => {
            let path = format!("/objects/{}", objects.len());
            let url =
                |user: &str, part: &str| format!("http://{user}{address}{path}?X-Signature=s3cr3t{part}");
            let urls = serde_json::json!({ "upload_url": url("", ""), "download_url": url("user:password@", "#part") });
            ("200 OK", String::new(), urls.to_string().into_bytes())
        }
        ("PUT", _) => {
            let coding = header("content-encoding").map(|coding| format!("Content-Encoding: {coding}\r\n"));
            objects.insert(path, (body, coding.unwrap_or_default()));
            ("200 OK", String::new(), Vec::new())
        }
        (_, Some((bytes, headers))) => ("200 OK", headers.clone(), bytes.clone()),
        _ => ("404 Not Found", String::new(), Vec::new()),
    };
    let length = answer.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    let answer = if method == "HEAD" { Vec::new() } else { answer };
    stream.write_all(&[head.as_bytes(), &answer].concat()).unwrap();
}
