//! The driver's one connection to a server.

use crate::http::Http;
use crate::instruction::{Connect, Target};
use crate::reply::{Reply, SharedLogs};
use ::http::{HeaderName, HeaderValue};
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::time::Duration;
use vgi_rpc_external::{FetcherOptions, HttpFetcher};
use vgi_rpc_http::client::HttpOptions;
use vgi_rpc_protocol::Limits;
use vgi_rpc_protocol::external::{FetchOptions, UrlPolicy};
use vgi_rpc_protocol::http::coding::CodecSettings;
use vgi_rpc_protocol::shm::{Counters, Counts};
use vgi_rpc_stdio::{Child, Client, External, Remote, ShmClient};

/// How long a child may take to end: less than the five seconds after which the harness kills this process.
const GRACE: Duration = Duration::from_secs(3);
/// The environment variable that names a file for the shared memory counts.
const COUNTS: &str = "VGI_CONF_SHM_COUNTS";

/// A connection, and the protocol that its calls address.
pub struct ConnectedTarget {
    remote: Remote,
    /// Makes the calls outside sessions.
    client: Client,
    http: Option<Http>,
    /// The shared memory counts.
    shared_memory: Option<Counters>,
}

impl ConnectedTarget {
    /// Connects.
    ///
    /// # Errors
    /// If that fails, with the reason.
    pub fn open(connect: Connect, logs: &SharedLogs) -> Result<Self, Box<dyn Error>> {
        let external = connect.external.then(external).transpose()?;
        let (mut http, mut shared_memory) = (None, None);
        let client = match &connect.target {
            Target::Stdio(argv) => spawn(argv)?,
            Target::Shm(argv) => {
                let shared = ShmClient::new(connect.shm_size);
                shared_memory = Some(shared.counters().clone());
                spawn(argv)?.shared_memory(shared)
            }
            Target::Unix(path) => vgi_rpc_unix::connect_unix(path)?,
            // An empty host is omitted.
            Target::Tcp(address) => vgi_rpc_unix::connect_tcp(address.strip_prefix(':').unwrap_or(address))?,
            Target::Http(url) => {
                let server = options(&connect)?.build(url)?;
                let client = server.client();
                http = Some(Http::new(server, logs.clone(), external.clone()));
                client
            }
        };
        let logs = logs.clone();
        let mut client = client.on_log(move |log| logs.push(log));
        if let Some(external) = external {
            client.set_external(external);
        }
        Ok(Self { remote: Remote::new(connect.protocol), client, http, shared_memory })
    }

    /// Returns what is called, and the client for it: the innermost session's, if there is one.
    pub fn client(&mut self) -> (&Remote, &mut Client) {
        let session = self.http.as_mut().and_then(Http::client);
        (&self.remote, session.unwrap_or(&mut self.client))
    }

    /// Returns what exists only over HTTP.
    ///
    /// # Errors
    /// A refusal, on any other transport.
    pub fn http(&mut self) -> Result<&mut Http, Reply> {
        self.http.as_mut().ok_or_else(|| Reply::refused("op requires http transport"))
    }

    /// Closes the sessions, and then the connection.
    pub fn close(self) {
        self.http.into_iter().for_each(Http::close);
        // An unusual exit of the process no longer matters.
        let _ = self.client.close();
        if let (Some(counters), Some(path)) = (self.shared_memory, std::env::var_os(COUNTS)) {
            let Counts { attached, written, read, .. } = counters.counts();
            let file = OpenOptions::new().append(true).create(true).open(path);
            // The lane fails if this is not written.
            let _ = file.and_then(|mut file| writeln!(file, "{attached} {written} {read}"));
        }
    }
}

fn spawn(argv: &[String]) -> Result<Client, Box<dyn Error>> {
    let (program, arguments) = argv.split_first().ok_or("the command is empty")?;
    let mut command = Command::new(program);
    command.args(arguments);
    let mut child = Child::spawn(command)?;
    child.set_grace(GRACE);
    Ok(Client::new(child, Limits::default()))
}

/// Returns the settings for fetching objects: the suite's store is on this machine, without TLS.
fn external() -> Result<External, Box<dyn Error>> {
    let policy = UrlPolicy::https_or_http_loopback();
    let options = FetchOptions { policy, ..FetchOptions::default() };
    Ok(External::new(options, HttpFetcher::new(FetcherOptions::default())?))
}

fn options(connect: &Connect) -> Result<HttpOptions, Box<dyn Error>> {
    let mut options = HttpOptions::default();
    if let Some(level) = connect.compression_level {
        let default = CodecSettings::default();
        let zstd_level = level.unwrap_or(default.zstd_level);
        options = options.compress_requests(level.is_some()).codec(CodecSettings { zstd_level, ..default });
    }
    for (name, value) in &connect.headers {
        options = options.header(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(options)
}
