//! Instructions while a stream is open. CLIENT_DRIVER_PROTOCOL 5.

use crate::batches::{decode, decode_request, encode};
use crate::connection::ConnectedTarget;
use crate::control::Control;
use crate::instruction::Instruction;
use crate::reply::Reply;
use arrow_array::RecordBatch;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::{self, BufRead, Write};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_stdio::{CallError, Stream};

/// What ended the loop of a stream.
pub enum Ended {
    /// The stream has ended; the connection remains.
    Stream,
    /// `shutdown`, which has not been answered yet.
    Shutdown,
    /// The end of the input.
    Input,
}

/// Opens a stream, and executes instructions until it ends.
///
/// # Errors
/// If the control channel fails.
pub fn serve(
    control: &mut Control<impl BufRead, impl Write>,
    connection: &mut ConnectedTarget,
    request: &str,
    has_header: bool,
) -> io::Result<Ended> {
    let (method, params, metadata) = match decode_request(request) {
        Ok(request) => request,
        Err(refused) => return control.write(refused).map(|()| Ended::Stream),
    };
    let (remote, client) = connection.client();
    let method = remote.method(&method).with_metadata(metadata);
    let method = if has_header { method.with_header() } else { method };
    let stream = match client.stream(&method, &params) {
        Ok(stream) => stream,
        Err(error) => return control.write(Reply::failed(&error)).map(|()| Ended::Stream),
    };
    let header = match stream.header().zip(stream.header_metadata()) {
        Some((header, metadata)) => encode(header, metadata).map(Value::from),
        None => Ok(Value::Null),
    };
    match header {
        Ok(header) => control.write(Reply::ok().with("header_b64", header))?,
        Err(refused) => return control.write(refused).map(|()| Ended::Stream),
    }
    read(control, stream)
}

/// Executes instructions until the stream ends.
fn read(control: &mut Control<impl BufRead, impl Write>, mut stream: Stream<'_>) -> io::Result<Ended> {
    loop {
        let request = match control.read()? {
            None => return Ok(Ended::Input),
            Some(Ok(request)) => request,
            Some(Err(reason)) => {
                control.write(Reply::refused(reason))?;
                continue;
            }
        };
        let turn = match request {
            Instruction::Tick { input_b64 } => tick(&mut stream, input_b64.as_deref()),
            Instruction::NextWithToken => tick(&mut stream, None).map(|turn| turn.with_token(&stream)),
            Instruction::Exchange { input_b64 } => exchange(&mut stream, &input_b64),
            Instruction::Cancel => return end(control, stream.cancel()),
            Instruction::Close => return end(control, stream.close()),
            Instruction::Shutdown => return Ok(Ended::Shutdown),
            _ => Err(Reply::refused("a stream is open")),
        };
        match turn {
            Ok(Turn { reply, over: false }) | Err(reply) => control.write(reply)?,
            Ok(Turn { reply, over: true }) => {
                // Before the reply: what it logs belongs to this instruction.
                drop(stream);
                return control.write(reply).map(|()| Ended::Stream);
            }
        }
    }
}

/// The result of a turn of a stream.
struct Turn {
    reply: Reply,
    over: bool,
}

impl Turn {
    fn new(answer: Result<Option<(RecordBatch, Metadata)>, CallError>) -> Result<Self, Reply> {
        let (reply, batch, over) = match answer {
            Ok(Some((batch, metadata))) => (Reply::ok(), encode(&batch, &metadata)?.into(), false),
            Ok(None) => (Reply::ok(), Value::Null, true),
            Err(error) => (Reply::failed(&error), Value::Null, true),
        };
        Ok(Self { reply: reply.with("done", over).with("batch_b64", batch), over })
    }

    /// Adds the token that resumes the stream after this turn.
    fn with_token(self, stream: &Stream<'_>) -> Self {
        let token = stream.resume_token().map(|token| STANDARD.encode(token.to_bytes()));
        Self { reply: self.reply.with("token", token), ..self }
    }
}

/// Requests a producer's next batch. Only the metadata of the input is used.
fn tick(stream: &mut Stream<'_>, input: Option<&str>) -> Result<Turn, Reply> {
    let metadata = input.map(decode).transpose()?.map(|(_, metadata)| metadata);
    Turn::new(stream.tick(&metadata.unwrap_or_default()))
}

fn exchange(stream: &mut Stream<'_>, input: &str) -> Result<Turn, Reply> {
    let (batch, metadata) = decode(input)?;
    Turn::new(stream.exchange_with(&batch, &metadata).map(Some))
}

fn end(control: &mut Control<impl BufRead, impl Write>, ended: Result<(), CallError>) -> io::Result<Ended> {
    let reply = ended.map_or_else(|error| Reply::failed(&error), |()| Reply::ok());
    control.write(reply).map(|()| Ended::Stream)
}
