//! Signs in clients that are refused with 401, with a browser on this machine or with a code that a person types on another one.
//! Tokens are renewed before they expire, once for all calls that wait.
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
//! The first call is made without a credential. The server's 401 says where to sign in (RFC 9728); the person signs in, and the call is
//! made again, once. Only a refusal that a new token can resolve leads to a login: a missing, invalid or expired credential.
//!
//! | what | is |
//! | --- | --- |
//! | tokens | kept in memory unless a [`TokenStore`] is given, erased when they are dropped, and in no error or log. A header that is sent has a copy that is not erased |
//! | a token that is about to expire | renewed with its refresh token, by one call; all others wait for it |
//! | a refresh token that is refused | forgotten; the person signs in again |
//! | requests to other servers | `https` to public addresses, unless the server that is called is this machine; see [`LoginBuilder::policy`] |
//! | a browser | started only by the function that [`LoginBuilder::browser`] is given |
//! | the port that the browser comes back to | open on 127.0.0.1 while the person signs in, and for one redirect |
//!
//! What is checked is in [`vgi_rpc_protocol::http::login`].

// Where things are:
//
// | file | subject |
// | --- | --- |
// | `builder`, `ways` | setting a login up |
// | `login` | one login for any number of calls |
// | `sign_in` | from a 401 to tokens: documents, forms, people |
// | `loopback` | the port that a browser comes back to |
// | `outside` | requests to other servers |
// | `store`, `file_store` | where tokens are kept |
// | `browser` | opening a browser |
// | `clock` | the time |

mod browser;
mod builder;
mod clock;
mod file_store;
mod login;
mod loopback;
mod outside;
mod sign_in;
mod store;
mod ways;

pub use browser::open_browser;
pub use builder::{LoginBuilder, SetupError};
pub use file_store::FileTokenStore;
pub use login::Login;
pub use store::{MemoryTokenStore, TokenStore};
pub use vgi_rpc_protocol::http::login::{DevicePrompt, LoginError, SavedLogin};
