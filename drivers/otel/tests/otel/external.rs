//! Transfers of external objects: spans below those of their calls, without the signatures of their URLs.

use crate::receiver::Received;
use crate::support::*;
use bytes::Bytes;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use vgi_rpc_client::External;
use vgi_rpc_effects::Performer;
use vgi_rpc_external::{FetcherOptions, HttpFetcher};
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::effect::{Answers, Completion, Failure, FailureReason, Question, Request};
use vgi_rpc_protocol::external::{Externalisation, FetchOptions, Location, UrlPolicy};
use vgi_rpc_protocol::service::CallContext;

/// The signature in all URLs.
const SIGNATURE: &str = "s3cr3t-signature";

/// A store of objects, which it serves over HTTP.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<HashMap<String, Bytes>>>);

impl Store {
    fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let store = self.clone();
        thread::spawn(move || listener.incoming().for_each(|stream| store.answer(stream.unwrap())));
        url
    }

    /// Answers one request, and closes the connection.
    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let target = lines.next().unwrap_or_default();
        let _head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        let path = target.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
        let object = self.0.lock().unwrap().get(&path).cloned();
        let status = if object.is_some() { "200 OK" } else { "404 Not Found" };
        let body = object.unwrap_or_default();
        let coding =
            if body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) { "Content-Encoding: zstd\r\n" } else { "" };
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\n{coding}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    }

    /// Performs a server's effects, and records the current span.
    fn perform(&self, url: &str, seen: &Arc<Mutex<Vec<String>>>) -> impl Fn(&Request) -> Completion + use<> {
        let (store, url, seen) = (self.0.clone(), url.to_owned(), seen.clone());
        move |request| {
            seen.lock().unwrap().push(current());
            match request {
                Request::Question(_) => Completion::value(true),
                Request::Store(object) => {
                    let mut objects = store.lock().unwrap();
                    let path = format!("/objects/{}", objects.len());
                    objects.insert(path.clone(), object.object().segments.concat().into());
                    let url = format!("{}{path}?X-Signature={SIGNATURE}", url.replace("//", "//user:pass@"));
                    Completion::Stored(Location::parse(&url).unwrap())
                }
                _ => Failure::new(FailureReason::Unsupported, "not here").into(),
            }
        }
    }
}

fn admit(_: &CallContext, answers: &Answers) -> Result<(), vgi_rpc_protocol::service::Stop> {
    answers.ask("may it", || Question::new(()))??;
    Ok(())
}

fn named<'a>(spans: &'a [Received], name: &str, kind: &str) -> &'a Received {
    let mut found = spans.iter().filter(|span| span.name == name && span.kind == kind);
    let span = found.next().unwrap_or_else(|| panic!("{name} is missing in {spans:#?}"));
    assert!(found.next().is_none(), "{name} occurs twice in {spans:#?}");
    span
}

#[test]
fn transfers_stand_under_their_calls_and_show_no_signature() {
    let setup = Setup::new();
    let (store, seen) = (Store::default(), Arc::default());
    let url = store.start();
    let performer = Performer::new(setup.otel.perform(store.perform(&url, &seen)));
    let mut settings = Externalisation::default();
    (settings.threshold, settings.coding) = (1000, Some(Coding::Zstd));
    let service = service(|builder| builder.hook(setup.otel.server()).externalise(settings).admit(admit));
    let address = serve_tcp(service, Some(performer));
    let fetcher = HttpFetcher::new(FetcherOptions::default()).unwrap();
    let options = FetchOptions { policy: UrlPolicy::unrestricted(), ..FetchOptions::default() };
    let mut client = vgi_rpc_unix::connect_tcp(&address)
        .unwrap()
        .check_kinds(false)
        .hook(setup.otel.client())
        .external(External::new(options, setup.otel.perform(fetcher)));
    let answer: String = client.call(&remote().method("large"), (("bytes", 100_000_i64),)).unwrap();
    assert_eq!(answer.len(), 100_000);
    let spans = setup.spans();
    let server = named(&spans, "vgi_rpc/large", "server");
    let called = named(&spans, "vgi_rpc/large", "client");
    let upload = named(&spans, "vgi_rpc.external/upload", "client");
    let fetch = named(&spans, "vgi_rpc.external/fetch", "client");
    assert_eq!(spans.len(), 4);
    assert_eq!((&server.parent, &upload.parent, &fetch.parent), (&called.id, &server.id, &called.id));
    assert!(spans.iter().all(|span| span.trace == called.trace));
    assert_eq!([server, called, upload, fetch].map(|span| span.status), ["ok", "ok", "unset", "ok"]);
    // The admission question runs within the call's span, and the upload within its own.
    assert_eq!(*seen.lock().unwrap(), [ids(server), ids(upload)]);
    let shown = format!("{url}/objects/0");
    assert_eq!((&upload.attributes["url"], &fetch.attributes["url"]), (&shown.clone().into(), &shown.into()));
    let stored = store.0.lock().unwrap()["/objects/0"].len();
    assert_eq!(upload.attributes["upload_bytes"], stored);
    assert_eq!(upload.attributes["compression"], "zstd");
    assert!(upload.attributes["original_bytes"].as_u64().unwrap() > 100_000);
    assert!(fetch.attributes["fetch_duration_ms"].as_f64().unwrap() > 0.0);
    let all = format!("{spans:?}");
    assert!(!all.contains(SIGNATURE) && !all.contains("pass"), "{all}");

    // A deleted object.
    let before = store.0.lock().unwrap().clone();
    let lost = store.clone();
    let gone = setup.otel.perform(move |request: &Request| {
        lost.0.lock().unwrap().clear();
        match request {
            Request::Fetch(fetch) => HttpFetcher::new(FetcherOptions::default()).unwrap().fetch(fetch),
            _ => Failure::unsupported().into(),
        }
    });
    let options = FetchOptions { policy: UrlPolicy::unrestricted(), ..FetchOptions::default() };
    let mut client = vgi_rpc_unix::connect_tcp(&address)
        .unwrap()
        .check_kinds(false)
        .external(External::new(options, gone));
    client.call::<String>(&remote().method("large"), (("bytes", 100_000_i64),)).unwrap_err();
    let spans = setup.spans();
    let fetch = named(&spans, "vgi_rpc.external/fetch", "client");
    assert_eq!((fetch.status, fetch.events.len(), fetch.parent.as_str()), ("error", 1, ""));
    assert!(fetch.message.contains("404") && !format!("{spans:?}").contains(SIGNATURE), "{fetch:?}");
    drop(before);
}
