//! Each transport, selected by one flag.

use crate::support::{Listening, greet, process, text};
use std::process::Stdio;
#[cfg(feature = "unix")]
use vgi_rpc_connect::CallError;

#[cfg(unix)]
pub fn pipe() {
    let program = std::env::current_exe().unwrap();
    for flags in ["", "--pipe"] {
        let role = crate::support::ROLE;
        let address = format!("cmd:env {role}=greeter '{}' {flags}", program.display());
        assert_eq!(greet(&address, "world").unwrap(), "Hello, world!");
    }
    // There is no discovery line, nor any other output except messages.
    let mut command = process("greeter", &[]);
    let output = command.stdin(Stdio::piped()).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
}

#[cfg(all(unix, feature = "unix"))]
pub fn unix() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let path = folder.join("socket");
    for given in [path.to_str().unwrap(), "socket"] {
        let mut command = process("greeter", &["--unix", given]);
        let worker = Listening::run({
            command.current_dir(&folder);
            command
        });
        assert_eq!(worker.place("UNIX:"), path.to_str().unwrap());
        assert_eq!(greet(&format!("unix:{}", path.display()), "world").unwrap(), "Hello, world!");
    }
}

#[cfg(feature = "unix")]
pub fn tcp() {
    for address in ["0", ":0", "127.0.0.1:0", "localhost:0"] {
        let worker = Listening::start(&["--tcp", address]);
        let bound = worker.place("TCP:");
        assert_eq!(greet(&format!("tcp:{bound}"), "world").unwrap(), "Hello, world!", "{address}");
    }
    let one_by_one = Listening::start(&["--tcp", "0", "--no-threaded", "--threads", "1"]);
    let address = format!("tcp:{}", one_by_one.place("TCP:"));
    for _ in 0..2 {
        assert_eq!(greet(&address, "world").unwrap(), "Hello, world!");
    }
}

#[cfg(feature = "http")]
pub fn http() {
    for flags in [&["--http"][..], &["--http", "0"], &["--http", "--port", "0", "--host", "localhost"]] {
        let worker = Listening::start(flags);
        let url = format!("http://127.0.0.1:{}", worker.place("PORT:").parse::<u16>().unwrap());
        assert_eq!(greet(&url, "world").unwrap(), "Hello, world!");
        assert!(greet(&format!("{url}/vgi"), "world").is_err());
    }
    let worker = Listening::start(&["--http", "--prefix", "/vgi"]);
    let url = format!("http://127.0.0.1:{}/vgi", worker.place("PORT:"));
    assert_eq!(greet(&url, "world").unwrap(), "Hello, world!");
}

#[cfg(all(unix, feature = "unix"))]
pub fn stdout() {
    use std::io::Read;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let (mut errors, stderr) = std::io::pipe().unwrap();
    let mut command = process("greeter", &["--unix", path.to_str().unwrap()]);
    command.stderr(stderr);
    let worker = Listening::run(command);
    assert_eq!(greet(&format!("unix:{}", path.display()), "world").unwrap(), "Hello, world!");
    assert_eq!(worker.rest_of_stdout(), "");
    let mut printed = String::new();
    errors.read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "greeting world\n");
    // The reader of the line has disconnected: an error, not a panic.
    let (_, nowhere) = std::io::pipe().unwrap();
    let nowhere = process("greeter", &["--tcp", "0"]).stdout(nowhere).stderr(Stdio::piped()).spawn().unwrap();
    let ended = nowhere.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        text(&ended.stderr).contains(": the address cannot be written to stdout: "),
        "{}",
        text(&ended.stderr)
    );
}

#[cfg(feature = "unix")]
pub fn large() {
    let worker = Listening::start(&["--tcp", "0", "--max-message-bytes", "4096"]);
    let address = format!("tcp:{}", worker.place("TCP:"));
    assert!(greet(&address, &"x".repeat(2000)).is_ok());
    let refused = greet(&address, &"x".repeat(5000)).unwrap_err();
    assert!(matches!(&refused, CallError::Rpc(error) if error.to_string().contains("4096")), "{refused}");
}

#[cfg(all(unix, feature = "unix", feature = "http"))]
pub fn typed() {
    const EXPECTED: &str = "TEXT Point { x: 2.0, y: 1.0 }
1.5 Some(1)
High 1970-01-02 00:00:00 UTC
Hello, world! Hello, world?
true ValueError: not today
log: noted
log: 1000000 points to go
log: 900000 points to go
log: 800000 points to go
log: 700000 points to go
log: 600000 points to go
log: 500000 points to go
log: 400000 points to go
log: 300000 points to go
log: 200000 points to go
log: 100000 points to go
log: 0 points to go
1000000
[Point { x: 1.0, y: 0.5 }] [Point { x: 3.0, y: 1.0 }]
";
    let serve = |flags: &[&str]| Listening::run(process("twelve", flags));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket").display().to_string();
    let (unix, tcp, http) = (serve(&["--unix", &path]), serve(&["--tcp", "0"]), serve(&["--http"]));
    let program = std::env::current_exe().unwrap();
    let addresses = [
        format!("cmd:env {}=twelve '{}'", crate::support::ROLE, program.display()),
        format!("unix:{}", unix.place("UNIX:")),
        format!("tcp:{}", tcp.place("TCP:")),
        format!("http://127.0.0.1:{}", http.place("PORT:")),
    ];
    for address in addresses {
        let called = process("twelve", &["call", &address]).output().unwrap();
        assert!(called.status.success(), "{address}: {}", text(&called.stderr));
        assert_eq!(text(&called.stdout), EXPECTED, "{address}");
    }
}

/// Forwards connections to a port of this machine, with a header that states 192.0.2.10:4242 as their source.
#[cfg(all(unix, feature = "unix", feature = "http"))]
fn forward(port: u16) -> u16 {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::thread;
    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x0a\xc6\x33\x64\x14\x10\x92\x24\xb8";
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            server.write_all(HEADER).unwrap();
            copy(client.try_clone().unwrap(), server.try_clone().unwrap());
            copy(server, client);
        }
    });
    own
}

#[cfg(all(unix, feature = "unix", feature = "http"))]
pub fn proxied() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, scheme, place) in
        [("--tcp=0", "tcp:127.0.0.1:", "TCP:127.0.0.1:"), ("--http", "http://127.0.0.1:", "PORT:")]
    {
        let log = folder.path().join(place);
        let log = log.to_str().unwrap();
        let flags = [flag, "--proxy-protocol", "127.0.0.1, ::1", "--access-log", log];
        let mut command = process("greeter", &flags);
        command.stderr(Stdio::piped());
        let worker = Listening::run(command);
        let port = worker.place(place).parse().unwrap();
        assert_eq!(greet(&format!("{scheme}{}", forward(port)), "world").unwrap(), "Hello, world!");
        let line = std::fs::read_to_string(log).unwrap();
        assert!(line.contains("\"remote_addr\":\"192.0.2.10:4242\""), "{line}");
        assert!(line.contains("\"proxy_addr\":\"127.0.0.1:"), "{line}");
        // A client that connects directly sends no header, and is closed.
        assert!(greet(&format!("{scheme}{port}"), "world").is_err());
        let said = worker.stderr();
        let text = "expected a PROXY protocol header of version 2, got other bytes";
        assert!(said.contains("\nrefused a connection from 127.0.0.1:") && said.contains(text), "{said}");
    }
}
