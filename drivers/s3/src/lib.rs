//! The external objects of vgi-rpc in S3, or in a store with the same interface. WIRE_PROTOCOL 12.
//!
//! [`S3Storage`] performs the effects of a server that concern storage: it puts large outputs into a bucket, and gives clients
//! URLs to upload to. Beside an [`HttpFetcher`](vgi_rpc_external::HttpFetcher), which fetches what clients have uploaded, that is
//! all that a server needs:
//!
//! ```no_run
//! use vgi_rpc_external::{HttpFetcher, HttpOptions, StorageEffects};
//! use vgi_rpc_protocol::effect::Request;
//! use vgi_rpc_s3::S3Storage;
//!
//! // Region and credentials are those of the environment.
//! let storage = S3Storage::new("my-bucket")?;
//! let fetcher = HttpFetcher::new(HttpOptions::default())?;
//! // For `Performer::new`, which the server takes as its effects.
//! let effects = StorageEffects { storage, fetcher };
//! # let _: Box<dyn std::fmt::Debug> = Box::new(effects);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each setting has a default, and is set by [`S3Storage::builder`]:
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
//! [`PresignedS3Storage`] holds no credentials: it stores objects at URLs that a function of the application's has signed.
//!
//! # Credentials
//!
//! By default these sources are asked in this order, and the first one that is set up is used:
//!
//! | source | settings that are read |
//! | --- | --- |
//! | environment | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_CREDENTIAL_EXPIRATION` |
//! | web identity | `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME`; `AWS_ENDPOINT_URL_STS` |
//! | shared files | `AWS_PROFILE`, `AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE`; in the profile its keys, or `web_identity_token_file` and `role_arn` |
//! | container | `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI`, with `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN` |
//! | EC2 instance | `AWS_EC2_METADATA_DISABLED`, `AWS_EC2_METADATA_SERVICE_ENDPOINT` |
//!
//! If `AWS_PROFILE` is set, the shared files come before the web identity. A source that is set up but fails is an error: no other
//! identity is used in its place. That holds for a profile with `role_arn` and `source_profile`, with `credential_process`, or
//! with single sign-on, none of which is supported; and for an `AWS_PROFILE` that names no profile. To use other sources or
//! another order, build a [`Chain`] or implement [`ProvideCredentials`].
//!
//! Credentials are refreshed when they have less than 15 minutes left. One thread does it, and the others go on with the old ones
//! meanwhile. They are also read again when S3 refuses them, once for each operation, so a file or a variable may be changed
//! while the process runs.
//!
//! A URL that is signed with temporary credentials ends when they expire. If they have less time left than
//! [`expiry`](S3Builder::expiry), the URL is signed for that time, and clients are told so. A role's session lasts for an hour by
//! default; for URLs that last longer, set a longer session or use keys that do not expire. For a session token in
//! `AWS_SESSION_TOKEN` without `AWS_CREDENTIAL_EXPIRATION`, or in a file, the time is not known: URLs are signed for the whole
//! expiry, and may end before it.
//!
//! Keys and tokens are never part of an error, a log or a `Debug` text, and this crate wipes its copies of keys when it drops
//! them. Copies made by the system, TLS or other libraries are not wiped, and neither are signed URLs, which contain the token.
//!
//! Clients are told only that the server has no credentials now. An [`S3Error`] says why.
//!
//! When no source gives credentials, and when one does again, an event of `tracing` with the target `vgi_rpc_s3` says so, with the
//! reason, which has no secret in it.
//!
//! # Permissions
//!
//! | to | the policy of the identity allows |
//! | --- | --- |
//! | store, and sign URLs | `s3:PutObject` and `s3:GetObject` on `arn:aws:s3:::BUCKET/PREFIX*` |
//! | remove the parts of an upload that failed | `s3:AbortMultipartUpload` on the same |
//! | store equal batches once, with fewer requests | `s3:ListBucket` on `arn:aws:s3:::BUCKET`, so that S3 says of an object that it is not there; without it, it says that access is denied, and the object is stored |
//!
//! Whoever has a signed URL acts with these permissions on that one object until the URL expires. Clients need none. A bucket
//! whose objects are encrypted with a key of KMS also takes `kms:GenerateDataKey` and `kms:Decrypt` for that key.
//!
//! A URL to upload limits neither the size of the object nor its content: that would take headers which clients do not send. It
//! can be used again until it expires, and then replaces the object. Give such URLs only to callers whom you trust with the
//! bucket.
//!
//! # How objects expire
//!
//! Nothing here deletes objects. A rule of the bucket does, for the prefix: it removes objects a day or more after they were
//! stored, and the parts of uploads that were never completed, such as those of a process that was killed.
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
//! An object must live for as long as the URLs to it: with an expiry of more than a day, the rule needs more days. Where objects
//! are named [by content](vgi_rpc_external::ObjectNames::by_content), one that was stored long ago is stored again, so that its
//! days begin anew: see [`S3Builder::store_again_after`], which must be less than the days of the rule minus the expiry of URLs.
//!
//! In a bucket with versioning, `Expiration` only adds delete markers, and the objects stay as noncurrent versions:
//! `NoncurrentVersionExpiration` removes these. It has no effect in a bucket without versioning.
//!
//! # What goes wrong
//!
//! Each attempt is signed anew. 500, 503 and `SlowDown` are tried again after a growing random pause, or the one that
//! `Retry-After` asks for ([`Backoff`](vgi_rpc_external::Backoff)), within the time limit. A wrong clock is set by the `Date` of the answer, a wrong region
//! is replaced by the one that S3 names, and refused credentials are asked for anew: each once for an operation, and then it is
//! an error ([`S3ErrorKind`]). The corrections hold for later operations.

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `storage` | the bucket as a store of objects |
// | `settings` | its builder |
// | `credentials` | where keys come from, and how they are kept fresh |
// | `bucket` | where the bucket is, and URLs that are signed |
// | `operation` | one operation: attempts, and what is corrected between them |
// | `multipart`, `parts` | an object in several parts |
// | `fault` | what S3 says of an error |
// | `clock` | the time, corrected |
// | `error` | why an operation failed, and settings that are invalid |

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
