//! Calls over both transports, and connections that must not delay one another.

use crate::common::*;
use arrow_array::cast::AsArray;
use arrow_array::{Int64Array, StringArray};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::MethodKind;
use vgi_rpc_unix::{Address, CallError, SocketOptions, SocketServer};

fn both(test: impl Fn(&Running)) {
    let server = SocketServer::new(service(&Gate::default()));
    test(&Running::unix(&server));
    test(&Running::tcp(&server));
}

#[test]
fn every_kind_of_call_works_over_both() {
    both(|server| {
        let mut client = server.connect();
        assert_eq!(greet(&mut client, "world").unwrap(), "Hello, world!");
        let transport = call(&mut client, "transport").unwrap();
        let expected = if server.address.to_string().starts_with("UNIX:") { "unix" } else { "tcp" };
        assert_eq!(transport.column(0).as_string::<i32>().value(0), expected);

        let caller = call(&mut client, "caller").unwrap();
        let caller = caller.column(0).as_string::<i32>().value(0);
        let own = (std::process::id(), rustix::process::getuid().as_raw());
        assert!(match expected {
            "unix" => caller == format!("Some({own:?}) None"),
            _ => caller.starts_with("None Some(\"127.0.0.1:"),
        });

        check_streams(&mut client);

        assert!(matches!(call(&mut client, "panic"), Err(CallError::Rpc(_))));
        assert!(matches!(call(&mut client, "absent"), Err(CallError::Rpc(_))));
        client.stream(&remote().method("negate"), &nothing()).unwrap().cancel().unwrap();
        assert_eq!(greet(&mut client, "again").unwrap(), "Hello, again!");
    });
}

#[test]
fn the_callers_request_id_is_kept_and_there_always_is_one() {
    both(|server| {
        let mut client = server.connect();
        let remote = remote();
        let mut id_of = |metadata: Metadata| {
            let error = client.unary(&remote.method("fail").with_metadata(metadata), &nothing()).unwrap_err();
            match error {
                CallError::Rpc(error) => error.request_id().to_owned(),
                error => panic!("{error}"),
            }
        };
        assert_eq!(id_of([("vgi_rpc.request_id", "mine")].into_iter().collect()), "mine");
        assert!(!id_of(Metadata::new()).is_empty());
    });
}

#[test]
fn a_server_is_asked_about_itself() {
    both(|server| {
        let mut client = server.connect();
        let list = client.protocols().unwrap();
        let names: Vec<_> = list.protocols.iter().map(|summary| summary.protocol.as_str()).collect();
        assert_eq!(names, ["test.Unix.v1", "vgi_rpc.Reflection.v1"]);
        let description = client.describe("test.Unix.v1").unwrap();
        assert_eq!(description.summary, list.protocols[0]);
        let greet = description.methods.iter().find(|method| method.name == "greet").unwrap();
        assert_eq!((greet.kind, greet.result.is_some()), (MethodKind::Unary, true));
        let error = client.describe("test.Absent.v1").unwrap_err();
        assert!(matches!(&error, CallError::Rpc(_)), "{error}");
        let to = row("to", Arc::new(Int64Array::from(vec![2])));
        let remote = remote();
        let mut stream = client.stream(&remote.method("count"), &to).unwrap();
        stream.next().unwrap().unwrap();
        assert_eq!(stream.resume_token(), None, "a stream ends with its connection");
    });
}

