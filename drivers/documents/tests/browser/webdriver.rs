//! Drives a browser through `chromedriver`: the parts of W3C WebDriver that the test needs.

use super::free_port;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The key of an element in responses.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    pub fn start() -> Self {
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = command.spawn().expect("cannot start chromedriver");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "chromedriver does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
        ];
        let capabilities = json!({"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}});
        let mut browser = Self { driver, port, session: String::new() };
        let answer = browser.ask("POST", "/session", &json!({"capabilities": capabilities}));
        browser.session = format!("/session/{}", answer["sessionId"].as_str().unwrap());
        browser
    }

    pub fn go(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    pub fn url(&self) -> String {
        self.get("/url").as_str().unwrap().to_owned()
    }

    /// Returns the text of the first element that this selector matches.
    pub fn text(&self, selector: &str) -> String {
        let element = self.element(selector);
        self.get(&format!("/element/{element}/text")).as_str().unwrap().to_owned()
    }

    /// Clicks the first element that this selector matches. Returns when the new page has loaded.
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {selector} at {}", self.url())).to_owned()
    }

    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    pub fn cookies(&self) -> Vec<Value> {
        self.get("/cookie").as_array().unwrap().clone()
    }

    pub fn add_cookie(&self, name: &str, value: &str) {
        self.post("/cookie", &json!({"cookie": {"name": name, "value": value}}));
    }

    pub fn resize(&self, width: u32, height: u32) {
        self.post("/window/rect", &json!({"width": width, "height": height}));
    }

    /// Saves screenshots of the page, wide and narrow.
    pub fn screenshots(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        for (kind, width) in [("narrow", 400), ("wide", 1280)] {
            self.resize(width, 1000);
            let picture = self.get("/screenshot");
            let picture = STANDARD.decode(picture.as_str().unwrap()).unwrap();
            std::fs::write(folder.join(format!("{name}-{kind}.png")), picture).unwrap();
        }
    }

    fn get(&self, path: &str) -> Value {
        self.ask("GET", &format!("{}{path}", self.session), &Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("{}{path}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let body = whole_body(&mut stream);
        let mut answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body:.200}"));
        assert!(answer["value"]["error"].is_null(), "{method} {path}: {:.500}", answer["value"].to_string());
        answer["value"].take()
    }
}

/// Reads the body of a response. The driver keeps its connections open.
fn whole_body(stream: &mut TcpStream) -> String {
    let (mut received, mut buffer) = (Vec::new(), [0; 65536]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the driver has closed the connection");
        received.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap() {
            return body.to_owned();
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !thread::panicking() {
            self.ask("DELETE", &self.session, &Value::Null);
        }
        // The driver ends its browser when it exits.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
