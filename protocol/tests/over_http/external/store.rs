//! An object store in memory, which performs the effects of both roles.

use crate::common::transcript::Told;
use ::bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vgi_rpc_protocol::effect::{Completion, Effect, Failure, FailureReason, Request, UploadUrl};
use vgi_rpc_protocol::external::{
    Externalisation, Fetch, FetchOptions, Location, ResolveError, Resolved, UrlPolicy,
};
use vgi_rpc_protocol::ipc::Metadata;
use vgi_rpc_protocol::service::ServiceBuilder;
use vgi_rpc_protocol::wire::keys;

/// Part of the query of every URL. Only the metadata of a batch may show it.
pub const SECRET: &str = "s3cr3t-signature";

#[derive(Clone)]
pub struct Stored {
    pub bytes: Bytes,
    pub coding: Option<&'static str>,
}

/// An object store, with a count of its fetches.
#[derive(Clone, Default)]
pub struct Store(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    fetched: usize,
    /// The result of the next fetch or store, if it is to fail.
    fails: Option<Failure>,
    /// Damages objects when they are fetched.
    damage: Option<fn(Bytes) -> Bytes>,
}

impl Store {
    /// Returns the number of stored objects.
    pub fn objects(&self) -> usize {
        self.0.lock().unwrap().objects.len()
    }

    /// Returns the number of fetches.
    pub fn fetched(&self) -> usize {
        self.0.lock().unwrap().fetched
    }

    pub fn fail_next(&self, reason: FailureReason, text: &str) {
        self.0.lock().unwrap().fails = Some(Failure::new(reason, text));
    }

    pub fn damage(&self, damage: fn(Bytes) -> Bytes) {
        self.0.lock().unwrap().damage = Some(damage);
    }

    /// Stores an object. Returns its URL.
    pub fn put(&self, stored: Stored) -> Location {
        let mut state = self.0.lock().unwrap();
        let url = url(state.objects.len());
        state.objects.insert(url.clone(), stored);
        Location::parse(&url).unwrap()
    }

    pub fn object(&self, number: usize) -> Stored {
        self.0.lock().unwrap().objects[&url(number)].clone()
    }

    /// Performs an effect of either role.
    pub fn perform(&self, effect: &Effect) -> Completion {
        if let Some(failure) = self.0.lock().unwrap().fails.take() {
            return failure.into();
        }
        match &effect.request {
            Request::Store(store) => {
                let object = store.object();
                let bytes = Bytes::from(object.segments.concat());
                assert_eq!(bytes.len() as u64, object.len);
                let coding = object.coding.map(|coding| coding.as_str());
                Completion::Stored(self.put(Stored { bytes, coding }))
            }
            Request::Fetch(fetch) => self.fetch(fetch).into(),
            Request::Upload(upload) => {
                let bytes = Bytes::from(upload.segments().concat());
                assert_eq!(bytes.len() as u64, upload.len());
                let stored = Stored { bytes, coding: None };
                self.0.lock().unwrap().objects.insert(upload.url().as_str().to_owned(), stored);
                Completion::Done
            }
            Request::UploadUrls(count) => {
                let vended = (0..*count).map(|number| {
                    let url = format!("https://store.example/uploads/{number}?signature={SECRET}");
                    UploadUrl {
                        upload_url: url.clone(),
                        download_url: url,
                        expires_at: Duration::from_secs(1),
                    }
                });
                Completion::UploadUrls(vended.collect())
            }
            other => panic!("unexpected effect {other:?}"),
        }
    }

    fn fetch(&self, fetch: &Fetch) -> Result<Resolved, ResolveError> {
        let (stored, damage) = {
            let mut state = self.0.lock().unwrap();
            state.fetched += 1;
            (state.objects.get(fetch.location().as_str()).cloned(), state.damage)
        };
        let stored = stored.unwrap_or_else(|| panic!("{:?} is not there", fetch.location()));
        let mut resolution = fetch.resolution();
        resolution.begin(stored.coding)?;
        let bytes = damage.map_or(stored.bytes.clone(), |damage| damage(stored.bytes));
        for piece in bytes.chunks(1000) {
            resolution.receive(Bytes::copy_from_slice(piece))?;
        }
        resolution.finish(Duration::from_millis(7))
    }
}

fn url(number: usize) -> String {
    format!("https://store.example/{number}?signature={SECRET}")
}

/// Allows fetches from the store.
pub fn options() -> FetchOptions {
    FetchOptions { policy: UrlPolicy::https_public(), ..FetchOptions::default() }
}

/// Externalises every batch with rows.
pub fn always() -> Externalisation {
    Externalisation { threshold: 1, ..Externalisation::default() }
}

/// Configures a service that fetches, and externalises according to these settings.
pub fn externalising(settings: Externalisation) -> impl FnOnce(ServiceBuilder) -> ServiceBuilder {
    move |builder| builder.fetch_external(options()).externalise(settings)
}

/// Returns the events as an application sees them, with logs, which an object returns before its batch, separate. Checks the
/// provenance and removes it.
pub fn seen(told: &[Told]) -> (Vec<String>, Vec<String>) {
    let lines = |told: &Told| match told.clone() {
        Told::Output(batch, metadata) => Told::Output(batch, without_provenance(metadata)).line(),
        Told::Header(batch, metadata) => Told::Header(batch, without_provenance(metadata)).line(),
        other => other.line(),
    };
    told.iter().map(lines).partition(|line| line.starts_with("log "))
}

fn without_provenance(mut metadata: Metadata) -> Metadata {
    let Some(source) = metadata.get_str(keys::LOCATION_SOURCE) else { return metadata };
    assert!(source.contains(SECRET), "the whole URL");
    assert_eq!(metadata.get_str(keys::LOCATION_FETCH_MS), Some("7.0"));
    assert!(!metadata.contains_key(keys::LOCATION) && !metadata.contains_key(keys::LOCATION_SHA256));
    metadata.remove(keys::LOCATION_SOURCE);
    metadata.remove(keys::LOCATION_FETCH_MS);
    metadata
}
