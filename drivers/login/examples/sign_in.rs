//! Lists the protocols of a server that requires its callers to sign in, and signs in.
//!
//! ```sh
//! cargo run -p vgi-rpc-login --example sign_in -- https://reports.example.org
//! ```
//!
//! If the second argument is a file, the login is stored there, readable only by its owner.

use std::error::Error;
use vgi_rpc_http::client::HttpOptions;
use vgi_rpc_login::{FileTokenStore, Login, open_browser};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("expected the URL of a server")?;
    let mut login = Login::builder(&url)
        .browser(|url| {
            println!("Sign in at {url}");
            open_browser(url)
        })
        .device_code(|prompt| {
            println!("Type {} at {}", prompt.user_code, prompt.verification_url);
            Ok(())
        });
    if let Some(file) = arguments.next() {
        login = login.store(FileTokenStore::new(file));
    }
    let login = login.build()?;
    let mut client = HttpOptions::default().credentials(login.clone()).build(&url)?.client();
    for protocol in client.protocols()?.protocols {
        println!("{}", protocol.protocol);
    }
    if let Some(error) = login.store_error() {
        eprintln!("The login was not stored: {error}");
    }
    Ok(())
}
