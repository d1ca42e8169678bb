//! Both machines in memory, as a caller.

use arrow_array::RecordBatch;
use bytes::Buf;
use std::sync::Arc;
use vgi_rpc_protocol::client::{self, Call, CallKind, Caller, CallerStream, Event, RemoteMethod};
use vgi_rpc_protocol::ipc::{EncodedSchema, Metadata};
use vgi_rpc_protocol::service::{Peer, Protocol, Responder, Service, TransportKind};
use vgi_rpc_protocol::values::ValueError;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{IdSource, Limits, Next};

/// A server and its client, each driven when the other waits.
pub struct InMemory {
    pub service: Arc<Service>,
    server: Responder,
    client: client::Connection,
    /// The messages of the received logs.
    pub logs: Vec<String>,
}

impl InMemory {
    pub fn new(protocol: Protocol) -> Self {
        let service = Arc::new(Service::builder("0123456789ab").protocol(protocol).build().unwrap());
        let peer = Peer::new(TransportKind::Pipe, service.server_id().clone());
        let server = Responder::new(service.clone(), peer, Limits::default(), IdSource::seeded(1));
        Self { service, server, client: client::Connection::new(Limits::default()), logs: Vec::new() }
    }

    fn begin(&mut self, method: &RemoteMethod, kind: CallKind, params: &RecordBatch) {
        let call = Call {
            protocol: method.protocol.name,
            method: method.name,
            protocol_version: method.protocol.version,
            request_id: None,
            kind,
            metadata: Metadata::new(),
        };
        let schema = EncodedSchema::new(params.schema()).unwrap();
        self.client.call(&call, &schema, params).unwrap();
    }

    /// Returns the next event that is not a log.
    fn next_event(&mut self) -> Event {
        loop {
            if let Next::Event(event) = self.client.poll_event().unwrap() {
                match event {
                    Event::Log(log) => self.logs.push(log.message),
                    event => return event,
                }
                continue;
            }
            if let Some(sent) = self.client.poll_transmit() {
                let sent = sent.copy_to_bytes(sent.remaining());
                self.server.receive(sent);
            }
            while let Next::Event(work) = self.server.poll_work().unwrap() {
                self.server.complete(work.run()).unwrap();
            }
            let answered = self.server.poll_transmit().expect("both sides wait");
            let answered = answered.copy_to_bytes(answered.remaining());
            self.client.receive(answered);
        }
    }

    fn finish(&mut self) {
        while !matches!(self.next_event(), Event::Finished) {}
    }
}

/// A call failed, or its values do not fit.
#[derive(Debug)]
pub struct Failed(pub RpcError);

impl From<ValueError> for Failed {
    fn from(error: ValueError) -> Self {
        Self(error.into())
    }
}

impl Caller for InMemory {
    type Error = Failed;
    type Stream<'s> = Opened<'s>;

    fn unary(&mut self, method: &RemoteMethod, params: &RecordBatch) -> Result<RecordBatch, Failed> {
        self.begin(method, CallKind::Unary, params);
        let result = match self.next_event() {
            Event::Output(batch, _) => Ok(batch),
            Event::Failed(error) => Err(Failed(error)),
            other => panic!("{other:?}"),
        };
        self.finish();
        result
    }

    fn open(&mut self, method: &RemoteMethod, params: &RecordBatch) -> Result<Opened<'_>, Failed> {
        self.begin(method, CallKind::Stream { header: method.has_header }, params);
        let mut header = None;
        if method.has_header {
            match self.next_event() {
                Event::Header(batch, _) => header = Some(batch),
                Event::Failed(error) => {
                    self.finish();
                    return Err(Failed(error));
                }
                other => panic!("{other:?}"),
            }
        }
        Ok(Opened { pair: self, header, open: true })
    }
}

pub struct Opened<'a> {
    pair: &'a mut InMemory,
    header: Option<RecordBatch>,
    open: bool,
}

impl Opened<'_> {
    fn answer(&mut self) -> Result<Option<RecordBatch>, Failed> {
        match self.pair.next_event() {
            Event::Output(batch, _) => Ok(Some(batch)),
            Event::Failed(error) => {
                self.pair.finish();
                self.open = false;
                Err(Failed(error))
            }
            Event::Finished => {
                self.open = false;
                Ok(None)
            }
            other => panic!("{other:?}"),
        }
    }
}

impl CallerStream for Opened<'_> {
    type Error = Failed;

    fn header(&self) -> Option<&RecordBatch> {
        self.header.as_ref()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Failed> {
        if !self.open {
            return Ok(None);
        }
        self.pair.client.tick(&Metadata::new()).unwrap();
        self.answer()
    }

    fn exchange_batch(&mut self, batch: &RecordBatch) -> Result<RecordBatch, Failed> {
        let schema = EncodedSchema::new(batch.schema()).unwrap();
        self.pair.client.send(&schema, batch, &Metadata::new()).unwrap();
        Ok(self.answer()?.unwrap())
    }

    fn end(self) -> Result<(), Failed> {
        Ok(())
    }

    fn give_up(mut self) -> Result<(), Failed> {
        self.open = false;
        self.pair.client.cancel().unwrap();
        self.pair.finish();
        Ok(())
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if self.open {
            self.pair.client.close().unwrap();
            self.pair.finish();
        }
    }
}
