//! The serve loop: one connection over a reader and a writer, handlers invoked in between.

use bytes::Buf;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use thiserror::Error;
use vgi_rpc_protocol::service::{Peer, Responder, Service, TransportKind};
use vgi_rpc_protocol::{ConnectionError, IdSource, Limits, Next};

/// The connection ended otherwise than by the peer closing it between calls.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Reading or writing failed.
    #[error("the transport failed: {0}")]
    Io(#[from] io::Error),
    /// The peer broke the protocol.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// Serves on this process's stdin and stdout until the peer closes its side.
pub fn serve_stdio(service: Arc<Service>) -> Result<(), ServeError> {
    serve(service, io::stdin().lock(), io::stdout().lock())
}

/// Serves on any pair of reader and writer.
pub fn serve(service: Arc<Service>, mut reader: impl Read, mut writer: impl Write) -> Result<(), ServeError> {
    let peer = Peer::new(TransportKind::Pipe, service.server_id().clone());
    let mut responder = Responder::new(service, peer, Limits::default(), IdSource::seeded(0));
    loop {
        match responder.poll_work() {
            Ok(Next::Event(work)) => {
                let done = work.run();
                let _ = responder.complete(done);
            }
            Ok(Next::NeedInput) => {
                flush(&mut responder, &mut writer)?;
                match reader.read(responder.read_buf()) {
                    Ok(0) => responder.receive_eof(),
                    Ok(count) => responder.advance(count),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(Next::NeedDrain | Next::NeedCommand) => flush(&mut responder, &mut writer)?,
            Ok(Next::Closed) => return flush(&mut responder, &mut writer),
            Err(error) => {
                flush(&mut responder, &mut writer)?;
                return Err(error.into());
            }
        }
    }
}

fn flush(responder: &mut Responder, writer: &mut impl Write) -> Result<(), ServeError> {
    while let Some(outbox) = responder.poll_transmit() {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = outbox.chunks_vectored(&mut slices);
        match writer.write_vectored(&slices[..count]) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(count) => outbox.advance(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    writer.flush()?;
    Ok(())
}
