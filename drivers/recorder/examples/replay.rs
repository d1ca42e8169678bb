//! Records a conversation, shows captures, replays them, and turns them into tests.
//!
//! ```sh
//! cargo run -p vgi-rpc-recorder --example replay -- demo DIR            # record two conversations
//! cargo run -p vgi-rpc-recorder --example replay -- show FILE           # print a conversation
//! cargo run -p vgi-rpc-recorder --example replay -- server FILE         # replay it to the service of this example
//! cargo run -p vgi-rpc-recorder --example replay -- client FILE         # replay it to a client
//! cargo run -p vgi-rpc-recorder --example replay -- golden FILE DIR NAME
//! cargo run -p vgi-rpc-recorder --example replay -- seed FILE TARGET DIR NAME
//! ```
//!
//! `client` and `golden` accept captures of pipes and sockets. `golden` writes `NAME.request.bin` and `NAME.response.bin`, and
//! adds NAME to `index.json`, in the form of `tests/golden`. `seed` writes a seed of a fuzz target to `DIR/TARGET/NAME`; the
//! targets are `server_session`, `client_connection` and `ipc_raw` for captures of pipes and sockets, `http1_server` and
//! `http1_client` for captures of HTTP, and `capture` for all. To replay a worker's capture to its own service, run that worker
//! with `--replay FILE`.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};
use vgi_rpc_http::HttpServer;
use vgi_rpc_http::client::{Client, HttpOptions};
use vgi_rpc_protocol::http::Endpoint;
use vgi_rpc_protocol::prelude::*;
use vgi_rpc_protocol::service::{Service, TransportKind};
use vgi_rpc_recorder::replay::{Player, Replayed, kinds_of, to_client, to_service};
use vgi_rpc_recorder::{Capture, RecorderOptions};
use vgi_rpc_unix::SocketServer;

const SERVER_ID: &str = "demo";
/// The index of a folder without conversations.
const EMPTY_INDEX: &str =
    "{\n  \"about\": \"Made of captures\",\n  \"volatile\": {},\n  \"scenarios\": {\n  }\n}\n";

#[service(name = "demo.Hello.v1", version = "1.0.0")]
trait Hello {
    /// Greets a person.
    fn greet(&self, name: &str) -> Result<String, RpcError>;
}

struct Worker;

impl Hello for Worker {
    fn greet(&self, name: &str) -> Result<String, RpcError> {
        match name {
            "" => Err(RpcError::value_error("expected a name, got an empty text")),
            name => Ok(format!("Hello, {name}!")),
        }
    }
}

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn service() -> Result<Arc<Service>> {
    Ok(Arc::new(Service::builder(SERVER_ID).protocol(HelloProtocol::serve(Worker)).build()?))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command. Returns false if a replay differs.
fn run(arguments: &[&str]) -> Result<bool> {
    let read = |file: &str| -> Result<Capture> {
        let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        Ok(Capture::parse(&bytes).map_err(|error| format!("{file}: {error}"))?)
    };
    match arguments {
        ["demo", folder] => demo(Path::new(folder))?,
        ["show", file] => print!("{}", read(file)?.transcript()),
        ["server", file] => return Ok(report(&to_server(read(file)?)?)),
        ["client", file] => {
            let service = service()?;
            let print = |event: &vgi_rpc_protocol::client::Event| println!("{event:?}");
            return Ok(report(&to_client(&read(file)?, kinds_of(&service), print)?));
        }
        ["golden", file, folder, name] => golden(&read(file)?, Path::new(folder), name)?,
        ["seed", file, target, folder, name] => {
            let folder = Path::new(folder).join(target);
            let seed = read(file)?.seed(target)?;
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(name), seed)?;
        }
        _ => {
            return Err("expected demo DIR, show FILE, server FILE, client FILE, golden FILE DIR NAME or seed FILE TARGET DIR NAME".into());
        }
    }
    Ok(true)
}

fn report(replayed: &Replayed) -> bool {
    replayed.differences.iter().for_each(|difference| println!("{difference}"));
    println!("{} parts compared, {} skipped because of withheld values", replayed.compared, replayed.skipped);
    replayed.is_equal()
}

/// Replays a capture to the service of this example; over HTTP with the random bytes and the clock readings of the capture.
fn to_server(capture: Capture) -> Result<Replayed> {
    if capture.header.transport != TransportKind::Http {
        return Ok(to_service(&capture, service()?)?);
    }
    let player = Player::new(capture)?;
    let endpoint = Endpoint::builder(service()?, player.entropy()).build()?;
    let server = HttpServer::new(endpoint).clock(player.clock());
    let acceptor = server.acceptor(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(player.to_server(&acceptor)?)
}

/// Records calls over TCP and over HTTP.
fn demo(folder: &Path) -> Result<()> {
    let recorder = RecorderOptions::new(folder).open()?;
    let layer = recorder.layer(TransportKind::Tcp, SERVER_ID);
    let bound = SocketServer::new(service()?).bind_tcp_with("0", layer)?;
    let (handle, address) = (bound.handle(), bound.address().to_string());
    let thread = thread::spawn(|| bound.run());
    call(vgi_rpc_unix::connect_tcp(address.trim_start_matches("TCP:"))?)?;
    handle.drain(Duration::from_secs(10));
    thread.join().map_err(|_| "the server panicked")??;

    let endpoint = Endpoint::builder(service()?, recorder.entropy(vgi_rpc_http::system_entropy)).build()?;
    let clock = recorder.clock(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let layer = recorder.layer(TransportKind::Http, SERVER_ID);
    let bound = HttpServer::new(endpoint).clock(clock).bind_tcp_with("0", layer)?;
    let (handle, url) = (bound.handle(), bound.address().to_string());
    let thread = thread::spawn(|| bound.run());
    call(HttpOptions::default().build(&url)?.client())?;
    handle.drain(Duration::from_secs(10));
    thread.join().map_err(|_| "the server panicked")??;
    recorder.close(std::time::Duration::from_secs(10));
    println!("{} captures in {}", recorder.written(), folder.display());
    Ok(())
}

fn call(client: Client) -> Result<()> {
    let mut hello = HelloClient::new(client);
    println!("{}", hello.greet("world")?);
    if let Err(error) = hello.greet("") {
        println!("{error}");
    }
    Ok(())
}

/// Adds a golden conversation to a folder.
fn golden(capture: &Capture, folder: &Path, name: &str) -> Result<()> {
    let golden = capture.golden()?;
    fs::create_dir_all(folder)?;
    let path = folder.join("index.json");
    let index = match fs::read_to_string(&path) {
        Ok(index) => index,
        Err(error) if error.kind() == ErrorKind::NotFound => EMPTY_INDEX.to_owned(),
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    };
    let index = golden.add_to_index(&index, name).map_err(|error| format!("{}: {error}", path.display()))?;
    fs::write(folder.join(format!("{name}.request.bin")), golden.request)?;
    fs::write(folder.join(format!("{name}.response.bin")), golden.response)?;
    fs::write(path, index)?;
    Ok(())
}
