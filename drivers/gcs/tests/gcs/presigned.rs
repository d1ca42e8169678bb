//! A store without keys: a function signs its URLs.

use crate::keys::hides_keys;
use crate::objects::{bytes, store};
use crate::server::Server;
use crate::storage::{builder, fetcher};
use vgi_rpc_external::ObjectStorage;
use vgi_rpc_gcs::{PresignedGcsStorage, PresignedUrls};
use vgi_rpc_protocol::content_coding::Coding;
use vgi_rpc_protocol::effect::Completion;
use vgi_rpc_protocol::external::Location;

#[test]
fn urls_that_a_function_signs_take_objects_and_uploads() {
    let server = Server::start();
    let signer = builder(&server).build().unwrap();
    let policy = signer.fetch_policy();
    let storage = PresignedGcsStorage::new(fetcher(), move |_| {
        let pair = signer.upload_url()?;
        let parse = |text: &str| Location::parse(text).map_err(|error| error.to_string());
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(PresignedUrls {
            put: parse(&pair.upload_url)?,
            get: parse(&pair.download_url)?,
            expires_at: pair.expires_at,
        })
    })
    .policy(policy)
    .check_get(true);
    let store = store(1000, Some(Coding::Gzip));
    let completion = storage.store(&store);
    hides_keys(&completion, &format!("{storage:?}"));
    let Completion::Stored(location) = completion else { panic!("{completion:?}") };
    let stored = server.state().objects[location.url().path()].clone();
    assert!(stored.body == bytes(&store) && stored.coding.as_deref() == Some("gzip"));
    let Completion::UploadUrls(urls) = storage.upload_urls(2) else { panic!("no URLs") };
    assert_ne!(urls[0].upload_url, urls[1].upload_url);
}
