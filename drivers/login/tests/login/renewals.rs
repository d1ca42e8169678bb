//! Tokens that expire between calls.

use crate::authority::Authority;
use crate::served::{Server, greet};
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use vgi_rpc_http::client::{HttpClient, HttpOptions, ResponseError};
use vgi_rpc_login::{Login, LoginBuilder};

/// Returns a login by device code that counts how often it asks the person.
fn counted(builder: LoginBuilder) -> (Login, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let login = builder.device_code(move |_| {
        counter.fetch_add(1, Ordering::AcqRel);
        Ok(())
    });
    (login.build().unwrap(), asked)
}

/// Makes twelve concurrent calls, which must all succeed.
fn twelve(http: &HttpClient) {
    let start = Barrier::new(12);
    thread::scope(|scope| {
        let calls: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    greet(http)
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.join().unwrap().unwrap(), "Hello, ann!");
        }
    });
}

#[test]
fn twelve_calls_that_wait_cause_one_refresh_and_one_login() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let (login, asked) = counted(server.login());
    let http = server.http(&login);
    // None of them has a token at first.
    twelve(&http);
    assert_eq!((asked.load(Ordering::Acquire), authority.count("device_code")), (1, 1));
    // The server considers all of them expired.
    authority.state().refresh_delay = Duration::from_millis(200);
    authority.expire_all();
    twelve(&http);
    assert_eq!((authority.count("refresh_token"), asked.load(Ordering::Acquire)), (1, 1));
    authority.expire_all();
    twelve(&http);
    assert_eq!(authority.count("refresh_token"), 2, "the refresh token has rotated");
    assert_eq!(authority.state().forms.last().unwrap()["refresh_token"], "refresh-secret-2");
}

#[test]
fn a_token_is_renewed_before_it_expires() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let (login, asked) = counted(server.login());
    let http = server.http(&login);
    // By the client's clock it expires at once, and the server never receives it.
    authority.state().life = 0;
    login.sign_in().unwrap();
    authority.state().life = 3600;
    twelve(&http);
    assert_eq!((authority.count("refresh_token"), asked.load(Ordering::Acquire)), (1, 1));
}

#[test]
fn a_refused_refresh_token_means_a_login_and_an_outage_does_not() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let (login, asked) = counted(server.login());
    let http = server.http(&login);
    greet(&http).unwrap();
    authority.expire_all();
    authority.state().refresh_error = Some((503, "temporarily_unavailable"));
    let error = greet(&http).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    assert_eq!(asked.load(Ordering::Acquire), 1);
    authority.state().refresh_error = None;
    greet(&http).unwrap();
    assert_eq!((authority.count("refresh_token"), asked.load(Ordering::Acquire)), (2, 1));

    authority.expire_all();
    authority.state().refresh_error = Some((400, "invalid_grant"));
    twelve(&http);
    assert_eq!((authority.count("refresh_token"), asked.load(Ordering::Acquire)), (3, 2));
}

#[test]
fn a_refusal_that_a_token_does_not_mend_stands() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let (login, asked) = counted(server.login());
    login.sign_in().unwrap();
    authority.issued.lock().unwrap().clear();
    authority.state().registers = false;
    let http = server.http(&login);
    let is_refused = || {
        let error = greet(&http).unwrap_err();
        assert!(matches!(error.transport_cause(), Some(ResponseError::Unauthorized(_))), "{error}");
        (authority.count("refresh_token"), asked.load(Ordering::Acquire))
    };
    // A refreshed token that is also refused: the call is made only twice. A person who has just signed in is not asked
    // again.
    assert_eq!(is_refused(), (1, 1));
    assert_eq!(is_refused(), (1, 1));
    // A known caller without permission is not asked to sign in.
    let scopeless = Scopeless(login);
    let http = HttpOptions::default().credentials(scopeless).build(&server.url).unwrap();
    assert!(greet(&http).is_err());
    assert_eq!((authority.count("refresh_token"), asked.load(Ordering::Acquire)), (1, 1));
}

/// Sends a token without permission, and passes refusals to a login.
struct Scopeless(Login);

impl vgi_rpc_http::client::Credentials for Scopeless {
    fn authorization(&self, _: &str) -> std::io::Result<Option<http::HeaderValue>> {
        Ok(Some(http::HeaderValue::from_static("Bearer scopeless")))
    }

    fn refused(
        &self,
        server: &str,
        sent: Option<&http::HeaderValue>,
        refusal: &vgi_rpc_protocol::http::unauthorized::Unauthorized,
    ) -> std::io::Result<Option<http::HeaderValue>> {
        let other = self.0.refused(server, sent, refusal)?;
        assert!(other.is_none(), "{refusal}");
        Ok(other)
    }
}

#[test]
fn a_login_that_panics_leaves_nobody_waiting() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let login = server.login().device_code(|_| panic!("as it is meant to")).build().unwrap();
    let http = server.http(&login);
    let start = Barrier::new(4);
    thread::scope(|scope| {
        let calls: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    greet(&http)
                })
            })
            .collect();
        for call in calls {
            assert!(!matches!(call.join(), Ok(Ok(_))));
        }
    });
}

#[test]
fn an_outage_does_not_fail_calls_whose_token_is_valid() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let (login, _) = counted(server.login());
    authority.state().life = 4;
    login.sign_in().unwrap();
    authority.state().refresh_error = Some((503, "temporarily_unavailable"));
    thread::sleep(Duration::from_millis(2100));
    greet(&server.http(&login)).unwrap();
    assert_eq!(authority.count("refresh_token"), 1, "half of its lifetime is over");
}

#[test]
fn a_refresh_that_ends_after_the_sign_out_is_dropped() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let store = Arc::new(vgi_rpc_login::MemoryTokenStore::default());
    let (login, _) = counted(server.login().store(store.clone()));
    login.sign_in().unwrap();
    authority.expire_all();
    authority.state().refresh_delay = Duration::from_millis(300);
    let http = server.http(&login);
    thread::scope(|scope| {
        let call = scope.spawn(|| greet(&http));
        while authority.count("refresh_token") == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        login.sign_out().unwrap();
        let _ = call.join().unwrap();
    });
    assert!(!login.is_signed_in());
    assert!(vgi_rpc_login::TokenStore::load(&store).unwrap().is_none(), "nothing was stored afterwards");
}
