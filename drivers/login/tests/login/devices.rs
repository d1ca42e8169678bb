//! Signing in with a device code.

use crate::authority::Authority;
use crate::served::{Server, greet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vgi_rpc_login::LoginError;

#[test]
fn a_person_types_a_code() {
    let authority = Authority::new();
    authority.state().device_errors.push_back("authorization_pending");
    let server = Server::new(&authority);
    let shown = Arc::new(Mutex::new(Vec::new()));
    let kept = shown.clone();
    let login = server.login().device_code(move |prompt| {
        kept.lock().unwrap().push((prompt.user_code.clone(), prompt.verification_url.clone()));
        Ok(())
    });
    let login = login.build().unwrap();
    let started = Instant::now();
    assert_eq!(greet(&server.http(&login)).unwrap(), "Hello, ann!");
    assert!(started.elapsed().as_millis() >= 1900, "it waits before each poll");
    assert_eq!(*shown.lock().unwrap(), [("WXYZ".to_owned(), format!("{}/tv", authority.issuer))]);
    assert_eq!(authority.count("device_code"), 2);
    assert_eq!(authority.state().forms[0]["client_id"], "tv");
}

#[test]
fn a_code_is_not_waited_for_longer_than_the_limit() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let login = server.login().device_code(|_| Ok(())).time_limit(Duration::ZERO).build().unwrap();
    assert_eq!(login.sign_in(), Err(LoginError::Expired));
    assert_eq!(authority.count("device_code"), 0);
}

#[test]
fn a_person_says_no() {
    let authority = Authority::new();
    authority.state().device_errors.push_back("access_denied");
    let server = Server::new(&authority);
    let login = server.login().device_code(|_| Ok(())).build().unwrap();
    assert_eq!(login.sign_in(), Err(LoginError::Denied));
    assert!(!login.is_signed_in());
}

#[test]
fn a_code_takes_the_place_of_a_browser_that_is_not_there() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let no_browser = |_: &str| Err(io::Error::other("no display"));
    let login = server.login().browser(no_browser).device_code(|_| Ok(())).build().unwrap();
    login.sign_in().unwrap();
    assert_eq!(authority.count("device_code"), 1);
    // The same if the authorization server has no browser flow.
    authority.state().has_browser_flow = false;
    let other = Server::new(&authority);
    let login = other.login().browser(|_| panic!("none is opened")).device_code(|_| Ok(())).build().unwrap();
    login.sign_in().unwrap();
    let login = server.login().browser(no_browser).build().unwrap();
    assert!(login.sign_in().is_err());
}
