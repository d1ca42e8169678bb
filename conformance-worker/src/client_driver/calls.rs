//! Instructions outside a stream.

use crate::batches::{decode_request, encode};
use crate::connection::ConnectedTarget;
use crate::control::Control;
use crate::describe::describe;
use crate::instruction::Instruction;
use crate::reply::Reply;
use crate::stream::{self, Ended};
use serde_json::Value;
use std::io::{self, BufRead, Write};

/// Executes instructions until `shutdown` or the end of the input.
///
/// # Errors
/// If the control channel fails.
pub fn serve(mut control: Control<impl BufRead, impl Write>) -> io::Result<()> {
    let mut connection = None;
    let shutdown = loop {
        let request = match control.read()? {
            None => break false,
            Some(Ok(request)) => request,
            Some(Err(reason)) => {
                control.write(Reply::refused(reason))?;
                continue;
            }
        };
        let reply = match (request, &mut connection) {
            (Instruction::Shutdown, _) => break true,
            (Instruction::Connect(connect), None) => match ConnectedTarget::open(connect, control.logs()) {
                Ok(opened) => {
                    connection = Some(opened);
                    Reply::ok()
                }
                Err(error) => Reply::refused(error.to_string()),
            },
            (Instruction::Connect(_), Some(_)) => Reply::refused("there is a connection already"),
            (_, None) => Reply::refused("there is no connection yet"),
            (Instruction::StreamOpen { request_b64, has_header }, Some(connection)) => {
                match stream::serve(&mut control, connection, &request_b64, has_header)? {
                    Ended::Stream => continue,
                    Ended::Shutdown => break true,
                    Ended::Input => break false,
                }
            }
            (request, Some(connection)) => carry_out(request, connection).unwrap_or_else(|refused| refused),
        };
        control.write(reply)?;
    };
    connection.into_iter().for_each(ConnectedTarget::close);
    if shutdown { control.write(Reply::ok()) } else { Ok(()) }
}

fn carry_out(instruction: Instruction, connection: &mut ConnectedTarget) -> Result<Reply, Reply> {
    match instruction {
        Instruction::Unary { request_b64 } => unary(connection, &request_b64),
        Instruction::Describe => describe(connection.client().1),
        // There is no stream to end.
        Instruction::Cancel | Instruction::Close => Ok(Reply::ok()),
        Instruction::Tick { .. } | Instruction::NextWithToken | Instruction::Exchange { .. } => {
            Err(Reply::refused("no stream is open"))
        }
        request => connection.http()?.carry_out(request),
    }
}

fn unary(connection: &mut ConnectedTarget, request: &str) -> Result<Reply, Reply> {
    let (method, params, metadata) = decode_request(request)?;
    let (remote, client) = connection.client();
    match client.unary_with_metadata(&remote.method(&method).with_metadata(metadata), &params) {
        Ok((result, metadata)) => Ok(Reply::ok().with("result_b64", encode(&result, &metadata)?)),
        Err(error) => Ok(Reply::failed(&error).with("result_b64", Value::Null)),
    }
}
