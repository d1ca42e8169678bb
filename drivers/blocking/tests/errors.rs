//! The messages of the serve loop's errors: each cause occurs once.

use std::error::Error;
use std::io;
use vgi_rpc_blocking::ServeError;
use vgi_rpc_protocol::wire::error::RpcError;
use vgi_rpc_protocol::{CommandError, ConnectionError};

#[test]
fn an_error_and_its_sources_say_each_thing_once() {
    let errors = [
        ServeError::from(io::Error::other("the cause")),
        ServeError::Start(RpcError::value_error("the cause")),
        ServeError::from(ConnectionError::Protocol { expected: "the cause", got: "nothing" }),
        ServeError::from(CommandError::Misuse { command: "the cause", when: "never" }),
    ];
    for error in errors {
        let text = error.to_string();
        assert_eq!(text.matches("the cause").count(), 1, "{text:?}");
        let mut source = error.source();
        while let Some(error) = source {
            assert!(!text.contains(&error.to_string()), "{text:?} says {error:?} already");
            source = error.source();
        }
    }
}
