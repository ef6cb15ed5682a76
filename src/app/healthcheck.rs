//! `concierge healthcheck`: can the node on this machine be used? For supervisors in whose container there is no shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Config;

/// How long the node may take; a busy one has to ask PostgreSQL first.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most that is read of an answer, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Asks the node that is configured as this one for `/health/ready`, and fails with its answer unless it is ready.
pub async fn ask(config: &Config) -> anyhow::Result<()> {
    let address = reachable(config.listen);
    let answer = timeout(PATIENCE, answer_of(address)).await.context("the node did not answer in time")?;
    let answer = answer.with_context(|| format!("nobody answers at {address}"))?;
    if !answer.starts_with("HTTP/1.1 200 ") {
        bail!("the node is not ready: {}", answer.lines().last().unwrap_or_default());
    }
    Ok(())
}

async fn answer_of(address: SocketAddr) -> std::io::Result<String> {
    let mut node = TcpStream::connect(address).await?;
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    node.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    node.take(LIMIT).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whoever listens everywhere also listens here.
const fn reachable(listen: SocketAddr) -> SocketAddr {
    let here = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::new(here, listen.port())
}
