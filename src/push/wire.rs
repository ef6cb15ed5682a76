//! The socket under a WebSocket, written to by two: by its conversation, and frame by frame by whoever delivers what
//! happened (see [`super::mailbox`]). Neither cuts into the other's frames.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::hub::Delivery;
use super::mailbox::Outlet;

/// The conversation's end of a socket.
pub(super) struct Wire(Arc<Aside>);

/// The other end of it, for deliveries.
pub(super) struct Aside {
    stream: TcpStream,
    out: Mutex<Out>,
    clogged: Notify,
}

#[derive(Default)]
struct Out {
    /// What is left of deliveries that were taken: it goes before anything else.
    rest: Bytes,
    /// Whether the conversation wrote a part of something and has to go on with it.
    is_midway: bool,
}

/// Both ends of a socket.
pub(super) fn wire(stream: TcpStream) -> (Wire, Arc<Aside>) {
    let aside = Arc::new(Aside { stream, out: Mutex::default(), clogged: Notify::new() });
    (Wire(Arc::clone(&aside)), aside)
}

impl Aside {
    /// Waits until something that was taken is left, for the conversation to flush.
    pub(super) async fn clogged(&self) {
        self.clogged.notified().await;
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        // Nothing under the lock panics between a write and its note.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the socket takes now: what is left of deliveries, then some of these bytes.
    fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = self.out();
        while !out.rest.is_empty() {
            let written = self.stream.try_write(&out.rest)?;
            drop(out.rest.split_to(written));
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let written = self.stream.try_write(bytes)?;
        out.is_midway = written < bytes.len();
        Ok(written)
    }

    fn poll_write_now(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.write_now(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(self.stream.poll_write_ready(context))?,
                done => return Poll::Ready(done),
            }
        }
    }
}

impl Outlet for Aside {
    fn offer(&self, deliveries: &[Arc<Delivery>]) -> bool {
        let mut out = self.out();
        if out.is_midway || !out.rest.is_empty() {
            return false;
        }
        let frames = match deliveries {
            [only] => only.frame.clone(),
            several => Bytes::from(several.iter().map(|delivery| &delivery.frame[..]).collect::<Vec<_>>().concat()),
        };
        // What else is wrong with the socket, the conversation finds out.
        let Ok(written) = self.stream.try_write(&frames) else { return false };
        if written < frames.len() {
            out.rest = frames.slice(written..);
            self.clogged.notify_one();
        }
        true
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &self.0.stream;
        loop {
            ready!(stream.poll_read_ready(context))?;
            match stream.try_read_buf(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write_now(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_now(context, &[]).map_ok(drop)
    }

    /// Only flushes: a WebSocket ends with its closing frames, and the socket when both ends are dropped.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use aggregates::recorded::Position;
    use futures_util::{SinkExt, StreamExt};
    use tokio::net::TcpSocket;
    use tokio::task::JoinSet;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;
    use crate::push::fact::Telling;
    use crate::push::notice::Notice;

    /// How often each of the two says something, and how much: more than the socket holds.
    const TURNS: i64 = 500;
    const FILLING: usize = 3_000;

    /// A socket that holds little, and its client.
    async fn pair() -> (Wire, Arc<Aside>, WebSocketStream<TcpStream>) {
        let listener = TcpSocket::new_v4().expect("a socket");
        listener.set_send_buffer_size(4_096).expect("a small buffer");
        listener.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = listener.listen(1).expect("a listener");
        let client = TcpSocket::new_v4().expect("a socket");
        client.set_recv_buffer_size(4_096).expect("a small buffer");
        let address = listener.local_addr().expect("an address");
        let (client, accepted) = tokio::join!(client.connect(address), listener.accept());
        let (wire, aside) = wire(accepted.expect("a connection").0);
        let client = WebSocketStream::from_raw_socket(client.expect("a connection"), Role::Client, None).await;
        (wire, aside, client)
    }

    fn filled(who: &str, turn: i64) -> String {
        format!("{who} {turn} {}", "x".repeat(FILLING))
    }

    fn delivery(turn: i64) -> Arc<Delivery> {
        let notice = Notice::Resync { head: Position(turn) };
        Arc::new(Delivery::new(Position(turn), filled("hub", turn).into(), Telling::Notice(notice)))
    }

    /// The numbers of what two said, until both said everything.
    async fn heard(mut client: WebSocketStream<TcpStream>) -> [Vec<i64>; 2] {
        let mut heard = [Vec::new(), Vec::new()];
        while heard.iter().any(|turns| turns.last() != Some(&(TURNS - 1))) {
            let Some(Ok(Message::Text(text))) = client.next().await else { panic!("the frames are broken") };
            let [who, turn, filling] = *text.split(' ').collect::<Vec<_>>() else { panic!("a frame is broken") };
            assert_eq!(filling.len(), FILLING);
            heard[usize::from(who == "hub")].push(turn.parse().expect("a number"));
        }
        heard
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn neither_cuts_into_the_frames_of_the_other() {
        let (wire, aside, client) = pair().await;
        let mut socket = WebSocketStream::from_raw_socket(wire, Role::Server, None).await;
        let outlet = Arc::clone(&aside);
        let (mut delivering, mut conversing) = (JoinSet::new(), JoinSet::new());
        delivering.spawn(async move {
            for turn in 0..TURNS {
                let delivery = delivery(turn);
                while !outlet.offer(slice::from_ref(&delivery)) {
                    tokio::task::yield_now().await;
                }
            }
        });
        conversing.spawn(async move {
            for turn in 0..TURNS {
                socket.send(Message::text(filled("own", turn))).await.expect("the client listens");
            }
            while !delivering.is_empty() {
                tokio::select! {
                    () = aside.clogged() => {}
                    delivered = delivering.join_next() => assert!(delivered.is_none_or(|ended| ended.is_ok())),
                }
                socket.flush().await.expect("the client listens");
            }
        });
        let all: Vec<i64> = (0..TURNS).collect();
        assert_eq!(heard(client).await, [all.clone(), all]);
        assert!(conversing.join_all().await.len() == 1, "nobody panics");
    }

    #[tokio::test]
    async fn a_full_socket_takes_nothing_more_and_what_it_took_arrives_whole() {
        let (wire, aside, mut client) = pair().await;
        let mut socket = WebSocketStream::from_raw_socket(wire, Role::Server, None).await;
        aside.stream.writable().await.expect("an open socket");
        let taken = (0..TURNS).take_while(|turn| aside.offer(&[delivery(*turn), delivery(*turn)])).count();
        aside.clogged().await;
        let reading = async {
            for turn in (0..2 * taken).map(|frame| frame / 2) {
                let Some(Ok(Message::Text(text))) = client.next().await else { panic!("the frames are broken") };
                assert_eq!(text.as_str(), filled("hub", i64::try_from(turn).expect("a few")));
            }
        };
        let (flushed, ()) = tokio::join!(socket.flush(), reading);
        flushed.expect("the client listens");
        assert!(taken > 0);
    }
}
