//! What `concierge dev` prints when it is ready: where everything is, who can log in, and what is only a stand-in.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::{Addresses, Carriers, Servers};

/// Writes the table to the standard output.
pub(super) fn print(addresses: &Addresses<'_>, servers: &Servers, data_dir: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out)?;
    for (name, value) in rows(addresses, servers, data_dir) {
        writeln!(out, "  {name:<14} {value}")?;
    }
    writeln!(out, "\n  Ctrl-C stops everything; the data stays. --fresh begins anew.\n")?;
    out.flush()
}

fn rows(addresses: &Addresses<'_>, servers: &Servers, data_dir: &Path) -> Vec<(String, String)> {
    let base_url = &addresses.base_url;
    let origin = |private| if private { "private, started here" } else { "given by the configuration" };
    let mut rows = vec![
        ("API".to_owned(), format!("{base_url}/api/v1")),
        ("Documentation".to_owned(), format!("{base_url}/api/docs/")),
        ("Health".to_owned(), format!("{base_url}/health")),
        ("Metrics".to_owned(), format!("{base_url}/metrics")),
    ];
    for staff in addresses.staff {
        rows.push((staff.username.to_owned(), format!("password {} ({:?})", staff.password, staff.role)));
    }
    if addresses.staff.is_empty() {
        rows.push(("Accounts".to_owned(), "those of the database given; none was touched".to_owned()));
    }
    rows.push(("Calls".to_owned(), addresses.calls.note().unwrap_or("held at Daily.co").to_owned()));
    rows.push(("PostgreSQL".to_owned(), origin(servers.postgres.is_some()).to_owned()));
    rows.push(("NATS".to_owned(), origin(servers.nats.is_some()).to_owned()));
    let Carriers { push_is_local, mail_is_local } = addresses.carriers;
    let carrier = |is_local| if is_local { "not sent, kept in the local outbox" } else { "sent with the keys given" };
    rows.push(("Push".to_owned(), carrier(push_is_local).to_owned()));
    rows.push(("Mail".to_owned(), carrier(mail_is_local).to_owned()));
    if push_is_local || mail_is_local {
        rows.push(("Local outbox".to_owned(), format!("{base_url}/api/v1/local/outbox, as superadmin")));
    }
    if let Some(postgres) = servers.postgres.as_ref().filter(|postgres| !postgres.home().starts_with(data_dir)) {
        let why = "where the user postgres can reach it";
        rows.push(("Cluster".to_owned(), format!("{}, {why}", postgres.home().display())));
    }
    rows.push(("Addresses".to_owned(), format!("{}, with credentials", data_dir.join("dev.json").display())));
    rows
}

/// The address under which this machine reaches a listener, also when that listens on all addresses.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        let reached = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:5005"), "127.0.0.1:5005");
        assert_eq!(reached("[::]:5005"), "[::1]:5005");
        assert_eq!(reached("192.0.2.7:80"), "192.0.2.7:80");
    }
}
