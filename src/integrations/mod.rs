//! Outside services, one folder each: a typed client with an error of its own. Addresses and keys come from the
//! configuration, so that tests point the real client at a stub.

use std::time::Duration;

pub mod calls;

/// A client that gives up on its own and follows nobody elsewhere: a redirect would carry a key to a stranger.
fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("proof-concierge/", env!("CARGO_PKG_VERSION")))
        .build()
}
