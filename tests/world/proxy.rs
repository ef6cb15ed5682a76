//! A TCP proxy between two of them, whose cable can be cut, or left plugged in with nothing coming through.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What the cable does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cable {
    /// Everything comes through.
    Sound,
    /// Every connection ends, and so does every new one.
    Cut,
    /// A black hole: bytes are taken and stay on their way, connections are made and stay open. What was taken arrives
    /// once the cable is sound again, as TCP would have it.
    Silent,
}

/// Stands between clients and a server.
pub(crate) struct Proxy {
    address: SocketAddr,
    cable: watch::Sender<Cable>,
    task: AbortHandle,
}

impl Proxy {
    /// A proxy before a server that need not be there yet.
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cable, seen) = watch::channel(Cable::Sound);
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                // An end of either side is what the proxy is there for.
                tokio::spawn(carry(client, server, seen.clone()));
            }
        };
        Self { address, cable, task: tokio::spawn(accept).abort_handle() }
    }

    /// Where clients connect to.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does something to the cable.
    pub(crate) fn set(&self, cable: Cable) {
        self.cable.send_replace(cable);
    }

    /// Ends every connection that is open now; new ones come through.
    pub(crate) fn cut_once(&self) {
        let before = self.cable.send_replace(Cable::Cut);
        self.cable.send_replace(before);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: SocketAddr, mut cable: watch::Receiver<Cable>) -> io::Result<()> {
    if *cable.borrow_and_update() == Cable::Cut {
        return Ok(());
    }
    // A cut that is mended at once is a change all the same.
    let mut changes = cable.clone();
    let carried = async {
        through(&mut cable).await;
        let server = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let back = cable.clone();
        tokio::try_join!(pump(from_client, to_server, cable), pump(from_server, to_client, back)).map(|_| ())
    };
    tokio::select! {
        carried = carried => carried,
        () = ended(&mut changes) => Ok(()),
    }
}

/// Returns when something cut the cable, even if it is sound again.
async fn ended(changes: &mut watch::Receiver<Cable>) {
    loop {
        let was_silent = *changes.borrow_and_update() == Cable::Silent;
        if changes.changed().await.is_err() {
            return;
        }
        let now = *changes.borrow();
        // From sound to silent and back nothing ends; every other change went through a cut.
        if now == Cable::Cut || was_silent == (now == Cable::Silent) {
            return;
        }
    }
}

/// Waits while the cable is silent.
async fn through(cable: &mut watch::Receiver<Cable>) {
    // The other end is the proxy itself; without it the connection is over anyway.
    let _ = cable.wait_for(|cable| *cable != Cable::Silent).await;
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cable: watch::Receiver<Cable>) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut bytes).await?;
        through(&mut cable).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..length]).await?;
    }
}
