//! External objects of vgi-rpc in Google Cloud Storage, with V4 signed URLs. WIRE_PROTOCOL 12.
//!
//! [`GcsStorage`] performs the effects of a server that concern storage: it stores large outputs in a bucket, and provides upload
//! URLs for clients. A server needs only this and an [`HttpFetcher`](vgi_rpc_external::HttpFetcher), which fetches the objects
//! that clients have uploaded:
//!
//! ```no_run
//! use vgi_rpc_external::{HttpFetcher, FetcherOptions, StorageEffects};
//! use vgi_rpc_gcs::GcsStorage;
//!
//! // Credentials come from the environment.
//! let storage = GcsStorage::new("my-bucket")?;
//! let fetcher = HttpFetcher::new(FetcherOptions::default())?;
//! // Passed to `Performer::new`, which is passed to the server.
//! let effects = StorageEffects { storage, fetcher };
//! # let _: Box<dyn std::fmt::Debug> = Box::new(effects);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each setting has a default, and can be set with [`GcsStorage::builder`]:
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
//! [`PresignedGcsStorage`] has no credentials: it stores objects at URLs that a function of the application signs, with only the
//! header `host`. It is another name of [`PresignedStorage`](vgi_rpc_external::PresignedStorage).
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
//! If both are in the environment, the HMAC key is used. Identities without a key on this machine are not supported: see
//! [`Credentials`]. Keys do not expire; [`GcsStorage::replace_credentials`] replaces the key while the server runs.
//!
//! Keys are never part of an error, a log, an event or a `Debug` text. This crate wipes its texts of keys when it drops them; a
//! parsed RSA key belongs to *ring*, which does not wipe it.
//!
//! The clock must be accurate to a few minutes: the server refuses URLs that seem to be signed in the future or to have expired.
//!
//! # Events
//!
//! Events of [`tracing`](https://docs.rs/tracing) with the target `vgi_rpc_gcs` report on the credentials. Each has the field `bucket`.
//!
//! | level | message | further fields |
//! | --- | --- | --- |
//! | warn | Cloud Storage has refused the credentials (at most once in 10 s) | `operation`, `error`, `left_out`: the number of refusals since the last event |
//! | info | Cloud Storage accepts the credentials again | |
//! | info | the credentials were replaced | |
//!
//! # Permissions
//!
//! The account of the key needs these permissions on the bucket:
//!
//! | to | permission | in the role |
//! | --- | --- | --- |
//! | store, and sign URLs to upload | `storage.objects.create` | Storage Object Creator |
//! | sign URLs to fetch | `storage.objects.get` | Storage Object Viewer |
//! | store equal batches once ([by content](vgi_rpc_external::ObjectNames::by_content)) | also `storage.objects.delete`, because an old object is replaced by the same one | Storage Object User has all three |
//!
//! A custom role with the first two permissions is the minimum. A signed URL grants its holder these permissions on that one
//! object until it expires; clients need no permissions. A condition on the name (`resource.name.startsWith(...)`) restricts the
//! account to the prefix.
//!
//! A client that uploads twice to one URL replaces its own object, for which the account needs `storage.objects.delete`; clients
//! of vgi-rpc do so only if the response to their first attempt was lost.
//!
//! An upload URL limits neither the size nor the content of the object: that would require headers that clients do not send. It
//! can be used again until it expires. Give upload URLs only to callers that you trust with the bucket.
//!
//! # How objects expire
//!
//! This crate does not delete objects. A lifecycle rule of the bucket does, a day or more after they were stored:
//!
//! ```json
//! {"lifecycle": {"rule": [{
//!   "action": {"type": "Delete"},
//!   "condition": {"age": 1, "matchesPrefix": ["vgi-rpc/"]}
//! }]}}
//! ```
//!
//! `gcloud storage buckets update gs://BUCKET --lifecycle-file=FILE` sets it. An object must exist for as long as its URLs are
//! valid: with an expiry of more than a day, the rule needs more days. Objects that are named by content are stored again once
//! they are old, which restarts their days: see [`GcsBuilder::store_again_after`], which must be less than the days of the rule
//! minus the expiry of URLs. New buckets keep deleted objects for seven more days ("soft delete"), which costs storage:
//! `--clear-soft-delete` turns that off.
//!
//! In a bucket with object versioning, deleting a live object only makes it noncurrent: it still costs storage until the
//! noncurrent version is deleted too. The rule above matches noncurrent versions too. Do not limit it by `isLive`, or add a rule
//! with `daysSinceNoncurrentTime`.
//!
//! # Errors and retries
//!
//! Each attempt is signed anew. 408, 429, 500, 502, 503, 504 and broken connections are retried within the time limit, after a
//! growing random pause or that of `Retry-After` ([`Backoff`](vgi_rpc_external::Backoff)). Everything else is an error at once
//! ([`GcsErrorKind`]). An object is sent in one request, whatever its size: neither resumable nor multipart uploads are used. An
//! interrupted upload is restarted from the beginning, and one that takes longer than the [time limit](GcsBuilder::time_limit)
//! fails.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `storage` | the bucket as an object store |
// | `settings` | its builder |
// | `v4` | signatures, without I/O |
// | `credentials` | keys, and their sources |
// | `fault` | the server's error responses |
// | `events` | events for operators |
// | `error` | why an operation failed, and invalid settings |

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
pub use vgi_rpc_external::PresignedStorage as PresignedGcsStorage;
pub use vgi_rpc_external::{Presign, PresignedError, PresignedUrls, Purpose};
