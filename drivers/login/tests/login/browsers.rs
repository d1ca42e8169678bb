//! Signing in with a browser, played by the tests.

use crate::authority::Authority;
use crate::served::{Server, exchange, get, greet, head};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use vgi_rpc_http::client::ResponseError;
use vgi_rpc_login::{LoginError, open_browser};
use vgi_rpc_protocol::external::UrlPolicy;

/// Returns a function that plays a browser: it follows an honest redirect changed by `change`, and reports the status.
fn browser(
    authority: &Arc<Authority>,
    report: Sender<Option<u16>>,
    change: impl Fn(&mut String, &mut BTreeMap<String, String>) + Send + Sync + Clone + 'static,
) -> impl Fn(&str) -> io::Result<()> + Send + Sync + 'static {
    let authority = authority.clone();
    let report = Mutex::new(report);
    move |url: &str| {
        let (mut uri, mut redirect) = authority.sign_in(url);
        change(&mut uri, &mut redirect);
        let report = report.lock().unwrap().clone();
        thread::spawn(move || report.send(get(&uri, &redirect)));
        Ok(())
    }
}

#[test]
fn a_call_that_is_refused_signs_in_and_is_made_again() {
    let authority = Arc::new(Authority::new());
    let server = Server::new(&authority);
    let (report, statuses) = channel();
    let login = server.login().browser(browser(&authority, report, |_, _| {})).build().unwrap();
    let http = server.http(&login);
    assert!(!login.is_signed_in());
    assert_eq!(greet(&http).unwrap(), "Hello, ann!");
    assert_eq!(statuses.recv().unwrap(), Some(200));
    assert!(login.is_signed_in());
    assert_eq!(greet(&http).unwrap(), "Hello, ann!");
    assert_eq!((authority.count("authorization_code"), authority.count("refresh_token")), (1, 0));
    let form = authority.state().forms[0].clone();
    assert_eq!((form["client_id"].as_str(), form.get("client_secret")), ("cli", None));
    assert_eq!(form["resource"], server.url, "RFC 8707");
    assert!(!format!("{login:?} {http:?}").contains("secret"));
    // Afterwards the port is closed, and the code is used.
    assert_eq!(get(&form["redirect_uri"], &BTreeMap::new()), None);
    login.sign_out().unwrap();
    assert!(!login.is_signed_in());
    assert_eq!(greet(&http).unwrap(), "Hello, ann!");
    assert_eq!(authority.count("authorization_code"), 2);
}

#[test]
fn stray_requests_do_not_end_a_login() {
    let authority = Arc::new(Authority::new());
    let server = Server::new(&authority);
    let (report, statuses) = channel();
    let played = authority.clone();
    let login = server.login().browser(move |url: &str| {
        let (uri, redirect) = played.sign_in(url);
        let report = report.clone();
        thread::spawn(move || {
            let host = uri.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
            // Connections that send nothing, as browsers open them.
            let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(&host).unwrap()).collect();
            // A head that is too long is refused before its end, although it begins like the redirect.
            let mut long = head(&uri, &redirect, "X: ");
            long.push_str(&"a".repeat((16 << 10) + 1 - long.len()));
            report.send(exchange(&uri, &long)).unwrap();
            let mut post = TcpStream::connect(&host).unwrap();
            post.write_all(b"POST /callback HTTP/1.1\r\n\r\n").unwrap();
            let with = |name: &str, value: &str| {
                let mut redirect = redirect.clone();
                redirect.insert(name.into(), value.into());
                redirect
            };
            let forged = with("state", "of-another-login");
            for (uri, redirect) in [
                (format!("http://{host}/"), &redirect),
                (format!("http://{host}/favicon.ico"), &redirect),
                (uri.clone(), &forged),
                (uri.clone(), &BTreeMap::new()),
                (uri.clone(), &redirect),
            ] {
                report.send(get(&uri, redirect)).unwrap();
            }
            // The former redirect is now refused.
            while let Some(status) = get(&uri, &redirect) {
                assert_eq!(status, 410);
                thread::sleep(Duration::from_millis(5));
            }
            drop(idle);
            report.send(None).unwrap();
        });
        Ok(())
    });
    let login = login.build().unwrap();
    assert_eq!(greet(&server.http(&login)).unwrap(), "Hello, ann!");
    // Dropping the login drops the function that reports, so the reports end.
    drop(login);
    let statuses: Vec<_> = statuses.iter().collect();
    assert_eq!(statuses, [Some(400), Some(404), Some(404), Some(400), Some(400), Some(200), None]);
    assert_eq!(authority.count("authorization_code"), 1);
}