#[test]
fn large_bodies_go_both_ways_intact() {
    both(|server| {
        let data: Vec<u8> =
            (0..24_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut client = server.connect();
        for _ in 0..2 {
            assert!(echo(&mut client, &data).unwrap() == data, "expected the same bytes back");
        }
        assert_eq!(greet(&mut client, "small").unwrap(), "Hello, small!");
    });
}

#[test]
fn many_connections_call_at_the_same_time() {
    both(|server| {
        thread::scope(|scope| {
            for number in 0..32 {
                scope.spawn(move || {
                    let mut client = server.connect();
                    let data = vec![number; 1000 * usize::from(number)];
                    for _ in 0..50 {
                        assert_eq!(
                            greet(&mut client, &number.to_string()).unwrap(),
                            format!("Hello, {number}!")
                        );
                        assert!(echo(&mut client, &data).unwrap() == data);
                    }
                });
            }
        });
    });
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let server = Running::unix(&SocketServer::new(service(&Gate::default())));
    let mut socket = server.raw();
    let one = echo_request(10);
    socket.write_all(&one).unwrap();
    let mut answer = vec![0; 1 << 16];
    let length = socket.read(&mut answer).unwrap();
    let mut writer = socket.try_clone().unwrap();
    let sent = thread::spawn(move || {
        for _ in 0..2000 {
            writer.write_all(&one).unwrap();
        }
    });
    let mut answers = vec![0; 2000 * length];
    socket.read_exact(&mut answers).unwrap();
    assert!(answers.chunks(length).all(|each| each == &answer[..length]));
    sent.join().unwrap();
}

#[test]
fn handlers_that_wait_delay_no_other_connection() {
    let gate = Gate::default();
    let server = Running::unix(&SocketServer::new(service(&gate)));
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| call(&mut server.connect(), "wait").unwrap());
        }
        gate.wait_for(10);
        let mut client = server.connect();
        let began = Instant::now();
        for _ in 0..100 {
            greet(&mut client, "quick").unwrap();
        }
        assert!(began.elapsed() < PATIENCE, "expected no delay, got {:?}", began.elapsed());
        until("few threads are left", || server.handle.threads() <= 14);
        gate.open();
    });
}

#[test]
fn when_every_thread_is_in_a_handler_the_rest_goes_on() {
    let gate = Gate::default();
    let server = Running::unix(&SocketServer::new(service(&gate)).threads(2));
    // A slow reader whose response is being sent when all threads become busy.
    let mut reader = server.raw();
    let request = echo_request(8 << 20);
    let mut writer = reader.try_clone().unwrap();
    let sent = thread::spawn(move || writer.write_all(&request).unwrap());
    let mut first = [0];
    reader.read_exact(&mut first).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| call(&mut server.connect(), "wait").unwrap());
        }
        gate.wait_for(2);
        let waits = scope.spawn(|| greet(&mut server.connect(), "late").unwrap());
        until("connections are accepted", || server.handle.connections() == 4);
        let mut rest = vec![0; 8 << 20];
        reader.read_exact(&mut rest).unwrap();
        drop(server.raw());
        until("a connection that left is gone", || server.handle.connections() == 4);
        assert!(!waits.is_finished());
        assert_eq!(server.handle.threads(), 2);
        gate.open();
        assert_eq!(waits.join().unwrap(), "Hello, late!");
    });
    sent.join().unwrap();
}

#[test]
fn slow_handlers_run_side_by_side() {
    let server = Running::unix(&SocketServer::new(service(&Gate::default())));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = server.connect();
                (0..20).for_each(|_| drop(call(&mut client, "spin").unwrap()));
            });
        }
        let mut client = server.connect();
        (0..50).for_each(|_| drop(greet(&mut client, "quick").unwrap()));
    });
}

#[test]
fn a_slow_reader_stalls_itself_only_and_is_given_up() {
    let server = SocketServer::new(service(&Gate::default())).write_timeout(Some(Duration::from_millis(300)));
    let server = Running::unix(&server);
    let mut socket = server.raw();
    socket.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let request = echo_request(1 << 20);
    // Sends without reading until the server accepts no more.
    let mut sent = 0;
    loop {
        match socket.write(&request[sent % request.len()..]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert!(matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ));
                break;
            }
        }
        assert!(sent < 16 << 20, "expected back-pressure, sent {sent} bytes");
    }
    let mut client = server.connect();
    for _ in 0..100 {
        greet(&mut client, "quick").unwrap();
    }
    until("the slow reader is given up", || server.handle.connections() == 1);
}

