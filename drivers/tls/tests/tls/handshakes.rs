//! Which clients are accepted, and what is known about them.

use crate::authority::{Authority, Issued, Pair};
use crate::conversation::request;
use crate::link::{Driven, End, Link, try_both};
use rustls::{AlertDescription, CertificateError, Error, HandshakeKind, InvalidMessage};
use std::sync::{Arc, Mutex};
use vgi_rpc_reactor::{Machine, Origin, Phase, TlsOrigin};
use vgi_rpc_tls::ClientCertificates::{Optional, Required};
use vgi_rpc_tls::{ClientTls, ServerTls, tls_peer};

fn origin(driven: &Driven) -> Arc<TlsOrigin> {
    let Some(Origin::Tls(tls)) = driven.world.origin() else { panic!("the origin has no TLS information") };
    tls
}

#[test]
fn a_handshake_in_any_pieces_gives_the_same() {
    let pair = Pair::new();
    let body: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        for split in [1, 7, 1000, usize::MAX] {
            let mut roots = rustls::RootCertStore::empty();
            use rustls::pki_types::{CertificateDer, pem::PemObject};
            roots.add(CertificateDer::from_pem_slice(pair.authority.pem.as_bytes()).unwrap()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let mut link = Link::of(config.into(), Driven::new(&pair.open())).split(split);
            link.settle().unwrap();
            link.send(&[request(b'e', body.len() as u64), body.clone()].concat()).unwrap();
            assert!(link.received == body, "{version:?} {split}");
            let origin = origin(&link.driven);
            assert_eq!(origin.version, u16::from(version.version));
            assert_eq!(origin.server_name.as_deref(), Some("localhost"));
            assert_eq!(origin.below, Origin::Tcp(Some("192.0.2.1:1000".parse().unwrap())));
            assert_eq!((origin.certificates.len(), &origin.alpn), (0, &None));
        }
    }
}

#[test]
fn what_is_sent_with_the_end_of_the_handshake_is_answered() {
    let pair = Pair::new();
    let mut link = Link::new(&pair.client(), Driven::new(&pair.open()));
    // rustls buffers it until it may be sent.
    link.send(&[request(b'g', 3), request(b'g', 4)].concat()).unwrap();
    assert_eq!(link.received, [0; 7]);
}

/// Returns the client's error if it presents this certificate.
fn refusal(pair: &Pair, server: &ServerTls, identity: Option<&Issued>) -> Error {
    let client = identity.map_or_else(|| pair.client(), |identity| pair.client_with(identity));
    let (error, driven) = try_both(&client, server).err().expect("the client is accepted");
    assert_eq!(driven.world.origin(), None, "the machine inside was made");
    assert_eq!(driven.end, Some(End::LingeringClose));
    error
}

#[test]
fn clients_without_a_certificate_are_let_in_only_where_it_is_optional() {
    let (pair, clients) = (Pair::new(), Authority::new("clients"));
    let client = clients.issue("client");
    for (server, is_optional) in
        [(pair.mutual(&clients, Optional), true), (pair.mutual(&clients, Required), false)]
    {
        let link = try_both(&pair.client_with(&client), &server).map_err(|(error, _)| error).unwrap();
        let tls = origin(&link.driven);
        assert!(matches!(&tls.certificates[..], [leaf] if *leaf == client.der));
        let peer = tls_peer(&Origin::Tls(tls)).unwrap();
        assert_eq!((peer.version, &peer.certificates[..]), (0x0304, &[client.der.clone().into()][..]));
        if is_optional {
            let link = try_both(&pair.client(), &server).map_err(|(error, _)| error).unwrap();
            assert!(origin(&link.driven).certificates.is_empty());
        } else {
            let error = refusal(&pair, &server, None);
            assert_eq!(error, Error::AlertReceived(AlertDescription::CertificateRequired));
        }
    }
}

