//! A store without credentials.

use crate::server::BUCKET;
use crate::support::{batch, builder, fetch, hides_secrets, server, store, stored};
use http::HeaderValue;
use std::time::Duration;
use vgi_rpc_external::{FetcherOptions, HttpFetcher, ObjectStorage, TransferErrorKind};
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::effect::{Completion, FailureReason, UploadUrl};
use vgi_rpc_protocol::external::{Location, UrlPolicy};
use vgi_rpc_s3::{PresignedError, PresignedS3Storage, PresignedUrls, Purpose, S3Storage};

fn urls(pair: &UploadUrl) -> PresignedUrls {
    let parse = |text: &str| Location::parse(text).unwrap();
    PresignedUrls {
        put: parse(&pair.upload_url),
        get: parse(&pair.download_url),
        expires_at: pair.expires_at,
    }
}

/// Returns a store whose URLs this storage signs and this function modifies.
fn presigned(
    signer: &S3Storage,
    change: impl Fn(Purpose, PresignedUrls) -> PresignedUrls + Send + Sync + 'static,
) -> PresignedS3Storage {
    let signer = signer.clone();
    let policy = signer.fetch_policy();
    let fetcher = HttpFetcher::new(FetcherOptions::default()).unwrap();
    PresignedS3Storage::new(fetcher, move |purpose| {
        signer.upload_url().map(|pair| change(purpose, urls(&pair)))
    })
    .policy(policy)
}

#[test]
fn objects_are_stored_at_urls_that_others_sign() {
    let server = server();
    let signer = builder(&server).build().unwrap();
    let batch = batch(100, 0);
    let store = store(&batch, Some(Coding::Gzip));
    let (len, sha256) = (store.object().len, store.object().sha256);
    let storage = presigned(&signer, move |purpose, urls| {
        let coding = Some(Coding::Gzip);
        assert!(matches!(purpose, Purpose::Upload) || purpose == Purpose::Object { len, coding, sha256 });
        urls
    });
    let storage = storage.check_get(true).content_type(HeaderValue::from_static("application/x-test"));
    let location = stored(&storage, &store);
    let log = server.take_log();
    assert_eq!(log.iter().map(|asked| asked.operation()).collect::<Vec<_>>(), ["PutObject", "GetObject"]);
    assert_eq!(log[0].headers["content-type"], "application/x-test");
    assert_eq!(log[1].headers["range"], "bytes=0-0");
    assert_eq!(fetch(&location, &batch, Some(&store), storage.fetch_policy()).unwrap(), batch);
    let Completion::UploadUrls(pairs) = storage.upload_urls(2) else { panic!("no URLs") };
    assert!(pairs.len() == 2 && pairs[0].upload_url != pairs[1].upload_url);
    assert!(pairs[0].upload_url.contains(BUCKET));
}

#[test]
fn what_is_wrong_with_either_url_is_an_error() {
    let server = server();
    let signer = builder(&server).build().unwrap();
    let store = store(&batch(100, 0), None);
    let error = |storage: &PresignedS3Storage| {
        let error = storage.put(store.object()).expect_err("a URL is wrong");
        hides_secrets(&error, &error);
        hides_secrets(storage, &"");
        error
    };
    let swapped =
        presigned(&signer, |_, urls| PresignedUrls { put: urls.get.clone(), get: urls.put, ..urls });
    match error(&swapped) {
        PresignedError::Put(error) => assert_eq!(error.kind, TransferErrorKind::Status(403)),
        other => panic!("{other:?}"),
    }
    let only_put = presigned(&signer, |_, urls| PresignedUrls { get: urls.put.clone(), ..urls });
    assert!(only_put.put(store.object()).is_ok(), "it is not checked unless requested");
    match error(&only_put.check_get(true)) {
        PresignedError::Get(error) => assert_eq!(error.kind, TransferErrorKind::Status(403)),
        other => panic!("{other:?}"),
    }
    server.take_log();
    let strict = presigned(&signer, |_, urls| urls).policy(UrlPolicy::https_public());
    match error(&strict) {
        PresignedError::Get(error) => assert!(matches!(error.kind, TransferErrorKind::UrlRejected(_))),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.take_log().len(), 0);
    let fetcher = HttpFetcher::new(FetcherOptions::default()).unwrap();
    let failing = PresignedS3Storage::new(fetcher, |_| Err("the signer is away"));
    match failing.time_limit(Duration::from_secs(5)).store(&store) {
        Completion::Failed(failure) => {
            assert_eq!(failure.reason, FailureReason::Failed);
            assert_eq!(failure.message, "no URLs were signed: the signer is away");
        }
        other => panic!("{other:?}"),
    }
}
