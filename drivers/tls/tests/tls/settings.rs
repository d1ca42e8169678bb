//! Errors for unusable settings name the file, and never its content.

use crate::authority::{Authority, Pair};
use std::path::PathBuf;
use vgi_rpc_tls::{ClientCertificates, ClientTls, Pem, ServerTls, TlsConfigError};

struct Files(tempfile::TempDir);

impl Files {
    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

#[test]
fn errors_name_the_file_and_what_was_expected() {
    let pair = Pair::new();
    let files = Files(tempfile::tempdir().unwrap());
    let certificate = files.put("good.pem", &pair.server.pem);
    let key = files.put("good.key", &pair.server.key);
    let other_key = files.put("other.key", &pair.authority.issue("localhost").key);
    let empty = files.put("empty.pem", "no PEM at all\n");
    let cut = files.put("cut.pem", &pair.server.pem[..200]);
    let bad = files.put("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let absent = files.0.path().join("absent.pem");

    let server = |certificate: &PathBuf, key: &PathBuf| {
        ServerTls::builder(Pem::file(certificate), Pem::file(key)).build().unwrap_err()
    };
    assert!(ServerTls::builder(Pem::file(&certificate), Pem::file(&key)).build().is_ok());
    for (error, file, expected) in [
        (server(&absent, &key), "absent.pem", "cannot be read"),
        (server(&empty, &key), "empty.pem", "found none"),
        (server(&cut, &key), "cut.pem", "not PEM"),
        (server(&certificate, &empty), "empty.pem", "expected an unencrypted private key"),
        (server(&certificate, &certificate), "good.pem", "expected an unencrypted private key"),
        (server(&certificate, &other_key), "other.key", "expected the private key of the certificate in"),
    ] {
        let text = error.to_string();
        assert!(text.contains(file) && text.contains(expected), "{text}");
    }
    let roots = |path: &PathBuf| ClientTls::builder().roots(Pem::file(path)).build().unwrap_err();
    assert!(matches!(roots(&bad), TlsConfigError::Authority { .. }));
    assert!(matches!(roots(&empty), TlsConfigError::NoCertificate { .. }));
    assert!(matches!(ClientTls::builder().build(), Err(TlsConfigError::NoRoots)));
    let named = pair.authority.client().server_name("not a name").build();
    assert!(matches!(named, Err(TlsConfigError::ServerName { .. })));
    let clients = ServerTls::builder(Pem::file(&certificate), Pem::file(&key))
        .client_roots(Pem::file(&absent), ClientCertificates::Required)
        .build();
    assert!(matches!(clients, Err(TlsConfigError::Read { .. })));
    assert!(ClientTls::with_web_roots().is_ok());
}

#[test]
fn neither_debug_texts_nor_errors_have_keys_in_them() {
    let pair = Pair::new();
    let secret = pair.server.key.lines().nth(1).unwrap();
    let builder = pair.server.server();
    let identified = Authority::new("x").client().identity(pair.server.certificates(), pair.server.key());
    for text in [
        format!("{builder:?}"),
        format!("{:?}", builder.clone().build().unwrap()),
        format!("{identified:?}"),
        format!("{:?}", pair.server.key()),
    ] {
        assert!(!text.contains(&secret[..20]), "{text}");
    }
    // A misplaced or damaged key is not shown either.
    let damaged = pair.server.key.replace("-----END", "-----END OF");
    for (certificates, key) in [
        (pair.server.key(), pair.server.key()),
        (pair.server.certificates(), Pem::bytes(damaged.as_bytes())),
        (pair.server.certificates(), Pem::bytes(pair.server.key.replacen("PRIVATE", &secret[..20], 1))),
    ] {
        let error = ServerTls::builder(certificates, key).build().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret[..20]), "{error}");
    }
}
