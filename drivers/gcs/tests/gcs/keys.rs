//! Keys: their sources, what is refused, and that no output contains them.

use std::fmt::{Debug, Display};
use std::fs;
use vgi_rpc_gcs::{Credentials, CredentialsError, HmacKey, ServiceAccountKey};

pub const SERVICE_ACCOUNT: &str = include_str!("data/service_account.json");
pub const ACCESS_ID: &str = "GOOG1EXAMPLE";
pub const SECRET: &str = "s3cr3t/+of=HMAC";

pub fn service_account() -> ServiceAccountKey {
    ServiceAccountKey::from_json(SERVICE_ACCOUNT.as_bytes()).unwrap()
}

pub fn hmac_key() -> HmacKey {
    HmacKey::new(ACCESS_ID, SECRET).unwrap()
}

/// Returns lines of the private key. All are long enough not to occur by chance.
fn private_lines() -> Vec<String> {
    let file: serde_json::Value = serde_json::from_str(SERVICE_ACCOUNT).unwrap();
    let pem = file["private_key"].as_str().unwrap().to_owned();
    pem.lines().filter(|line| !line.starts_with('-')).map(ToOwned::to_owned).collect()
}

/// Asserts that no text contains a part of a key, or of something similar.
#[track_caller]
pub fn hides_keys(what: &(impl Debug + ?Sized), also: &str) {
    let shown = format!("{what:?} {what:#?} {also}");
    assert!(!shown.contains(SECRET) && !shown.contains("s3cr3t"), "{shown}");
    for line in private_lines() {
        assert!(!shown.contains(&line[..line.len().min(16)]), "{shown}");
    }
}

#[track_caller]
fn refused<T: Debug>(result: Result<T, impl Debug + Display>) -> String {
    let error = result.expect_err("it is not a key");
    hides_keys(&error, &error.to_string());
    error.to_string()
}

/// Returns the key file with one field replaced.
fn with_field(name: &str, value: serde_json::Value) -> Result<ServiceAccountKey, CredentialsError> {
    let mut file: serde_json::Value = serde_json::from_str(SERVICE_ACCOUNT).unwrap();
    file[name] = value;
    ServiceAccountKey::from_json(file.to_string().as_bytes())
}

#[test]
fn keys_are_shown_by_their_names_alone() {
    let key = service_account();
    assert_eq!(key.email(), "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com");
    hides_keys(&key, "");
    hides_keys(&hmac_key(), "");
    hides_keys(&Credentials::from(key), "");
    assert_eq!(
        format!("{:?}", Credentials::from(hmac_key())),
        r#"Credentials(HmacKey { access_id: "GOOG1EXAMPLE", .. })"#
    );
}

#[test]
fn a_file_that_is_not_the_key_of_a_service_account_is_refused_and_not_repeated() {
    let cut = &SERVICE_ACCOUNT[..SERVICE_ACCOUNT.len() / 2];
    for (json, expected) in [
        (cut, "which fails at line 6"),
        ("[\"s3cr3t\"]", "line 1"),
        ("{\"private_key\": 17, \"s3cr3t\": 1}", "line 1"),
        ("{}", "expected the field type"),
        ("{\"type\": \"authorized_user\", \"refresh_token\": \"s3cr3t\"}", "got type authorized_user"),
        ("{\"type\": \"service_account\", \"private_key\": \"s3cr3t\"}", "the field client_email"),
        ("{\"type\": \"service_account\", \"client_email\": \"a@b\"}", "the field private_key"),
    ] {
        let text = refused(ServiceAccountKey::from_json(json.as_bytes()));
        assert!(text.contains(expected), "{json}: {text}");
    }
    let long = refused(with_field("type", "\u{1b}[2J".repeat(100).into()));
    assert!(long.len() < 400 && !long.contains('\u{1b}'), "{long}");
    assert!(refused(with_field("client_email", "".into())).contains("e-mail"));
    assert!(refused(with_field("client_email", "a\nb".into())).contains("e-mail"));
    assert!(
        refused(with_field("universe_domain", "evil.example/s3cr3t?".into())).contains("universe_domain")
    );
    assert!(refused(with_field("private_key", "s3cr3t".into())).contains("PEM"));
}

#[test]
fn a_private_key_that_cannot_sign_is_refused() {
    let pem = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    let lines = private_lines();
    let mut damaged = lines.clone();
    damaged[3].replace_range(..4, "AAAA");
    let truncated = lines[..10].concat();
    for (text, expected) in [
        (pem("PRIVATE KEY", &damaged.concat()), "2048 to 4096 bits"),
        (pem("PRIVATE KEY", &truncated), "2048 to 4096 bits"),
        (pem("PRIVATE KEY", ""), "2048 to 4096 bits"),
        (pem("CERTIFICATE", &lines.concat()), "PEM"),
        (pem("EC PRIVATE KEY", &lines.concat()), "PEM"),
        (pem("RSA PRIVATE KEY", &lines.concat()), "2048 to 4096 bits"),
        (pem("PRIVATE KEY", "s3cr3t!!"), "PEM"),
        (String::new(), "PEM"),
    ] {
        let text = refused(ServiceAccountKey::new("a@b.example", &text));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_key_in_the_older_form_signs_the_same() {
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use rustls_pki_types::pem::PemObject;
    let file: serde_json::Value = serde_json::from_str(SERVICE_ACCOUNT).unwrap();
    let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(file["private_key"].as_str().unwrap().as_bytes()).unwrap();
    // PKCS#8 wraps PKCS#1 in a 26-byte prefix that names RSA.
    let pkcs1 = &pkcs8.secret_pkcs8_der()[26..];
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pkcs1);
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n");
    let key = ServiceAccountKey::new(service_account().email(), &pem).unwrap();
    let endpoint = vgi_rpc_gcs::v4::Endpoint::default();
    let url = vgi_rpc_gcs::v4::UrlToSign::new("GET", &endpoint, "bucket", "object");
    let signed = |credentials: Credentials| credentials.sign(&url).unwrap();
    assert!(signed(key.into()).as_str() == signed(service_account().into()).as_str());
}

#[test]
fn key_files_are_read_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    fs::write(&path, SERVICE_ACCOUNT).unwrap();
    assert_eq!(ServiceAccountKey::from_file(&path).unwrap().email(), service_account().email());
    fs::write(&path, format!("{SERVICE_ACCOUNT}{}", " ".repeat(70_000))).unwrap();
    assert!(refused(ServiceAccountKey::from_file(&path)).contains("at most 65536 bytes"));
    assert!(refused(ServiceAccountKey::from_file(folder.path())).contains("cannot be read"));
    assert!(refused(ServiceAccountKey::from_file(folder.path().join("none"))).contains("cannot be read"));
}

#[test]
fn a_key_file_says_in_which_universe_its_storage_is() {
    let endpoint = |key: ServiceAccountKey| Credentials::from(key).endpoint().to_string();
    assert_eq!(endpoint(service_account()), "https://storage.googleapis.com");
    let key = with_field("universe_domain", "domain.example".into()).unwrap();
    assert_eq!(endpoint(key), "https://storage.domain.example");
}

#[test]
fn half_an_hmac_key_is_refused() {
    for (access_id, secret, expected) in [
        ("", SECRET, "access id"),
        ("GOOG 1", SECRET, "access id"),
        ("GOOG1", "", "secret"),
        ("GOOG1", "s3cr3t\n", "secret"),
        ("GOOG1", "s3cr3t\u{a0}", "secret"),
    ] {
        assert!(refused(HmacKey::new(access_id, secret)).contains(expected));
    }
}
