//! Signs in the user of a client that is refused with 401, with a browser on this machine or with a code to enter on another one.
//! Tokens are renewed before they expire, once for all waiting calls.
//!
//! ```no_run
//! use vgi_rpc_http::client::HttpOptions;
//! use vgi_rpc_login::{FileTokenStore, Login, open_browser};
//!
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let server = "https://reports.example.org";
//! let login = Login::builder(server)
//!     .browser(open_browser)
//!     .device_code(|prompt| {
//!         println!("Type {} at {}", prompt.user_code, prompt.verification_url);
//!         Ok(())
//!     })
//!     .store(FileTokenStore::new("reports.token"))
//!     .build()?;
//! let mut client = HttpOptions::default().credentials(login).build(server)?.client();
//! # let _ = &mut client;
//! # Ok(())
//! # }
//! ```
//!
//! The first call is made without a credential. The server's 401 says where to sign in (RFC 9728); the user signs in, and the
//! call is retried once. Only a refusal that a new token can resolve leads to a login: a missing, invalid or expired credential.
//!
//! | item | behaviour |
//! | --- | --- |
//! | tokens | kept in memory unless a [`TokenStore`] is set, erased when they are dropped, and never in errors or logs. A header
//! that is sent has a copy that is not erased |
//! | a token that is about to expire | renewed with its refresh token, by one call; all others wait for it |
//! | a refresh token that is refused | dropped; the user signs in again |
//! | requests to other servers | `https` to public addresses, unless the called server is on this machine; see
//! [`LoginBuilder::policy`] |
//! | a browser | started only by the function passed to [`LoginBuilder::browser`] |
//! | the port for the browser's redirect | open on 127.0.0.1 while the user signs in, and for one redirect |
//!
//! The checks are described in [`vgi_rpc_protocol::http::login`].

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `builder`, `methods` | configuring a login |
// | `login` | one login for any number of calls |
// | `sign_in` | from a 401 to tokens: documents, forms, the user |
// | `loopback` | the port for the browser's redirect |
// | `requests` | requests to other servers |
// | `store`, `file_store` | storing tokens |
// | `browser` | opening a browser |
// | `clock` | the system clock |

mod browser;
mod builder;
mod clock;
mod file_store;
mod login;
mod loopback;
mod methods;
mod requests;
mod sign_in;
mod store;

pub use browser::open_browser;
pub use builder::{LoginBuilder, SetupError};
pub use file_store::FileTokenStore;
pub use login::Login;
pub use store::{MemoryTokenStore, TokenStore};
pub use vgi_rpc_protocol::http::login::{DevicePrompt, LoginError, SavedLogin};
