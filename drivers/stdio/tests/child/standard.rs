//! Other users of a worker's stdin and stdout.

use super::*;

/// Calls a method on a worker, and returns the result and what the worker wrote to stderr.
fn call(method: &str) -> (i64, String) {
    let mut command = worker();
    let (mut reader, writer) = std::io::pipe().unwrap();
    command.stderr(writer);
    let mut client = spawn(command).unwrap();
    let result = number(&client.unary(&remote().method(method), &none()).unwrap());
    assert_usable(&mut client);
    client.close().unwrap();
    let mut errors = String::new();
    reader.read_to_string(&mut errors).unwrap();
    (result, errors.replace("\r\n", "\n"))
}

pub fn prints() {
    assert_eq!(call("print"), (0, "printed by a handler\nprinted by a child\n".into()));
}

#[cfg(unix)]
pub fn reads() {
    assert_eq!(call("read"), (0, String::new()));
}

pub fn text_of_a_worker() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("chatty");
    let mut client = spawn(command).unwrap();
    let error = client.unary(&remote().method("nothing"), &none()).unwrap_err().to_string();
    // Its response may have arrived with it.
    assert!(error.contains(r#"the worker wrote text: "Loading \u{1b}[1mmodels\u{1b}[0m\n"#), "{error}");
}
