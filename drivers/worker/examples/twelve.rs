//! Twelve methods and their client. `cargo run -p vgi-rpc-worker --example twelve -- --tcp 9000` serves, on the transport that
//! a flag selects, and `cargo run -p vgi-rpc-worker --example twelve -- call tcp:9000` calls it.

use chrono::{DateTime, Days, Utc};
use vgi_rpc_connect::connect;
use vgi_rpc_protocol::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Enum)]
enum Level {
    Low,
    High,
}

#[derive(Debug, Record)]
struct Point {
    x: f64,
    y: f64,
}

/// The bodies are the worker's. They could also be in an implementation of the trait.
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
    fn size(&self, path: &str) -> std::io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }
    fn note(&self, text: &str, context: &mut CallContext) {
        context.log(LogMessage::info(text));
    }
    fn fail(&self, reason: String) -> Result<(), RpcError> {
        Err(RpcError::value_error(reason))
    }
    #[method(producer, turn = next_points)]
    fn diagonal(&self, end: u32) -> std::ops::Range<u32> {
        0..end
    }
    fn next_points(&self, left: &mut std::ops::Range<u32>, turn: &mut Turn) -> Vec<Point> {
        turn.log(LogMessage::info(format!("{} points to go", left.len())));
        left.take(100_000).map(f64::from).map(|at| Point { x: at, y: at }).collect()
    }
    #[method(exchange, turn = walk_on)]
    fn walk(&self) -> (f64, f64) {
        (0.0, 0.0)
    }
    fn walk_on(&self, (x, y): &mut (f64, f64), steps: Vec<Point>) -> Vec<Point> {
        steps.iter().for_each(|step| (*x, *y) = (*x + step.x, *y + step.y));
        vec![Point { x: *x, y: *y }]
    }
}

struct Worker;

impl Twelve for Worker {}

/// Serves, or calls a server.
pub fn main() -> anyhow::Result<std::process::ExitCode> {
    let Some(address) = std::env::args().skip_while(|word| word != "call").nth(1) else {
        return Ok(vgi_rpc_worker::run(|service| service.protocol(TwelveProtocol::serve(Worker)).build()));
    };
    let mut twelve = TwelveClient::new(connect(&address)?.on_log(|log| println!("log: {}", log.message)));
    println!("{} {:?}", twelve.upper("text")?, twelve.mirror(Point { x: 1.0, y: 2.0 })?);
    println!("{} {:?}", twelve.sum(&[0.5, 1.0])?, twelve.position(vec!["a".into(), "b".into()], "b")?);
    println!("{:?} {}", twelve.raise(Level::Low)?, twelve.tomorrow(DateTime::UNIX_EPOCH)?);
    println!("{} {}", twelve.greet("world", None)?, twelve.greet("world", "?".to_owned())?);
    println!("{} {}", twelve.size("Cargo.toml").is_ok(), twelve.fail("not today".into()).unwrap_err());
    twelve.note("noted")?;
    println!("{}", twelve.diagonal(1_000_000)?.collect::<Result<Vec<_>, _>>()?.len());
    let mut walk = twelve.walk()?;
    println!("{:?} {:?}", walk.send(&[Point { x: 1.0, y: 0.5 }])?, walk.send(&[Point { x: 2.0, y: 0.5 }])?);
    Ok(std::process::ExitCode::SUCCESS)
}
