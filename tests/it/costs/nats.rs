//! A proxy before nats-server that counts what a node publishes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What was published.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Published {
    /// Facts for the stream.
    pub(super) facts: u64,
    /// Everything else: hints, marks, requests to the server.
    pub(super) others: u64,
}

/// A running proxy, which goes on as long as the test's runtime.
#[derive(Clone, Debug, Default)]
pub(super) struct Nats(Arc<Mutex<Published>>);

impl Nats {
    /// Starts a proxy before the server in `url`, and returns its address.
    pub(super) async fn before(url: &str) -> (Self, SocketAddr) {
        let proxy = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, counting) = (listener.local_addr().unwrap(), proxy.clone());
        let server = url.split('@').nth(1).unwrap().to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let ((from_client, mut to_client), (mut from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
                tokio::spawn(counting.clone().carry(from_client, to_server));
            }
        });
        (proxy, address)
    }

    /// What was published since the last time.
    pub(super) fn take(&self) -> Published {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Hands on what a client says, line by line: `PUB subject .. bytes` and `HPUB subject .. bytes` carry a payload.
    async fn carry(self, from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
        let mut from = BufReader::new(from);
        let mut message = Vec::new();
        while from.read_until(b'\n', &mut message).await? > 0 {
            let line = String::from_utf8_lossy(&message).into_owned();
            let mut words = line.split_whitespace();
            if let Some("PUB" | "HPUB") = words.next() {
                let subject = words.next().unwrap_or_default();
                let is_fact = !subject.starts_with('$') && subject.contains(".events.");
                {
                    let mut published = self.0.lock().unwrap();
                    *(if is_fact { &mut published.facts } else { &mut published.others }) += 1;
                }
                let payload = words.next_back().and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
                let begin = message.len();
                message.resize(begin + payload + "\r\n".len(), 0);
                from.read_exact(&mut message[begin..]).await?;
            }
            to.write_all(&message).await?;
            message.clear();
        }
        Ok(())
    }
}
