//! SIGTERM and SIGINT end a server. On Unix they make a socket readable that the poll watches.

use crate::machine::Acceptor;
use crate::shared::Shared;
use crate::tokens::SIGNALS;
use mio::Interest;
use mio::unix::SourceFd;
use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// The registration of the two signals. Dropping it removes their handlers.
#[derive(Debug)]
pub(crate) struct Signals {
    ids: Vec<SigId>,
    _receiver: UnixStream,
}

impl Signals {
    pub(crate) fn watch<A: Acceptor>(shared: &Arc<Shared<A>>) -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        shared.registry.register(&mut SourceFd(&receiver.as_raw_fd()), SIGNALS, Interest::READABLE)?;
        let mut signals = Self { ids: Vec::new(), _receiver: receiver };
        for signal in [SIGTERM, SIGINT] {
            signals.ids.push(pipe::register(signal, sender.try_clone()?)?);
        }
        Ok(signals)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.ids.iter().for_each(|id| {
            unregister(*id);
        });
    }
}
