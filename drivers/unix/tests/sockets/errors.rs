//! Messages of client and server errors: each cause once, and a peer's text in one line.

use std::error::Error;
use std::io;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{CommandError, ConnectionError};
use vgi_rpc_reactor::BindError;
use vgi_rpc_unix::{CallError, SocketFileError, SocketServerError, TransportError};

fn cause() -> io::Error {
    io::Error::other("the cause\u{1b}[2J")
}

#[test]
fn an_error_and_its_sources_say_each_thing_once() {
    let path = std::path::PathBuf::from("/a\u{1b}[2J");
    let file = || SocketFileError::Io { path: path.clone(), error: io::Error::other("the cause") };
    let bind = || BindError::Tcp { address: "x:1".into(), error: io::Error::other("the cause") };
    let rpc = || RpcError::value_error("the cause\u{1b}[2J");
    let misuse = || CommandError::Misuse { command: "the cause", when: "never" };
    let protocol = || ConnectionError::Protocol { expected: "the cause", got: "nothing" };
    let errors: Vec<Box<dyn Error>> = vec![
        Box::new(file()),
        Box::new(BindError::from(file())),
        Box::new(bind()),
        Box::new(SocketServerError::from(bind())),
        Box::new(SocketServerError::from(BindError::from(file()))),
        Box::new(SocketServerError::Start(rpc())),
        Box::new(SocketServerError::from(io::Error::other("the cause"))),
        Box::new(CallError::from(rpc())),
        Box::new(CallError::from(TransportError::new(cause()))),
        Box::new(CallError::Unusable { reason: CallError::from(rpc()).to_string() }),
        Box::new(CallError::from(protocol())),
        Box::new(CallError::from(misuse())),
    ];
    for error in errors {
        let text = error.to_string();
        assert_eq!(text.matches("the cause").count(), 1, "{text:?}");
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(!format!("{error:?}").contains(char::is_control), "{error:?}");
        let mut source = error.source();
        while let Some(error) = source {
            assert!(!text.contains(&error.to_string()), "{text:?} says {error:?} already");
            source = error.source();
        }
    }
}
