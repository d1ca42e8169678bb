//! Reloads the TLS files on SIGHUP.

use std::io;
use vgi_rpc_tls::ServerTls;

/// Reloads the settings on each SIGHUP, until the process ends. Errors are written to stderr.
#[cfg(unix)]
pub(crate) fn reload_on_hangup(tls: ServerTls) -> io::Result<()> {
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::UnixStream;
    use vgi_rpc_protocol::OneLine;
    let (mut receiver, sender) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGHUP, sender)?;
    std::thread::Builder::new().name("tls-reload".to_owned()).spawn(move || {
        loop {
            match receiver.read(&mut [0; 64]) {
                Ok(0) => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
                Ok(_) => {}
            }
            if let Err(error) = tls.reload() {
                let _ = writeln!(io::stderr(), "the TLS files were not reloaded: {}", OneLine(error));
            }
        }
    })?;
    Ok(())
}

/// Does nothing: this platform has no such signal.
#[cfg(not(unix))]
pub(crate) fn reload_on_hangup(_: ServerTls) -> io::Result<()> {
    Ok(())
}
