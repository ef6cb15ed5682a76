//! Who is at the door: the address of a request and the token it carries.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::Push;
use super::error::PushError;
use crate::network;

/// A request for the feed.
pub(super) struct Caller {
    /// Where it came from, as the last proxy that is ours saw it.
    pub(super) address: IpAddr,
    token: Option<String>,
}

impl Caller {
    /// The token of the `Authorization` header.
    pub(super) fn bearer(self) -> Result<String, PushError> {
        self.token.ok_or(PushError::Unauthorized)
    }
}

impl FromRequestParts<Push> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, push: &Push) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|ConnectInfo(peer)| peer.ip());
        let address = network::client_address(&parts.headers, peer, push.trusted_proxies);
        Ok(Self { address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), token: bearer(&parts.headers) })
    }
}

/// The token of an `Authorization` header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case() {
        assert_eq!(bearer(&with("authorization", "bEaReR abc")).as_deref(), Some("abc"));
        assert_eq!(bearer(&with("authorization", "Basic abc")), None);
    }
}
