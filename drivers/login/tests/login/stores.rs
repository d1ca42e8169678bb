//! Tokens that are stored between runs.

use crate::authority::Authority;
use crate::served::{Server, greet};
use http::{HeaderMap, StatusCode};
use std::fs;
use std::sync::Arc;
use vgi_rpc_http::client::Credentials;
use vgi_rpc_login::{FileTokenStore, MemoryTokenStore, SetupError, TokenStore};
use vgi_rpc_protocol::http::auth::Reason;
use vgi_rpc_protocol::http::unauthorized::Unauthorized;

#[test]
fn a_login_is_kept_between_runs() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("login.json");
    let store = || FileTokenStore::new(&path);
    let first = server.login().device_code(|_| Ok(())).store(store()).build().unwrap();
    greet(&server.http(&first)).unwrap();
    assert_eq!(first.store_error(), None);
    drop(first);
    // No person is asked, and the refresh token is the saved one.
    let second = server.login().store(store()).build().unwrap();
    assert!(second.is_signed_in());
    greet(&server.http(&second)).unwrap();
    authority.expire_all();
    greet(&server.http(&second)).unwrap();
    drop(second);
    authority.expire_all();
    let third = server.login().store(store()).build().unwrap();
    greet(&server.http(&third)).unwrap();
    assert_eq!((authority.count("device_code"), authority.count("refresh_token")), (1, 2));
    third.sign_out().unwrap();
    assert!(!path.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no other file remains");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("login.json");
    let store = FileTokenStore::new(&path);
    assert!(store.load().unwrap().is_none());
    store.save(b"one").unwrap();
    store.save(b"two").unwrap();
    assert_eq!(store.load().unwrap().unwrap().as_slice(), b"two");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = store.load().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains(&format!("{mode:o}")));
        let builder = vgi_rpc_login::Login::builder("https://a.example").store(FileTokenStore::new(&path));
        assert!(matches!(builder.build(), Err(SetupError::Store(_))));
    }
    // A link is not followed, and a pipe is not read.
    let (link, pipe) = (folder.path().join("link"), folder.path().join("pipe"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    for path in [&link, &pipe] {
        assert!(FileTokenStore::new(path).load().is_err(), "{path:?}");
    }
    for (length, is_loaded) in [(256 << 10, true), ((256 << 10) + 1, false)] {
        store.save(&vec![b'a'; length]).unwrap();
        assert_eq!(store.load().is_ok(), is_loaded, "{length}");
    }
    // Only a superuser can change the file's owner.
    store.save(b"one").unwrap();
    if std::os::unix::fs::chown(&path, Some(1), None).is_ok() {
        assert_eq!(store.load().unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
        assert!(store.load().unwrap_err().to_string().contains("another user"));
    }
    // If a file cannot be renamed into place, it is removed.
    let folder_of_one = folder.path().join("folder");
    fs::create_dir_all(folder_of_one.join("login.json")).unwrap();
    assert!(FileTokenStore::new(folder_of_one.join("login.json")).save(b"one").is_err());
    assert_eq!(fs::read_dir(&folder_of_one).unwrap().count(), 1);
    // A deleted folder: the previous tokens are untouched, and the error is reported.
    let nowhere = FileTokenStore::new(folder.path().join("gone/login.json"));
    assert!(nowhere.save(b"one").is_err() && nowhere.load().unwrap().is_none());
}

#[test]
fn a_store_that_fails_does_not_fail_the_call() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let folder = tempfile::tempdir().unwrap();
    let store = FileTokenStore::new(folder.path().join("gone/login.json"));
    let login = server.login().device_code(|_| Ok(())).store(store).build().unwrap();
    greet(&server.http(&login)).unwrap();
    assert!(login.store_error().is_some());
}

#[test]
fn a_login_at_another_server_is_not_used() {
    let authority = Authority::new();
    let (server, other) = (Server::new(&authority), Server::new(&authority));
    let store = Arc::new(MemoryTokenStore::default());
    let login = server.login().device_code(|_| Ok(())).store(store.clone()).build().unwrap();
    login.sign_in().unwrap();
    assert!(matches!(other.login().store(store.clone()).build(), Err(SetupError::Saved(_))));
    assert!(server.login().store(store.clone()).build().unwrap().is_signed_in());
    // A refused refresh token is not kept.
    authority.expire_all();
    authority.state().refresh_error = Some((400, "invalid_grant"));
    let login = server.login().store(store.clone()).build().unwrap();
    assert!(greet(&server.http(&login)).is_err());
    assert!(store.load().unwrap().is_none());
    store.save(b"{}").unwrap();
    assert!(matches!(server.login().store(store).build(), Err(SetupError::Saved(_))));
}

#[test]
fn urls_that_are_no_servers_are_refused() {
    for url in ["", "reports", "ftp://a", "https://u:p@a", "https://a?b", "https://a#b"] {
        assert!(matches!(vgi_rpc_login::Login::builder(url).build(), Err(SetupError::Url)), "{url}");
    }
}

#[test]
fn plain_http_to_another_machine_must_be_allowed() {
    use vgi_rpc_login::Login;
    for url in ["http://reports.corp", "http://192.0.2.1:8080/vgi"] {
        assert!(matches!(Login::builder(url).build(), Err(SetupError::PlainHttp)), "{url}");
        assert!(Login::builder(url).allow_plain_http().build().is_ok(), "{url}");
    }
    for url in ["https://reports.corp", "http://127.0.0.1:8080", "http://[::1]", "http://localhost"] {
        assert!(Login::builder(url).build().is_ok(), "{url}");
    }
}

#[test]
fn a_login_that_the_settings_do_not_allow_is_not_used() {
    let authority = Authority::new();
    let server = Server::new(&authority);
    let store = Arc::new(MemoryTokenStore::default());
    let scoped = server.login().device_code(|_| Ok(())).scopes(["openid", "reports.read"]);
    scoped.store(store.clone()).build().unwrap().sign_in().unwrap();
    let again = || server.login().store(store.clone());
    let is_used = |builder: vgi_rpc_login::LoginBuilder| builder.build().unwrap().is_signed_in();
    assert!(is_used(again().issuer(&authority.issuer).client_id("tv")));
    assert!(!is_used(again().issuer("https://other.example")));
    assert!(!is_used(again().client_id("other")));
    assert!(is_used(again().scopes(["reports.read", "openid"])), "the order does not matter");
    for scopes in [&["openid"][..], &["openid", "reports.read", "reports.write"], &["openid", "reports"], &[]]
    {
        assert!(!is_used(again().scopes(scopes.iter().copied())), "{scopes:?}");
    }
    // As if the called server had exchanged it.
    let document = store.load().unwrap().unwrap();
    let text = String::from_utf8(document.to_vec()).unwrap();
    let published = text.replace("\"is_published_endpoint\":false", "\"is_published_endpoint\":true");
    assert_ne!(text, published);
    store.save(published.as_bytes()).unwrap();
    assert!(!is_used(again()));
    assert!(is_used(again().use_published_token_endpoint()));
}

#[test]
fn a_token_goes_to_its_own_server_alone() {
    let authority = Authority::new();
    let (server, other) = (Server::new(&authority), Server::new(&authority));
    let login = server.login().device_code(|_| Ok(())).build().unwrap();
    login.sign_in().unwrap();
    assert_eq!(greet(&server.http(&login)).unwrap(), "Hello, ann!");
    // The other server would accept it.
    let error = greet(&other.http(&login)).unwrap_err();
    assert!(error.to_string().contains("another server") || format!("{error:?}").contains("another server"));
    let sent = login.authorization(&server.url).unwrap().unwrap();
    assert!(!format!("{sent:?}").contains(sent.to_str().unwrap()), "it cannot be logged");
    // A refusal by another server causes no renewal, nor does one that states neither a reason nor where to sign in.
    let refusal = Unauthorized::from_response(StatusCode::UNAUTHORIZED, &HeaderMap::new(), b"no").unwrap();
    assert_eq!(login.refused(&server.url, Some(&sent), &refusal).unwrap(), None);
    let mut expired = refusal;
    expired.reason = Reason::ExpiredCredential;
    assert_eq!(login.refused(&other.url, Some(&sent), &expired).unwrap(), None);
    assert_eq!(authority.count("refresh_token"), 0);
    assert!(login.refused(&server.url, Some(&sent), &expired).unwrap().is_some());
    assert_eq!(authority.count("refresh_token"), 1);
}