#[test]
fn no_session_is_resumed_so_that_each_connection_verifies_its_client() {
    let (pair, clients) = (Pair::new(), Authority::new("clients"));
    let (client, server) = (pair.client_with(&clients.issue("client")), pair.mutual(&clients, Required));
    for _ in 0..3 {
        let link = try_both(&client, &server).map_err(|(error, _)| error).unwrap();
        assert_eq!(link.client.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn certificates_of_strangers_and_old_ones_are_refused_even_where_none_is_needed() {
    let (pair, clients, strangers) = (Pair::new(), Authority::new("clients"), Authority::new("strangers"));
    for mode in [Optional, Required] {
        let server = pair.mutual(&clients, mode);
        let unknown = refusal(&pair, &server, Some(&strangers.issue("client")));
        assert_eq!(unknown, Error::AlertReceived(AlertDescription::UnknownCA));
        // The server's own authority is not trusted for clients.
        let other = refusal(&pair, &server, Some(&pair.authority.issue("client")));
        assert_eq!(other, Error::AlertReceived(AlertDescription::UnknownCA));
        let expired = refusal(&pair, &server, Some(&clients.issue_until("client", 2020)));
        assert_eq!(expired, Error::AlertReceived(AlertDescription::CertificateExpired));
    }
}

#[test]
fn clients_check_the_authority_the_name_and_the_time() {
    let (pair, strangers) = (Pair::new(), Authority::new("strangers"));
    let refused = |server: &ServerTls, client: &ClientTls| {
        let (error, _) = try_both(client, server).err().expect("the server is trusted");
        match error {
            Error::InvalidCertificate(error) => error,
            error => panic!("{error}"),
        }
    };
    let stranger = strangers.client().build().unwrap();
    assert_eq!(refused(&pair.open(), &stranger), CertificateError::UnknownIssuer);
    let other = pair.authority.issue("other.example").server().build().unwrap();
    assert!(matches!(
        refused(&other, &pair.client()),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    ));
    let old = pair.authority.issue_until("localhost", 2020).server().build().unwrap();
    assert!(matches!(
        refused(&old, &pair.client()),
        CertificateError::Expired | CertificateError::ExpiredContext { .. }
    ));
}

#[test]
fn an_application_checks_the_server_beside_its_name_or_in_place_of_it() {
    let pair = Pair::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let check = |answer: Result<(), String>| {
        let seen = seen.clone();
        move |chain: &[&[u8]]| {
            seen.lock().unwrap().push(chain[0].to_vec());
            answer.clone()
        }
    };
    let beside = |answer| pair.authority.client().check_server(check(answer)).build().unwrap();
    assert!(try_both(&beside(Ok(())), &pair.open()).is_ok());
    assert!(matches!(&seen.lock().unwrap()[..], [leaf] if *leaf == pair.server.der));
    let (error, _) = try_both(&beside(Err("not mine".to_owned())), &pair.open()).err().unwrap();
    assert!(error.to_string().contains("not mine"), "{error}");

    let workload = pair.authority.issue_workload("spiffe://example.org/worker");
    let server = workload.server().build().unwrap();
    assert!(try_both(&beside(Ok(())), &server).is_err(), "it has no such name");
    let instead =
        |answer| pair.authority.client().check_server_in_place_of_name(check(answer)).build().unwrap();
    assert!(try_both(&instead(Ok(())), &server).is_ok());
    assert!(try_both(&instead(Err("no".to_owned())), &server).is_err());
    // The chain is always verified, before the function is called.
    seen.lock().unwrap().clear();
    let stranger = Authority::new("strangers").issue_workload("spiffe://example.org/worker");
    assert!(try_both(&instead(Ok(())), &stranger.server().build().unwrap()).is_err());
    let old = pair.authority.issue_until("localhost", 2020).server().build().unwrap();
    assert!(try_both(&instead(Ok(())), &old).is_err());
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn a_server_that_gives_tickets_is_verified_again() {
    let pair = Pair::new();
    let calls = Arc::new(Mutex::new(0));
    let counted = calls.clone();
    let client = pair.authority.client().check_server(move |_| {
        *counted.lock().unwrap() += 1;
        Ok(())
    });
    let client = client.build().unwrap();
    let mut gives = (*pair.open().config()).clone();
    gives.session_storage = rustls::server::ServerSessionMemoryCache::new(16);
    gives.send_tls13_tickets = 2;
    let gives = Arc::new(gives);
    // Sessions are stored in the settings, which a client creates once.
    let config = client.config(&[]);
    for connection in 1..=3 {
        let mut server = rustls::ServerConnection::new(gives.clone()).unwrap();
        let mut client =
            rustls::ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
        while client.wants_write() || server.wants_write() {
            let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut to_server).unwrap();
            }
            while server.wants_write() {
                server.write_tls(&mut to_client).unwrap();
            }
            let (mut to_server, mut to_client) = (&to_server[..], &to_client[..]);
            while !to_server.is_empty() {
                server.read_tls(&mut to_server).unwrap();
                server.process_new_packets().unwrap();
            }
            while !to_client.is_empty() {
                client.read_tls(&mut to_client).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(*calls.lock().unwrap(), connection);
    }
}

#[test]
fn application_protocols_are_agreed_on_or_the_handshake_fails() {
    let pair = Pair::new();
    let budget = vgi_rpc_protocol::memory::Budget::new(1 << 30);
    let with = |offered: &[&[u8]], own: &[&[u8]]| {
        let mut link = Link::of(pair.client().config(offered), Driven::with(&pair.open(), own, &budget));
        link.open().map(|()| origin(&link.driven).alpn.clone())
    };
    assert_eq!(with(&[b"h2", b"http/1.1"], &[b"http/1.1"]).unwrap().as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(with(&[], &[b"http/1.1"]).unwrap(), None);
    assert_eq!(with(&[b"h2"], &[]).unwrap(), None);
    let error = with(&[b"h2"], &[b"http/1.1"]).unwrap_err();
    assert_eq!(error, Error::AlertReceived(AlertDescription::NoApplicationProtocol));
    // Settings can name protocols, but only those that are spoken inside.
    let set = |names: &[&[u8]], offered: &[&[u8]], own: &[&[u8]]| {
        let tls = pair.server.server().alpn(names.iter().copied()).build().unwrap();
        let mut link = Link::of(pair.client().config(offered), Driven::with(&tls, own, &budget));
        link.open().map(|()| origin(&link.driven).alpn.clone())
    };
    assert_eq!(set(&[b"vgi"], &[b"vgi"], &[]).unwrap().as_deref(), Some(&b"vgi"[..]));
    let agreed = set(&[b"h2", b"http/1.1"], &[b"h2", b"http/1.1"], &[b"http/1.1"]).unwrap();
    assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
    for names in [&[&b"h2"[..]][..], &[b"h2", b"http/1.1"]] {
        let error = set(names, &[b"h2"], &[b"http/1.1"]).unwrap_err();
        assert_eq!(error, Error::AlertReceived(AlertDescription::NoApplicationProtocol));
    }
}

#[test]
fn what_is_not_tls_is_told_so_and_closed() {
    let pair = Pair::new();
    let all_zero = [0; 100_000];
    for bytes in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], &all_zero]
    {
        for split in [1, usize::MAX] {
            let mut driven = Driven::new(&pair.open());
            driven.feed(bytes, split);
            assert_eq!(driven.end, Some(End::LingeringClose), "{bytes:?}");
            assert_eq!((driven.sent[0], driven.sent.len()), (21, 7), "an alert");
            assert_eq!(driven.world.origin(), None);
        }
    }
}

#[path = "../../../../tests/events/kept.rs"]
mod kept;

#[test]
fn handshakes_that_fail_are_events_now_and_then() {
    let (pair, kept) = (Pair::new(), kept::Kept::default());
    let server = pair.open();
    tracing::subscriber::with_default(kept.clone(), || {
        // An empty record, and text that an attacker would like to see in a log.
        for bytes in [&[22, 3, 1, 0, 0][..], b"\n2026 INFO all is well\n", &[22, 3, 1, 0, 0]] {
            Driven::new(&server).feed(bytes, usize::MAX);
        }
        try_both(&pair.client(), &server).map_err(|(error, _)| error).unwrap();
    });
    assert_eq!(server.failed_handshakes(), 3);
    let events = kept.with(&["vgi_rpc_tls"]);
    assert!(matches!(&events[..], [event] if event.starts_with("WARN vgi_rpc_tls ")), "{events:?}");
    for part in ["message=a TLS handshake has failed", "InvalidEmptyPayload", "left_out=0"] {
        assert!(events[0].contains(part), "{events:?}");
    }
}

#[test]
fn a_tls_client_of_a_plain_server_fails() {
    let pair = Pair::new();
    let mut link = Link::new(&pair.client(), Driven::new(&pair.open()));
    let mut reply = &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..];
    link.client.read_tls(&mut reply).unwrap();
    let error = link.client.process_new_packets().unwrap_err();
    assert_eq!(error, Error::InvalidMessage(InvalidMessage::InvalidContentType));
    let explained = |error: Error| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        vgi_rpc_tls::explain_handshake_error(error).to_string()
    };
    let text = explained(error);
    assert!(text.starts_with("the server does not seem to speak TLS: "), "{text}");
    let other = Error::InvalidMessage(InvalidMessage::InvalidEmptyPayload);
    assert_eq!(explained(other.clone()), other.to_string());
}

#[test]
fn settings_are_loaded_anew_for_new_connections_alone() {
    let pair = Pair::new();
    let folder = tempfile::tempdir().unwrap();
    let (certificates, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
    let put = |issued: &Issued| {
        std::fs::write(&certificates, &issued.pem).unwrap();
        std::fs::write(&key, &issued.key).unwrap();
    };
    put(&pair.server);
    let server = ServerTls::builder(vgi_rpc_tls::Pem::file(&certificates), vgi_rpc_tls::Pem::file(&key))
        .build()
        .unwrap();
    let presented = |link: &Link| link.client.peer_certificates().unwrap()[0].to_vec();
    let mut old = try_both(&pair.client(), &server).map_err(|(error, _)| error).unwrap();
    assert_eq!(presented(&old), pair.server.der);

    // A partial change is refused, and the previous settings stay in force.
    let next = pair.authority.issue("localhost");
    std::fs::write(&certificates, &next.pem).unwrap();
    let error = server.clone().reload().unwrap_err().to_string();
    assert!(error.contains("server.key") && error.contains("server.pem"), "{error}");
    let link = try_both(&pair.client(), &server).map_err(|(error, _)| error).unwrap();
    assert_eq!(presented(&link), pair.server.der);

    put(&next);
    server.clone().reload().unwrap();
    let new = try_both(&pair.client(), &server).map_err(|(error, _)| error).unwrap();
    assert_eq!(presented(&new), next.der);
    old.send(&request(b'g', 5)).unwrap();
    assert_eq!(old.received, [0; 5], "the open connection continues");

    // The trusted authorities are part of the settings, and an earlier session does not bypass them.
    let clients = Authority::new("clients");
    let roots = vgi_rpc_tls::Pem::bytes(clients.pem.as_bytes());
    let client = pair.client();
    assert!(try_both(&client, &server).is_ok());
    server.replace(next.server().client_roots(roots, Required)).unwrap();
    assert!(try_both(&client, &server).is_err());
}

#[test]
fn a_connection_is_in_its_handshake_until_that_is_done_and_fresh_until_it_is_used() {
    let pair = Pair::new();
    let mut link = Link::new(&pair.client(), Driven::new(&pair.open()));
    assert_eq!(link.driven.machine.phase(), Phase::Idle, "nothing has arrived");
    link.driven.feed(&[22], 1);
    assert_eq!(link.driven.machine.phase(), Phase::Handshake);
    let mut hello = Vec::new();
    link.client.write_tls(&mut hello).unwrap();
    link.driven.feed(&hello[1..], usize::MAX);
    assert_eq!(link.driven.machine.phase(), Phase::Handshake);
    link.settle().unwrap();
    assert_eq!(link.driven.machine.phase(), Phase::Fresh);
    link.send(&request(b'g', 1)).unwrap();
    assert_eq!(link.driven.machine.phase(), Phase::Idle);
    link.driven.feed(&[23, 3, 3], 1);
    assert_eq!(link.driven.machine.phase(), Phase::Head, "a part of a record");
}
