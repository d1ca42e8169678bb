//! External objects of vgi-rpc in S3, or in a store with the same API. WIRE_PROTOCOL 12.
//!
//! [`S3Storage`] performs the effects of a server that concern storage: it stores large outputs in a bucket, and provides upload
//! URLs for clients. A server needs only this and an [`HttpFetcher`](vgi_rpc_external::HttpFetcher), which fetches the objects
//! that clients have uploaded:
//!
//! ```no_run
//! use vgi_rpc_external::{HttpFetcher, FetcherOptions, StorageEffects};
//! use vgi_rpc_protocol::effect::Request;
//! use vgi_rpc_s3::S3Storage;
//!
//! // Region and credentials come from the environment.
//! let storage = S3Storage::new("my-bucket")?;
//! let fetcher = HttpFetcher::new(FetcherOptions::default())?;
//! // Passed to `Performer::new`, which is passed to the server.
//! let effects = StorageEffects { storage, fetcher };
//! # let _: Box<dyn std::fmt::Debug> = Box::new(effects);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each setting has a default, and can be set with [`S3Storage::builder`]:
//!
//! ```
//! use std::time::Duration;
//! use vgi_rpc_external::ObjectNames;
//! use vgi_rpc_s3::{Credentials, S3Storage, Secret};
//!
//! let storage = S3Storage::builder("my-bucket")
//!     .endpoint("https://minio.example:9000")
//!     .names(ObjectNames::by_content("results/")?)
//!     .credentials(Credentials::new("access-key-id", Secret::new("secret-access-key")))
//!     .expiry(Duration::from_secs(600))
//!     .build()?;
//! assert_eq!(storage.to_string(), "s3://my-bucket/results/");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`PresignedS3Storage`] has no credentials: it stores objects at URLs that a function of the application signs.
//!
//! # Credentials
//!
//! By default these sources are asked in this order, and the first one that is set up is used:
//!
//! | source | settings |
//! | --- | --- |
//! | environment | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_CREDENTIAL_EXPIRATION` |
//! | web identity | `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME`; `AWS_ENDPOINT_URL_STS` |
//! | shared files | `AWS_PROFILE`, `AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE`; in the profile its keys, or `web_identity_token_file` and `role_arn` |
//! | container | `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI`, with `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN` |
//! | EC2 instance | `AWS_EC2_METADATA_DISABLED`, `AWS_EC2_METADATA_SERVICE_ENDPOINT` |
//!
//! If `AWS_PROFILE` is set, the shared files come before the web identity. A source that is set up but fails is an error: no
//! other identity is used instead. This includes profiles with `role_arn` and `source_profile`, with `credential_process`, or
//! with single sign-on, which are not supported, and an `AWS_PROFILE` that does not exist. To use other sources or another order,
//! build a [`Chain`] or implement [`ProvideCredentials`].
//!
//! Credentials are refreshed when they expire in less than 15 minutes. One thread does it, while other threads continue with the
//! old ones. They are also read again when S3 refuses them, once for each operation, so a file or a variable may be changed while
//! the process runs.
//!
//! A URL that is signed with temporary credentials stops working when they expire. If they expire before
//! [`expiry`](S3Builder::expiry) has passed, the URL is signed for the shorter time, which is reported to clients. A role's
//! session lasts for an hour by default; for URLs that last longer, set a longer session or use keys that do not expire. For a
//! session token in a file, or in `AWS_SESSION_TOKEN` without `AWS_CREDENTIAL_EXPIRATION`, the time is unknown: URLs are signed
//! for the whole expiry, and may stop working before it.
//!
//! Keys and tokens are never part of an error, a log or a `Debug` text, and this crate wipes its copies of keys when it drops
//! them. Copies made by the system, TLS or other libraries are not wiped, and neither are signed URLs, which contain the token.
//!
//! Clients only learn that the server has no credentials. The [`S3Error`] contains the reason.
//!
//! Events of `tracing` with the target `vgi_rpc_s3` report that no source provides credentials, with the reason, and that one
//! does again. They contain no secrets.
//!
//! # Permissions
//!
//! | to | the identity's policy must allow |
//! | --- | --- |
//! | store, and sign URLs | `s3:PutObject` and `s3:GetObject` on `arn:aws:s3:::BUCKET/PREFIX*` |
//! | remove the parts of a failed upload | `s3:AbortMultipartUpload` on the same |
//! | store equal batches once, with fewer requests | `s3:ListBucket` on `arn:aws:s3:::BUCKET`, so that S3 reports that an object does not exist; otherwise it reports that access is denied, and the object is stored again |
//!
//! A signed URL grants its holder these permissions on that one object until it expires. Clients need no permissions. If the
//! bucket's objects are encrypted with a KMS key, the identity also needs `kms:GenerateDataKey` and `kms:Decrypt` for that key.
//!
//! An upload URL limits neither the size nor the content of the object: that would require headers that clients do not send. It
//! can be used again until it expires, which replaces the object. Give upload URLs only to callers that you trust with the
//! bucket.
//!
//! # How objects expire
//!
//! This crate does not delete objects. A lifecycle rule of the bucket does, for the prefix: it removes objects a day or more
//! after they were stored, and the parts of uploads that were never completed, for example because the process was killed.
//!
//! ```json
//! {"Rules": [{
//!   "ID": "vgi-rpc", "Status": "Enabled", "Filter": {"Prefix": "vgi-rpc/"},
//!   "Expiration": {"Days": 1},
//!   "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
//!   "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}
//! }]}
//! ```
//!
//! An object must exist for as long as its URLs are valid: with an expiry of more than a day, the rule needs more days. If
//! objects are named [by content](vgi_rpc_external::ObjectNames::by_content), an old one is stored again, which restarts its
//! days: see [`S3Builder::store_again_after`], which must be less than the days of the rule minus the expiry of URLs.
//!
//! In a bucket with versioning, `Expiration` only adds delete markers, and the objects stay as noncurrent versions:
//! `NoncurrentVersionExpiration` removes these. It has no effect in a bucket without versioning.
//!
//! # Errors and retries
//!
//! Each attempt is signed anew. 500, 503 and `SlowDown` are retried within the time limit, after a growing random pause or that
//! of `Retry-After` ([`Backoff`](vgi_rpc_external::Backoff)). A wrong clock is corrected by the `Date` of the response, a wrong
//! region is replaced by the one that S3 names, and refused credentials are requested again. Each of these is done once for an
//! operation; after that it is an error ([`S3ErrorKind`]). The corrections also apply to later operations.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `storage` | the bucket as an object store |
// | `settings` | its builder |
// | `credentials` | the sources of keys, and their refresh |
// | `bucket` | the bucket's location, and signed URLs |
// | `operation` | one operation: attempts, and corrections between them |
// | `multipart`, `parts` | an object in several parts |
// | `fault` | S3's error responses |
// | `clock` | a corrected clock |
// | `error` | why an operation failed, and invalid settings |

mod bucket;
mod clock;
pub mod credentials;
mod error;
mod fault;
mod multipart;
mod operation;
mod parts;
mod settings;
mod storage;

pub use credentials::{Chain, Credentials, CredentialsError, Environment, ProvideCredentials, Secret};
pub use error::{S3Error, S3ErrorKind, S3SettingsError};
pub use settings::S3Builder;
pub use storage::S3Storage;
pub use vgi_rpc_external::PresignedStorage as PresignedS3Storage;
pub use vgi_rpc_external::{Presign, PresignedError, PresignedUrls, Purpose};
