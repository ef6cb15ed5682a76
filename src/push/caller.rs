//! Who is at the door: the address of a request and the token it carries.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::Push;
use super::error::PushError;

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
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        let address = forwarded_for(&parts.headers, push.trusted_proxies).unwrap_or(peer);
        Ok(Self { address, token: bearer(&parts.headers) })
    }
}

/// The address that the outermost of our proxies saw: each appends the one it serves.
fn forwarded_for(headers: &HeaderMap, trusted_proxies: usize) -> Option<IpAddr> {
    let hops = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
    let client = hops.len().checked_sub(trusted_proxies)?;
    hops.get(client)?.parse().ok()
}

fn bearer(headers: &HeaderMap) -> Option<String> {
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
    fn only_our_own_proxies_are_believed() {
        let headers = with("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.1");
        assert_eq!(forwarded_for(&headers, 0), None);
        assert_eq!(forwarded_for(&headers, 1), "10.0.0.1".parse().ok());
        assert_eq!(forwarded_for(&headers, 2), "1.2.3.4".parse().ok());
        assert_eq!(forwarded_for(&headers, 4), None);
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case() {
        assert_eq!(bearer(&with("authorization", "bEaReR abc")).as_deref(), Some("abc"));
        assert_eq!(bearer(&with("authorization", "Basic abc")), None);
    }
}