#[test]
fn a_stalled_request_is_given_up_and_a_thinking_client_is_not() {
    let server = SocketServer::new(service(&Gate::default()))
        .message_timeout(Some(Duration::from_millis(200)))
        .request_timeout(Some(Duration::from_millis(700)));
    let server = Running::unix(&server);
    let mut idle = server.connect();
    greet(&mut idle, "idle").unwrap();
    let mut streaming = server.connect();
    let mut negate = streaming.stream(&remote().method("negate"), &nothing()).unwrap();
    negate.exchange(&row("n", Arc::new(Int64Array::from(vec![1])))).unwrap();

    let request = echo_request(100);
    let mut stalled = server.raw();
    stalled.write_all(&request[..100]).unwrap();
    let mut said = Vec::new();
    stalled.read_to_end(&mut said).unwrap();
    assert!(String::from_utf8_lossy(&said).contains("DEADLINE_EXCEEDED"), "it receives the reason");

    // An open stream may wait for its next input, but not for the rest of an incomplete one.
    let mut half = server.raw();
    let input = self::request("negate", &row("n", Arc::new(Int64Array::from(vec![1]))));
    half.write_all(&self::request("negate", &nothing())).unwrap();
    half.write_all(&input[..input.len() - 20]).unwrap();
    let mut said = Vec::new();
    half.read_to_end(&mut said).unwrap();
    assert!(!said.is_empty(), "the output stream was opened");

    // Sending single bytes does not extend the limit for a request.
    let mut loris = server.raw();
    loris.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let began = Instant::now();
    for byte in &request {
        if loris.write_all(&[*byte]).is_err() || matches!(loris.read(&mut [0; 16]), Ok(0)) {
            break;
        }
    }
    assert!((500..3000).contains(&began.elapsed().as_millis()), "timed out after {:?}", began.elapsed());

    negate.exchange(&row("n", Arc::new(Int64Array::from(vec![1])))).unwrap();
    negate.close().unwrap();
    greet(&mut idle, "idle").unwrap();
}

#[test]
fn clients_do_not_wait_longer_than_asked() {
    let gate = Gate::default();
    let server = Running::unix(&SocketServer::new(service(&gate)));
    let patience = [
        SocketOptions::default().read_timeout(Duration::from_millis(100)),
        SocketOptions::default().call_timeout(Duration::from_millis(100)),
    ];
    for options in patience {
        let mut client = options.unix(server.path()).unwrap();
        for _ in 0..3 {
            greet(&mut client, "quick").unwrap();
        }
        match call(&mut client, "wait") {
            Err(CallError::Transport(error)) => assert_eq!(error.io_kind(), Some(ErrorKind::TimedOut)),
            other => panic!("expected a timeout, got {other:?}"),
        }
    }
    gate.open();
    let absent = vgi_rpc_unix::connect_unix("/nonexistent/socket").unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert!(absent.to_string().starts_with("/nonexistent/socket: "), "{absent}");
    let refused = SocketOptions::default().connect_timeout(Duration::from_secs(5)).tcp("1");
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(refused.to_string().starts_with("127.0.0.1:1: "), "{refused}");
}

#[test]
fn a_client_that_closes_its_sending_side_gets_its_answers() {
    both(|server| {
        let mut requests = request("greet", &row("name", Arc::new(StringArray::from(vec!["first"]))));
        let last = request("greet", &row("name", Arc::new(StringArray::from(vec!["last"]))));
        // The last request ends at the end of input, without its end marker of eight bytes.
        requests.extend(&last[..last.len() - 8]);
        let mut answer = Vec::new();
        match &server.address {
            Address::Tcp(address) => {
                let mut socket = TcpStream::connect(address).unwrap();
                socket.write_all(&requests).unwrap();
                socket.shutdown(Shutdown::Write).unwrap();
                socket.read_to_end(&mut answer).unwrap();
            }
            _ => {
                let mut socket = server.raw();
                socket.write_all(&requests).unwrap();
                socket.shutdown(Shutdown::Write).unwrap();
                socket.read_to_end(&mut answer).unwrap();
            }
        }
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("Hello, first!") && text.contains("Hello, last!"));
    });
}

#[test]
fn what_http_alone_has_is_refused_before_anything_is_sent() {
    both(|server| {
        let mut client = server.connect();
        let error = client.upload_urls(1).unwrap_err();
        assert!(matches!(&error, CallError::Command(_)), "{error}");
        assert_eq!(error.to_string(), "upload_urls is possible only over HTTP");
        assert_eq!(greet(&mut client, "world").unwrap(), "Hello, world!");
    });
}
