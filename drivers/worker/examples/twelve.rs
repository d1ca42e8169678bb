//! Twelve methods and their client. `cargo run -p vgi-rpc-worker --example twelve -- --tcp 9000` serves, on a transport that a
//! flag chooses, and `cargo run -p vgi-rpc-worker --example twelve -- call tcp:9000` calls.

use chrono::{DateTime, Days, Utc};
use serde::{Deserialize, Serialize};
use std::{error::Error, io, process::ExitCode};
use vgi_rpc_connect::connect;
use vgi_rpc_protocol::arrow::array::RecordBatch;
use vgi_rpc_protocol::service::{CallContext, Exchange, Producer, Stream, Turn};
use vgi_rpc_protocol::wire::{error::RpcError, log::LogMessage};
use vgi_rpc_protocol::{Enum, Record, service, values::Record as _};

#[derive(Clone, Copy, Debug, PartialEq, Enum)]
enum Level {
    Low,
    High,
}

#[derive(Debug, PartialEq, Record)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Debug, PartialEq, Record)]
struct Number {
    n: i64,
}

/// The bodies are those of the worker. They could as well be in an implementation of the trait.
#[service(name = "demo.Twelve.v1", version = "1.0.0")]
trait Twelve {
    fn upper(&self, text: &str) -> String {
        text.to_uppercase()
    }
    fn mirror(&self, point: Point) -> Point {
        Point { x: point.y, y: point.x }
    }
    fn sum(&self, values: &[f64]) -> f64 {
        values.iter().sum()
    }
    fn raise(&self, level: Level) -> Level {
        if level == Level::Low { Level::High } else { level }
    }
    fn tomorrow(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + Days::new(1)
    }
    fn greet(&self, name: &str, #[arrow(default = "!".into())] mark: String) -> String {
        format!("Hello, {name}{mark}")
    }
    fn position(&self, names: Vec<String>, name: &str) -> Option<u64> {
        names.iter().zip(0..).find_map(|(other, position)| (other == name).then_some(position))
    }
    fn size(&self, path: &str) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }
    fn note(&self, text: &str, context: &mut CallContext) {
        context.log(LogMessage::info(text));
    }
    fn fail(&self, reason: String) -> Result<(), RpcError> {
        Err(RpcError::value_error(reason))
    }
    #[method(producer, output = Number)]
    fn count(&self, end: i64) -> Result<Stream<Count>, RpcError> {
        Ok(Stream::new(Count { next: 0, end }))
    }
    #[method(exchange, input = Number, output = Number)]
    fn add_up(&self) -> Result<Stream<Sum>, RpcError> {
        Ok(Stream::new(Sum(0)))
    }
}

#[derive(Serialize, Deserialize)]
struct Count {
    next: i64,
    end: i64,
}

impl Producer for Count {
    fn produce(&mut self, turn: &mut Turn) -> Result<(), RpcError> {
        if self.next >= self.end {
            return turn.finish();
        }
        let numbers: Vec<_> = (self.next..self.end).take(100_000).map(|n| Number { n }).collect();
        self.next += numbers.len() as i64;
        turn.log(LogMessage::info(format!("{} of {}", self.next, self.end)));
        turn.emit_rows(&numbers)
    }
}

#[derive(Serialize, Deserialize)]
struct Sum(i64);

impl Exchange for Sum {
    fn exchange(&mut self, input: &RecordBatch, turn: &mut Turn) -> Result<(), RpcError> {
        self.0 += Number::rows_from_batch(input)?.iter().map(|number| number.n).sum::<i64>();
        turn.emit_rows(&[Number { n: self.0 }])
    }
}

struct Worker;

impl Twelve for Worker {}

/// Serves, or calls a server.
pub fn main() -> Result<ExitCode, Box<dyn Error>> {
    match &std::env::args().skip(1).collect::<Vec<_>>()[..] {
        [word, address] if word == "call" => call(address).map(|()| ExitCode::SUCCESS),
        _ => Ok(vgi_rpc_worker::run(|service| service.protocol(TwelveProtocol::serve(Worker)).build())),
    }
}

fn call(address: &str) -> Result<(), Box<dyn Error>> {
    let mut twelve = TwelveClient::new(connect(address)?.on_log(|log| println!("log: {}", log.message)));
    println!("{} {:?}", twelve.upper("text")?, twelve.mirror(Point { x: 1.0, y: 2.0 })?);
    println!("{} {:?}", twelve.sum(&[0.5, 1.0])?, twelve.raise(Level::Low)?);
    println!("{}", twelve.tomorrow(DateTime::UNIX_EPOCH)?);
    println!("{} {}", twelve.greet("world", None)?, twelve.greet("world", "?".to_owned())?);
    println!("{:?}", twelve.position(vec!["a".into(), "b".into()], "b")?);
    println!("{} {}", twelve.size("Cargo.toml").is_ok(), twelve.fail("not today".into()).unwrap_err());
    twelve.note("noted")?;
    println!("{}", twelve.count(1_000_000)?.map(|row| row.map(|row| row.n)).sum::<Result<i64, _>>()?);
    let mut sum = twelve.add_up()?;
    println!("{:?} {:?}", sum.send(&[Number { n: 1 }, Number { n: 2 }])?, sum.send(&[Number { n: 3 }])?);
    Ok(sum.close()?)
}
