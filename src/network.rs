//! Where a request came from, as far as our own proxies can tell.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

/// The address that the outermost of our proxies saw: each appends the one it serves to `X-Forwarded-For`. What stands
/// further left in the header anybody can claim.
pub fn client_address(headers: &HeaderMap, peer: Option<IpAddr>, trusted_proxies: usize) -> Option<IpAddr> {
    let peer = peer.map(|address| address.to_canonical());
    if trusted_proxies == 0 {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let hop = hops.len().checked_sub(trusted_proxies).and_then(|index| hops.get(index)).or(hops.first());
    hop.and_then(|hop| address(hop)).or(peer)
}

/// What counts as one caller: an IPv6 host owns at least a /64.
pub fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// An address with or without a port, in brackets or not. An IPv4 address in IPv6 clothes is an IPv4 address.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse().ok().map(|socket: SocketAddr| socket.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn forwarded(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static(value))])
    }

    #[test]
    fn only_as_many_hops_are_believed_as_proxies_are_ours() {
        let peer: Option<IpAddr> = "10.0.0.1".parse().ok();
        let headers = forwarded("6.6.6.6, 1.2.3.4, 10.0.0.9");
        assert_eq!(client_address(&headers, peer, 0), peer);
        assert_eq!(client_address(&headers, peer, 1), "10.0.0.9".parse().ok());
        assert_eq!(client_address(&headers, peer, 2), "1.2.3.4".parse().ok());
        assert_eq!(client_address(&headers, peer, 9), "6.6.6.6".parse().ok());
        assert_eq!(client_address(&HeaderMap::new(), peer, 1), peer);
        assert_eq!(client_address(&forwarded("unknown"), peer, 1), peer);
    }

    #[test]
    fn one_host_is_one_address_however_it_is_written() {
        for written in ["1.2.3.4", "1.2.3.4:5678", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:5678"] {
            assert_eq!(client_address(&forwarded(written), None, 1), "1.2.3.4".parse().ok(), "{written}");
        }
        for written in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:5678"] {
            assert_eq!(client_address(&forwarded(written), None, 1), "2001:db8::1".parse().ok(), "{written}");
        }
        let peer = "::ffff:1.2.3.4".parse().ok();
        assert_eq!(client_address(&HeaderMap::new(), peer, 0), "1.2.3.4".parse().ok());
    }

    #[test]
    fn neighbors_of_one_ipv6_network_are_one_caller() {
        let of = |text: &str| text.parse().map(household).expect("an address");
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("1.2.3.4"), of("1.2.3.5"));
    }
}
