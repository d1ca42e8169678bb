//! A worker over TLS: its flags, client certificates, and files that are reloaded on SIGHUP.

use crate::support::{Listening, greet_by, output, text};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vgi_rpc_connect::{ClientTls, ConnectOptions, Pem};

/// A folder with an authority, and certificates that it has issued to a server and a client.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.issue();
        files
    }

    /// Writes a new authority and new certificates.
    fn issue(&self) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Named differently from the certificates, which would otherwise look self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(self.path("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let authority = Issuer::new(params, key);
        for name in ["localhost", "client"] {
            let key = KeyPair::generate().unwrap();
            let issued =
                CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
            std::fs::write(self.path(&format!("{name}.pem")), issued.pem()).unwrap();
            std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn flag(&self, flag: &str, name: &str) -> String {
        format!("--{flag}={}", self.path(name).display())
    }

    fn client(&self, is_known: bool) -> ConnectOptions {
        let mut tls = ClientTls::builder().roots(Pem::file(self.path("ca.pem"))).server_name("localhost");
        if is_known {
            tls = tls.identity(Pem::file(self.path("client.pem")), Pem::file(self.path("client.key")));
        }
        ConnectOptions::default().tls(tls.build().unwrap())
    }

    fn flags(&self) -> [String; 3] {
        [
            self.flag("tls-cert", "localhost.pem"),
            self.flag("tls-key", "localhost.key"),
            self.flag("tls-client-ca", "ca.pem"),
        ]
    }
}

fn greets(options: &ConnectOptions, address: &str) -> bool {
    let client = options.connect(address);
    client.is_ok_and(|mut client| greet_by(&mut client, "world").is_ok_and(|said| said == "Hello, world!"))
}

pub fn served() {
    let files = Files::new();
    let [cert, key, ca] = files.flags();
    for transport in ["--tcp=0", "--http"] {
        let address = |worker: &Listening| match worker.line.split_once(':').unwrap() {
            ("TCP", place) => format!("tls:{place}"),
            (_, port) => format!("https://localhost:{port}"),
        };
        let worker = Listening::start(&[transport, &cert, &key]);
        assert!(greets(&files.client(false), &address(&worker)), "{transport}");
        let plain = address(&worker).replace("tls:", "tcp:").replace("https:", "http:");
        assert!(!greets(&ConnectOptions::default().timeouts(short()), &plain), "{transport}");
        let worker = Listening::start(&[transport, &cert, &key, &ca]);
        assert!(greets(&files.client(true), &address(&worker)), "{transport}");
        assert!(!greets(&files.client(false), &address(&worker)), "{transport}");
        let worker = Listening::start(&[transport, &cert, &key, &ca, "--tls-client-optional"]);
        assert!(greets(&files.client(false), &address(&worker)), "{transport}");
    }
}

fn short() -> vgi_rpc_connect::Timeouts {
    vgi_rpc_connect::Timeouts::default().call(Some(Duration::from_secs(5)))
}

pub fn reloaded() {
    let files = Files::new();
    let [cert, key, _] = files.flags();
    let worker = Listening::start(&["--tcp=0", &cert, &key]);
    let address = format!("tls:{}", worker.place("TCP:"));
    let old = files.client(false);
    let mut open = old.connect(&address).unwrap();
    assert_eq!(greet_by(&mut open, "world").unwrap(), "Hello, world!");
    files.issue();
    let new = files.client(false);
    assert!(!greets(&new, &address), "not loaded yet");
    worker.signal(Signal::HUP);
    let begun = Instant::now();
    while !greets(&new, &address) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the files are not loaded");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!greets(&old, &address));
    assert_eq!(greet_by(&mut open, "again").unwrap(), "Hello, again!");
}

pub fn refused() {
    let files = Files::new();
    let [cert, key, ca] = files.flags();
    let absent = files.flag("tls-key", "absent.key");
    let other = files.flag("tls-key", "client.key");
    for (flags, status, says) in [
        (&["--tcp=0", &cert][..], 2, "--tls-key"),
        (&["--tcp=0", &ca], 2, "--tls-cert"),
        (&[&cert, &key], 2, "'--tls-cert' cannot be used without '--tcp' or '--http'"),
        (&["--unix=/tmp/never", &cert, &key], 2, "cannot be used without '--tcp' or '--http'"),
        (&["--tcp=0", &cert, &absent], 1, "absent.key: cannot be read"),
        (&["--http", &cert, &other], 1, "client.key: expected the private key of the certificate in"),
    ] {
        let output = output(flags);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{flags:?}: {said}");
        assert!(said.contains(says), "{flags:?}: {said}");
        assert!(!said.contains(key_of(&files.path("client.key"))));
    }
}

/// Returns a line of a key, which must never be shown.
fn key_of(path: &Path) -> &'static str {
    let text = std::fs::read_to_string(path).unwrap();
    Box::leak(text.lines().nth(1).unwrap().to_owned().into_boxed_str())
}