#[test]
fn a_redirect_of_another_issuer_ends_the_login() {
    let authority = Arc::new(Authority::new());
    let server = Server::new(&authority);
    for lie in ["https://evil.example", ""] {
        let (report, statuses) = channel();
        let open =
            browser(&authority, report, move |_, redirect| drop(redirect.insert("iss".into(), lie.into())));
        let login = server.login().browser(open).build().unwrap();
        let error = greet(&server.http(&login)).unwrap_err();
        assert!(error.to_string().contains("expected the authorization server"), "{error}");
        assert_eq!(statuses.recv().unwrap(), Some(400));
    }
    assert_eq!(authority.count("authorization_code"), 0, "no code was sent");
}

#[test]
fn a_login_that_fails_says_why() {
    let authority = Arc::new(Authority::new());
    let server = Server::new(&authority);
    let sign_in = |limit: u64, change: fn(&mut String, &mut BTreeMap<String, String>)| {
        let (report, _statuses) = channel();
        let login = server.login().browser(browser(&authority, report, change));
        login.time_limit(Duration::from_millis(limit)).build().unwrap().sign_in().unwrap_err()
    };
    let denied = sign_in(20_000, |_, redirect| drop(redirect.insert("error".into(), "access_denied".into())));
    assert_eq!(denied, LoginError::Denied);
    let never = sign_in(200, |uri, _| *uri = "http://127.0.0.1:1/".into());
    assert_eq!(never, LoginError::Expired);
    let wrong = sign_in(20_000, |_, redirect| drop(redirect.insert("code".into(), "another-code".into())));
    assert!(matches!(&wrong, LoginError::Refused { code, .. } if code == "invalid_grant"), "{wrong}");
    assert!(!format!("{wrong} {wrong:?}").contains("another-code"));
    // It has no way to ask a person: the refusal is returned unchanged.
    let silent = server.login().build().unwrap();
    assert_eq!(silent.sign_in(), Err(LoginError::NotInteractive));
    let silent = server.login().build().unwrap();
    let error = greet(&server.http(&silent)).unwrap_err();
    assert!(matches!(error.transport_cause(), Some(ResponseError::Unauthorized(_))), "{error}");
}

#[test]
fn metadata_of_another_resource_are_refused() {
    let authority = Arc::new(Authority::new());
    let server = Server::new(&authority);
    // The same server by another name: its metadata name the first one.
    let other = server.url.replace("127.0.0.1", "localhost");
    let (report, _statuses) = channel();
    let open = browser(&authority, report, |_, _| {});
    let login = vgi_rpc_login::Login::builder(&other).browser(open).build().unwrap();
    let error = login.sign_in().unwrap_err();
    assert!(matches!(error, LoginError::Resource { .. }), "{error}");
    assert_eq!(authority.state().grants.len(), 0);
}

#[test]
fn a_function_that_waits_for_the_person_does_not_keep_them_out() {
    let authority = Arc::new(Authority::new());
    let server = Server::new(&authority);
    let played = authority.clone();
    // It returns when the browser has its response, like a browser in the foreground.
    let login = server.login().browser(move |url: &str| {
        let (uri, redirect) = played.sign_in(url);
        assert_eq!(get(&uri, &redirect), Some(200));
        Ok(())
    });
    let login = login.time_limit(Duration::from_secs(5)).build().unwrap();
    login.sign_in().unwrap();
    // A function that never returns costs no more than the time limit.
    let login = server.login().browser(|_: &str| {
        thread::sleep(Duration::from_secs(30));
        Ok(())
    });
    let login = login.time_limit(Duration::from_millis(200)).build().unwrap();
    assert_eq!(login.sign_in(), Err(LoginError::Expired));
    let login = server.login().browser(|_: &str| panic!("as it is meant to")).build().unwrap();
    assert!(matches!(login.sign_in(), Err(LoginError::Unavailable(_))));
}

#[test]
fn the_policy_is_asked_about_other_servers_alone() {
    let authority = Arc::new(Authority::new());
    let server = Server::new(&authority);
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let kept = asked.clone();
    let policy = UrlPolicy::https_or_http_loopback().with_check(move |url| {
        kept.lock().unwrap().insert(url.origin().ascii_serialization());
        Ok(())
    });
    let (report, _statuses) = channel();
    let login = server.login().browser(browser(&authority, report, |_, _| {})).policy(policy);
    login.build().unwrap().sign_in().unwrap();
    assert_eq!(*asked.lock().unwrap(), [authority.issuer.clone()].into());
    // The policy can forbid them.
    let login = server.login().browser(|_: &str| panic!("none is opened")).policy(UrlPolicy::https_public());
    assert!(matches!(login.build().unwrap().sign_in(), Err(LoginError::Unavailable(_))));
    assert_eq!(authority.count("authorization_code"), 1);
}

#[test]
fn a_browser_is_opened_for_the_web_alone() {
    for url in ["", "reports", "--help", "file:///", "javascript:alert(1)", "ftp://127.0.0.1"] {
        assert_eq!(open_browser(url).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{url}");
    }
}
