//! The external objects of vgi-rpc in Google Cloud Storage, by V4 signed URLs. WIRE_PROTOCOL 12.
//!
//! [`GcsStorage`] performs the effects of a server that concern storage: it puts large outputs into a bucket, and gives clients
//! URLs to upload to. Beside an [`HttpFetcher`](vgi_rpc_external::HttpFetcher), which fetches what clients have uploaded, that is
//! all that a server needs:
//!
//! ```no_run
//! use vgi_rpc_external::{HttpFetcher, HttpOptions, StorageEffects};
//! use vgi_rpc_gcs::GcsStorage;
//!
//! // Credentials are those of the environment.
//! let storage = GcsStorage::new("my-bucket")?;
//! let fetcher = HttpFetcher::new(HttpOptions::default())?;
//! // For `Performer::new`, which the server takes as its effects.
//! let effects = StorageEffects { storage, fetcher };
//! # let _: Box<dyn std::fmt::Debug> = Box::new(effects);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each setting has a default, and is set by [`GcsStorage::builder`]:
//!
//! ```
//! use std::time::Duration;
//! use vgi_rpc_external::ObjectNames;
//! use vgi_rpc_gcs::{GcsStorage, HmacKey};
//!
//! let storage = GcsStorage::builder("my-bucket")
//!     .names(ObjectNames::random("results/")?)
//!     .credentials(HmacKey::new("GOOG1EXAMPLE", "its-secret")?)
//!     .expiry(Duration::from_secs(600))
//!     .build()?;
//! assert_eq!(storage.to_string(), "gs://my-bucket/results/");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`SignedGcsStorage`] holds no credentials: it stores objects at URLs that a function of the application's has signed, for no
//! headers but `host`. It is the [`PresignedStorage`](vgi_rpc_external::PresignedStorage) of every kind of store.
//!
//! # Credentials
//!
//! URLs are signed on this machine, with one of two kinds of keys:
//!
//! | key | in the environment | in code |
//! | --- | --- | --- |
//! | HMAC key of a service account or a user ("interoperability") | `GS_ACCESS_KEY_ID` and `GS_SECRET_ACCESS_KEY` | [`HmacKey::new`] |
//! | service account's private key, RSA | `GOOGLE_APPLICATION_CREDENTIALS`: the path of its JSON key file | [`ServiceAccountKey::from_file`], [`from_json`](ServiceAccountKey::from_json), [`new`](ServiceAccountKey::new) |
//!
//! If both are in the environment, the HMAC key is used. Identities without a key on this machine cannot sign here: see
//! [`Credentials`]. Keys do not expire; [`GcsStorage::replace_credentials`] takes another one while the server runs.
//!
//! Keys are in no error, no log, no event and no `Debug`. The texts of keys that this crate holds are wiped when they are dropped; an RSA
//! key that is ready to sign belongs to *ring*, which does not wipe it.
//!
//! The clock must be right to a few minutes: the server refuses URLs that seem to be signed in the future or to have expired.
//!
//! # Events
//!
//! Events of [`tracing`](https://docs.rs/tracing) with the target `vgi_rpc_gcs` report on the credentials. Each has the field `bucket`.
//!
//! | level | message | further fields |
//! | --- | --- | --- |
//! | warn | Cloud Storage has refused the credentials (once in 10 s at most) | `operation`, `error`, `left_out`: how many refusals there were since the last event |
//! | info | Cloud Storage accepts the credentials again | |
//! | info | the credentials were replaced | |
//!
//! # Permissions
//!
//! The account whose key signs needs, on the bucket:
//!
//! | to | permission | in the role |
//! | --- | --- | --- |
//! | store, and sign URLs to upload | `storage.objects.create` | Storage Object Creator |
//! | sign URLs to fetch | `storage.objects.get` | Storage Object Viewer |
//! | store equal batches once ([by content](vgi_rpc_external::ObjectNames::by_content)) | also `storage.objects.delete`, since an old object is replaced by the same one | Storage Object User has all three |
//!
//! A custom role with the first two is the least. Whoever has a signed URL acts with them on that one object until the URL
//! expires; clients need none. A condition on the name (`resource.name.startsWith(...)`) keeps the account to the prefix.
//!
//! A client that uploads twice to one URL replaces its own object, for which the account needs `storage.objects.delete`; clients
//! of vgi-rpc do so only if the answer to their first attempt was lost.
//!
//! A URL to upload limits neither the size of the object nor its content: that would take headers which clients do not send. It
//! can be used again until it expires. Give such URLs only to callers whom you trust with the bucket.
//!
//! # How objects expire
//!
//! Nothing here deletes objects. A lifecycle rule of the bucket does, a day or more after they were stored:
//!
//! ```json
//! {"lifecycle": {"rule": [{
//!   "action": {"type": "Delete"},
//!   "condition": {"age": 1, "matchesPrefix": ["vgi-rpc/"]}
//! }]}}
//! ```
//!
//! `gcloud storage buckets update gs://BUCKET --lifecycle-file=FILE` sets it. An object must live for as long as the URLs to it:
//! with an expiry of more than a day, the rule needs more days. Objects that are named by content are stored again once they are
//! old, so that their days begin anew: see [`GcsBuilder::store_again_after`], which must be less than the days of the rule minus
//! the expiry of URLs. New buckets keep deleted objects for seven more days ("soft delete"), which costs storage:
//! `--clear-soft-delete` turns that off.
//!
//! In a bucket with object versioning, to delete a live object only makes it noncurrent: it still costs storage until the
//! noncurrent version is deleted as well. The rule above matches noncurrent versions too. Do not limit it by `isLive`, or add a rule
//! with `daysSinceNoncurrentTime`.
//!
//! # What goes wrong
//!
//! Each attempt is signed anew. 408, 429, 500, 502, 503 and 504, and connections that break, are tried again after a growing
//! random pause, or the one that `Retry-After` asks for ([`Backoff`](vgi_rpc_external::Backoff)), within the time limit. All
//! else is an error at once ([`GcsErrorKind`]). An object is sent in one request, whatever its size: neither resumable uploads
//! nor those in parts are used, so that an upload which breaks off begins from its start, and one that takes longer than the
//! [time limit](GcsBuilder::time_limit) fails.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `storage` | the bucket as a store of objects |
// | `settings` | its builder |
// | `v4` | signatures, which are pure |
// | `credentials` | keys, and where they come from |
// | `fault` | what the server says of an error |
// | `events` | events for operators |
// | `error` | why an operation failed, and settings that are invalid |

mod credentials;
mod error;
mod events;
mod fault;
mod settings;
mod storage;
pub mod v4;

pub use credentials::{Credentials, CredentialsError, HmacKey, ServiceAccountKey};
pub use error::{GcsError, GcsErrorKind, GcsSettingsError};
pub use settings::GcsBuilder;
pub use storage::GcsStorage;
pub use vgi_rpc_external::PresignedStorage as SignedGcsStorage;
pub use vgi_rpc_external::{Presign, PresignedError, PresignedUrls, Purpose};
