//! Credentials that are replaced while objects are stored.

use crate::support::{
    ID, SECRET, batch, builder, credentials, failure, hides_secrets, server, store, stored,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use vgi_rpc_external::{ObjectStorage, unix_time};
use vgi_rpc_protocol::effect::Completion;
use vgi_rpc_s3::{Credentials, CredentialsError, S3ErrorKind, Secret};

/// Returns the credentials of the current generation, `KEY0`, `KEY1` and so on, and counts the calls.
fn provider(
    generation: &Arc<AtomicUsize>,
    asked: &Arc<AtomicUsize>,
    lifetime: Option<Duration>,
) -> impl Fn() -> Result<Credentials, CredentialsError> + Send + Sync + 'static {
    let (generation, asked) = (generation.clone(), asked.clone());
    move || {
        asked.fetch_add(1, Ordering::SeqCst);
        let id = format!("KEY{}", generation.load(Ordering::SeqCst));
        let mut credentials = credentials(&id, Some(&format!("token-of-{id}")));
        credentials.expires_at = lifetime.map(|lifetime| unix_time() + lifetime);
        Ok(credentials)
    }
}

#[test]
fn no_store_fails_while_credentials_are_replaced() {
    let server = server();
    let (generation, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    server.add_key("KEY0", SECRET, Some("token-of-KEY0"));
    let storage = builder(&server).credentials(provider(&generation, &asked, None)).build().unwrap();
    let (has_ended, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..4)
        .map(|seed| {
            let (storage, has_ended, count) = (storage.clone(), has_ended.clone(), count.clone());
            thread::spawn(move || {
                let store = store(&batch(100, seed), None);
                while !has_ended.load(Ordering::SeqCst) {
                    stored(&storage, &store);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let more = |stores: usize| {
        let target = count.load(Ordering::SeqCst) + stores;
        while count.load(Ordering::SeqCst) < target && !threads.iter().any(thread::JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(5));
        }
    };
    for next in 1..=3 {
        more(8);
        let (id, before) = (format!("KEY{next}"), format!("KEY{}", next - 1));
        server.add_key(&id, SECRET, Some(&format!("token-of-{id}")));
        generation.store(next, Ordering::SeqCst);
        // The second time only the token is replaced, which expires.
        if next == 2 {
            server.add_key(&before, SECRET, Some("another"));
        } else {
            server.remove_key(&before);
        }
        more(8);
    }
    has_ended.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().expect("each store succeeds");
    }
    // One call at first, and one for each replacement: threads that are refused at the same time share a call, except
    // those that were refused before but noticed it later.
    let asked = asked.load(Ordering::SeqCst);
    assert!((4..=7).contains(&asked), "{asked}");
}

#[test]
fn credentials_are_replaced_before_they_expire() {
    let server = server();
    let (generation, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for id in ["KEY0", "KEY1"] {
        server.add_key(id, SECRET, Some(&format!("token-of-{id}")));
    }
    // So short that they are requested each time.
    let lifetime = Some(Duration::from_secs(30));
    let storage = builder(&server).credentials(provider(&generation, &asked, lifetime)).build().unwrap();
    let store = store(&batch(10, 0), None);
    stored(&storage, &store);
    generation.store(1, Ordering::SeqCst);
    stored(&storage, &store);
    let ids: Vec<_> = server
        .take_log()
        .iter()
        .map(|asked| asked.parameter("X-Amz-Credential").unwrap().split('%').next().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2, "no request was refused");
    assert_eq!(ids.last().unwrap(), "KEY1");
}

#[test]
fn credentials_that_are_refused_again_are_an_error() {
    let server = server();
    let asked = Arc::new(AtomicUsize::new(0));
    let provider = provider(&Arc::default(), &asked, None);
    let storage = builder(&server).credentials(provider).build().unwrap();
    let error = failure(&storage);
    let kind = S3ErrorKind::CredentialsRefused { code: "InvalidAccessKeyId".to_owned() };
    assert_eq!((error.kind, error.attempts, asked.load(Ordering::SeqCst)), (kind, 2, 2));
}

#[test]
fn a_provider_that_fails_is_an_error_without_a_request() {
    let server = server();
    let failing = || Err(CredentialsError::Refused { source_name: "vault", status: 403, code: None });
    let storage = builder(&server).credentials(failing).build().unwrap();
    let error = failure(&storage);
    let refused = CredentialsError::Refused { source_name: "vault", status: 403, code: None };
    assert_eq!(error.kind, refused.into());
    assert_eq!((error.attempts, server.take_log().len()), (0, 0));
}

#[test]
fn clients_are_not_told_what_is_wrong_with_the_credentials() {
    let server = server();
    let failing = || Err(CredentialsError::NoProfile { profile: "the-operators".to_owned() });
    let storage = builder(&server).credentials(failing).build().unwrap();
    let error = failure(&storage);
    assert!(error.to_string().contains("the-operators"), "the operator sees it: {error}");
    let failures = [storage.store(&store(&batch(10, 0), None)), storage.upload_urls(1)];
    for completion in failures {
        let Completion::Failed(failure) = &completion else { panic!("{completion:?}") };
        assert_eq!(failure.message, "the server has no credentials for its store now");
    }
}

#[test]
fn no_url_is_signed_with_credentials_that_have_expired() {
    let server = server();
    let provider = provider(&Arc::default(), &Arc::default(), Some(Duration::ZERO));
    let error = builder(&server).credentials(provider).build().unwrap().upload_url().unwrap_err();
    assert_eq!(error.kind, CredentialsError::Expired.into());
}

#[test]
fn keys_are_wiped_and_never_shown() {
    fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
    is_wiped::<Secret>();
    let credentials = credentials(ID, Some(SECRET));
    hides_secrets(&credentials, &"");
    hides_secrets(&credentials.secret_access_key, &"");
    assert_eq!(credentials.secret_access_key.reveal(), SECRET);
}
