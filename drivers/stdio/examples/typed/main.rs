//! Every type of typed services, for the harness: `typed worker` serves on stdin and stdout, `typed hash` prints the protocol's
//! hash, and `typed client COMMAND ARGUMENT...` calls another worker of the same protocol.

mod declaration;
mod samples;

use declaration::{
    Absent, Color, Count, Multiply, Nested, Number, Plain, Plains, Point, Title, Typed, TypedClient,
    TypedProtocol,
};
use samples::{absent, nested, plain, present};
use std::collections::BTreeMap;
use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use vgi_rpc_protocol::service::{Service, Stream};
use vgi_rpc_protocol::values::Decimal;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_stdio::{CallError, serve_stdio, spawn};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let service = || Service::builder("0123456789ab").protocol(TypedProtocol::serve(Worker)).build();
    match arguments.next().as_deref() {
        Some("worker") => Ok(serve_stdio(Arc::new(service()?))?),
        Some("hash") => {
            service()?.protocols().take(1).for_each(|info| println!("{}", info.hash));
            Ok(())
        }
        Some("client") => {
            let mut command = Command::new(arguments.next().ok_or("expected a command")?);
            command.args(arguments);
            call(command)
        }
        _ => Err("expected worker, hash or client".into()),
    }
}

struct Worker;

impl Typed for Worker {
    fn plain(&self) -> Plain {
        plain()
    }

    fn nested(&self) -> Nested {
        nested()
    }

    fn echo_plain(&self, plain: Plain) -> Plain {
        plain
    }

    fn echo_absent(&self, absent: Absent) -> Absent {
        absent
    }

    fn echo_nested(&self, nested: Nested) -> Nested {
        nested
    }

    fn echo_point(&self, point: Option<Point>) -> Option<Point> {
        point
    }

    fn parameters(
        &self,
        truth: bool,
        int8: i8,
        text: &str,
        large_binary: Option<Vec<u8>>,
        instant: chrono::DateTime<chrono::Utc>,
        decimal: Decimal<20, 4>,
        color: Color,
        colors: Vec<Color>,
        points: Vec<Point>,
        by_name: BTreeMap<String, Option<i64>>,
        weight: i64,
    ) -> Result<String, RpcError> {
        let sum: f64 = points.iter().map(|point| point.x + point.y).sum();
        let named: i64 = by_name.values().flatten().sum();
        Ok(format!(
            "{truth} {int8} {text} {large_binary:?} {} {} {color:?} {} {sum:.1} {named} {weight}",
            instant.timestamp_micros(),
            decimal.0,
            colors.len(),
        ))
    }

    fn count(&self, end: i64) -> Result<Stream<Count>, RpcError> {
        Stream::new(Count { next: 0, end }).with_header_record(&Title { title: format!("up to {end}") })
    }

    fn plains(&self, count: i64) -> Result<Stream<Plains>, RpcError> {
        Ok(Stream::new(Plains { left: count }))
    }

    fn multiply(&self, factor: i64) -> Result<Stream<Multiply>, RpcError> {
        Ok(Stream::new(Multiply { factor }))
    }
}

/// Calls every method, and fails if an answer differs from the expected one.
fn call(command: Command) -> Result<(), Box<dyn Error>> {
    let mut client = TypedClient::new(spawn(command)?);
    assert_eq!(client.plain()?, plain());
    assert_eq!(client.nested()?, nested());
    assert_eq!(client.echo_plain(plain())?, plain());
    for sent in [absent(), present()] {
        assert_eq!(client.echo_absent(sent.clone())?, sent);
    }
    assert_eq!(client.echo_nested(nested())?, nested());
    for point in [Some(Point { x: 1.0, y: 2.0 }), None] {
        assert_eq!(client.echo_point(point.clone())?, point);
    }
    let text = parameters(&mut client, None)?;
    assert_eq!(text, "true -128 text None 1764250245123456 -123456 Green 2 10.0 1 7");
    assert!(parameters(&mut client, Some(8))?.ends_with(" 8"));
    let count = client.count(3)?;
    assert_eq!(count.header()?, Title { title: "up to 3".into() });
    assert_eq!(count.map(|row| row.map(|row| row.n)).collect::<Result<Vec<_>, _>>()?, [1, 2, 3]);
    assert_eq!(client.plains(2)?.collect::<Result<Vec<_>, _>>()?, vec![plain(); 4]);
    let mut multiply = client.multiply(3)?;
    assert_eq!(multiply.send(&[Number { n: 1 }, Number { n: 2 }])?, [Number { n: 3 }, Number { n: 6 }]);
    multiply.close()?;
    client.into_caller().close()?;
    println!("all answers are as expected");
    Ok(())
}

fn parameters(
    client: &mut TypedClient<vgi_rpc_stdio::Client>,
    weight: Option<i64>,
) -> Result<String, CallError> {
    let plain = plain();
    let points = vec![plain.point, plain.encoded_point];
    let by_name = BTreeMap::from([("a".into(), Some(1)), ("b".into(), None)]);
    client.parameters(
        true,
        plain.int8,
        "text",
        None,
        plain.instant,
        plain.decimal,
        plain.color,
        vec![Color::Red, Color::Green],
        points,
        by_name,
        weight,
    )
}
