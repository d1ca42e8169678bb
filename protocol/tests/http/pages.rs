//! HTML pages. WIRE_PROTOCOL 10, "Endpoints".

use crate::ask::*;
use crate::common::batches::*;
use crate::common::service::{MAIN, VERSIONED};
use crate::serve::*;
use vgi_rpc_protocol::http::auth::{AuthContext, AuthRequest, bearer_static};
use vgi_rpc_protocol::http::{Endpoint, EndpointError, OperatorPage};

fn page(answered: &Answered) -> String {
    assert_eq!(answered.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(answered.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    String::from_utf8(answered.body.to_vec()).unwrap()
}

#[test]
fn the_landing_page_names_what_is_hosted() {
    for path in ["/vgi", "/vgi/"] {
        let answered = main().send(ask("GET", path));
        let page = page(&answered);
        assert_eq!(answered.status, 200);
        assert!(page.contains(MAIN) && page.contains(VERSIONED) && page.contains("/vgi/describe"), "{path}");
    }
}

#[test]
fn the_description_names_every_method() {
    let page = page(&main().send(ask("GET", "/vgi/describe")));
    for name in ["echo", "count_with_header", "scale", "1.4.2"] {
        assert!(page.contains(name), "{name}");
    }
}

#[test]
fn where_nothing_is_there_is_a_page_that_does_not_repeat_the_path() {
    let answered = main().send(ask("GET", "/no-such-path/%3Cscript%3E"));
    assert_eq!(answered.status, 404);
    assert!(!page(&answered).contains("no-such-path"));
}

#[test]
fn head_is_answered_like_get() {
    for path in ["/vgi", "/vgi/describe", "/vgi/health", "/nowhere"] {
        let (get, head) = (main().send(ask("GET", path)), main().send(ask("HEAD", path)));
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert_eq!(head.body, get.body, "{path}: the driver sends only its length");
    }
}

#[test]
fn pages_behind_authentication_are_not_cached() {
    let authenticator = || bearer_static([("of ann", AuthContext::new("test", "ann"))]);
    let closed = serve_main(|builder| builder.authenticate(authenticator()));
    for path in ["/vgi", "/vgi/describe"] {
        for method in ["GET", "HEAD"] {
            let page = closed.send(ask(method, path).with("authorization", "Bearer of ann"));
            assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")), "{path}");
        }
        let open = main().send(ask("GET", path));
        assert_eq!((open.status, open.header("cache-control")), (200, None), "{path}");
    }
}

#[test]
fn a_server_may_have_no_pages() {
    let server = serve_main(|builder| builder.human_pages(false));
    assert_eq!(server.send(ask("GET", "/vgi")).status, 404);
    assert_eq!(server.send(ask("GET", "/vgi/describe")).status, 404);
    assert_eq!(server.send(ask("GET", "/vgi/health")).status, 200);
    assert_eq!(server.send(unary("nothing", no_columns(1))).status, 200);
}

fn numbers() -> OperatorPage {
    OperatorPage::new("/metrics", "text/plain; version=0.0.4", || "up 1\n".into())
}

#[test]
fn a_page_of_the_operators_is_for_authenticated_callers() {
    let authenticator = || bearer_static([("of ann", AuthContext::new("test", "ann"))]);
    let server = serve_main(|builder| builder.authenticate(authenticator()).operator_page(numbers()));
    let request = || ask("GET", "/vgi/metrics").with("authorization", "Bearer of ann");
    let page = server.send(request());
    assert_eq!((page.status, &*page.body), (200, b"up 1\n".as_slice()));
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(server.send(ask("GET", "/vgi/metrics")).status, 401);
    assert_eq!(server.send(ask("GET", "/vgi/metrics").with("authorization", "Bearer x")).status, 401);
    let posted = server.send(ask("POST", "/vgi/metrics").with("authorization", "Bearer of ann"));
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    for elsewhere in ["/metrics", "/vgi/metrics/", "/vgi/metrics/x", "/vgi/Metrics"] {
        let found = server.send(ask("GET", elsewhere).with("authorization", "Bearer of ann"));
        assert_ne!((found.status, &*found.body), (200, b"up 1\n".as_slice()), "{elsewhere}");
    }
    // A caller that the authenticator accepts as anonymous.
    let anyone = |_: &AuthRequest<'_>| Ok(AuthContext::anonymous());
    let server = serve_main(|builder| builder.authenticate(anyone).operator_page(numbers()));
    assert_eq!(server.send(ask("GET", "/vgi/metrics")).status, 401);
    assert_eq!(server.send(ask("GET", "/vgi/describe")).status, 200);
}

#[test]
fn a_page_of_the_operators_may_be_open_if_it_says_so() {
    let server = serve_main(|builder| builder.operator_page(numbers().open()));
    assert_eq!(server.send(ask("GET", "/vgi/metrics")).status, 200);
    let broken = OperatorPage::new("/metrics", "text/plain", || panic!("on purpose")).open();
    let server = serve_main(|builder| builder.operator_page(broken));
    assert_eq!(server.send(ask("GET", "/vgi/metrics")).status, 500);
    assert_eq!(main().send(ask("GET", "/vgi/metrics")).status, 404);

    let build = |page| {
        let service = crate::common::service::service();
        Endpoint::builder(service, |bytes| bytes.fill(7)).operator_page(page).build().map(drop)
    };
    assert!(matches!(build(numbers()), Err(EndpointError::PageForNobody(path)) if path == "/metrics"));
    let taken = OperatorPage::new("/health", "text/plain", String::new).open();
    assert!(matches!(build(taken), Err(EndpointError::Page(path)) if path == "/health"));
}
