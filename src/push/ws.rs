//! The feed over a WebSocket: one greeting, then JSON frames.
//!
//! While nothing else is said, frames that happen go past the conversation, straight to its socket: see [`super::wire`].

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use aggregates::recorded::Position;
use axum::extract::State;
use axum::response::Response;
use futures_util::{SinkExt, StreamExt, poll};
use metrics::gauge;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, Interval, interval_at, timeout};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message, Utf8Bytes};
use tracing::debug;

use super::error::{ErrorBody, PushError};
use super::feed::{Audience, Cursor, End, Line, Subscription};
use super::handshake::{Handshake, Socket};
use super::notice::Notice;
use super::seats::Seat;
use super::wire::Aside;
use super::{Caller, Push};
use crate::accounts::TokenError;

/// How long a client may take to greet.
const GREETING: Duration = Duration::from_secs(10);

/// How long one write may take: beyond it the client is gone, whatever TCP still hopes.
const WRITE: Duration = Duration::from_secs(10);

/// How often the server pings; a client that has not answered by the next one is gone.
const PING: Duration = Duration::from_secs(25);

/// How long a client may take to answer a close.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a client may send at most, in bytes.
const MESSAGE_BYTES: usize = 64 * 1024;

/// What is read of a message that is longer, to say so; a client that sends even more is cut off.
const READ_BYTES: usize = 4 * MESSAGE_BYTES;

/// How many waiting lines go out in one write.
const BURST: usize = 64;

/// What clients say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ClientMessage {
    Hello {
        token: String,
        after: Option<Value>,
        epoch: Option<String>,
    },
    Ping,
    #[serde(other)]
    Unknown,
}

/// Why a conversation ended.
enum Goodbye {
    /// The client left, or cannot be reached.
    Gone,
    /// Nobody said who they are in time.
    NoGreeting,
    /// The first message was not a greeting.
    NotAGreeting,
    /// The greeting names no position to resume after.
    BadCursor,
    /// A message was too long.
    TooLong,
    /// A ping was not answered.
    NoPong,
    /// The donor has too many feeds open.
    TooMany,
    /// The feed ended.
    Feed(End),
}

/// The live feed as a WebSocket.
///
/// The first message within ten seconds is `{"type":"hello","token":"..","after":N?,"epoch":".."?}`; the answer is `hello`,
/// then `event` frames missed after `after`, then `live`, which tells the `epoch`, then frames as they happen. Close codes:
/// 1001 going away, 1009 message too long, 1013 slow consumer (the reason says where to resume), 4400 `after` is no
/// position, 4401 token refused, 4408 no greeting or no pong, 4429 too many connections.
#[utoipa::path(
    get,
    path = "/api/v1/ws",
    tag = "feed",
    responses(
        (status = 101, description = "Switched to WebSocket; frames as in `GET /api/v1/events`"),
        (status = 400, description = "Not a WebSocket handshake", body = ErrorBody),
        (status = 429, description = "Too many connections from this address", body = ErrorBody),
        (status = 503, description = "Too many connections to this node", body = ErrorBody),
    )
)]
pub(super) async fn ws(
    State(push): State<Push>,
    caller: Caller,
    handshake: Result<Handshake, PushError>,
) -> Result<Response, PushError> {
    let handshake = handshake?;
    let seat = push.seats.at_address(caller.address)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(16 * 1024)
        .max_message_size(Some(READ_BYTES))
        .max_frame_size(Some(READ_BYTES));
    let (response, upgraded) = handshake.accept(config);
    push.tracker.clone().spawn(async move {
        match upgraded.await {
            Ok((socket, aside)) => converse(push, seat, socket, aside).await,
            Err(error) => debug!(%error, "A client did not wait for its WebSocket"),
        }
    });
    Ok(response)
}

async fn converse(push: Push, mut seat: Seat, mut socket: Socket, aside: Arc<Aside>) {
    let open = gauge!("feed_connections", "mouth" => "ws");
    open.increment(1);
    // Boxed, as is the farewell: a conversation lasts for hours between the two.
    let goodbye = match Box::pin(greet(&push, &mut seat, &mut socket)).await {
        Ok(subscription) => tell(subscription, &mut socket, aside).await,
        Err(goodbye) => goodbye,
    };
    Box::pin(close(socket, &goodbye)).await;
    open.decrement(1);
}

/// Hears the greeting and answers it.
async fn greet(push: &Push, seat: &mut Seat, socket: &mut Socket) -> Result<Subscription, Goodbye> {
    let stopping = push.stop.cancelled();
    let (token, from) = tokio::select! {
        () = stopping => return Err(Goodbye::Feed(End::Stopping(push.feed.hub.passed()))),
        greeting = timeout(GREETING, greeting(socket)) => greeting.map_err(|_| Goodbye::NoGreeting)??,
    };
    let principal = push.feed.accounts.authenticate(&token).await.map_err(|error| {
        Goodbye::Feed(match error {
            TokenError::Unavailable => {
                End::Unavailable(from.as_ref().map_or_else(|| push.feed.hub.passed(), |cursor| cursor.after))
            }
            TokenError::Invalid | TokenError::Expired | TokenError::Revoked => End::Unauthorized(error),
        })
    })?;
    let audience = Audience::of(principal);
    seat.of(&audience).map_err(|_| Goodbye::TooMany)?;
    let hello = Notice::Hello { head: push.feed.hub.passed(), audience: audience.word() };
    send(socket, Message::Text(hello.text())).await?;
    push.feed.open(audience, Some(token), from).await.map_err(Goodbye::Feed)
}

async fn greeting(socket: &mut Socket) -> Result<(String, Option<Cursor>), Goodbye> {
    loop {
        match socket.next().await {
            Some(Ok(message)) if is_too_long(&message) => return Err(Goodbye::TooLong),
            Some(Ok(Message::Text(text))) => {
                return match serde_json::from_str(&text) {
                    Ok(ClientMessage::Hello { token, after, epoch }) => {
                        Ok((token, after.map(|after| cursor(&after, epoch)).transpose()?))
                    }
                    Ok(ClientMessage::Ping | ClientMessage::Unknown) | Err(_) => Err(Goodbye::NotAGreeting),
                };
            }
            Some(Ok(Message::Binary(_))) => return Err(Goodbye::NotAGreeting),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Goodbye::Gone),
        }
    }
}

fn cursor(after: &Value, epoch: Option<String>) -> Result<Cursor, Goodbye> {
    let after = after.as_i64().ok_or(Goodbye::BadCursor)?;
    Ok(Cursor { after: Position(after.max(0)), epoch })
}

fn is_too_long(message: &Message) -> bool {
    match message {
        Message::Text(text) => text.len() > MESSAGE_BYTES,
        Message::Binary(bytes) => bytes.len() > MESSAGE_BYTES,
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => false,
    }
}

/// Sends the feed until it or the client ends.
async fn tell(mut subscription: Subscription, socket: &mut Socket, aside: Arc<Aside>) -> Goodbye {
    subscription.tell_through(Arc::clone(&aside) as _);
    let mut pulse = Pulse { ping: interval_at(Instant::now() + PING, PING), is_awaited: false };
    loop {
        let line = {
            // One future for the line, however much the client says meanwhile: a replay that was begun is finished.
            let mut next = pin!(subscription.next());
            loop {
                let heard = tokio::select! {
                    line = &mut next => break line,
                    message = socket.next() => answer(socket, message, &mut pulse).await,
                    _ = pulse.ping.tick() => pulse.beat(socket).await,
                    () = aside.clogged() => flush(socket).await,
                };
                if let Err(goodbye) = heard {
                    return goodbye;
                }
            }
        };
        let sent = match line {
            Ok(line) => send_burst(socket, line, &mut subscription).await,
            Err(end) => return Goodbye::Feed(end),
        };
        if let Err(goodbye) = sent {
            return goodbye;
        }
    }
}

/// Whether the client still answers.
struct Pulse {
    ping: Interval,
    is_awaited: bool,
}

impl Pulse {
    async fn beat(&mut self, socket: &mut Socket) -> Result<(), Goodbye> {
        if self.is_awaited {
            return Err(Goodbye::NoPong);
        }
        self.is_awaited = true;
        send(socket, Message::Ping(Vec::new().into())).await
    }
}

async fn answer(
    socket: &mut Socket,
    message: Option<Result<Message, SocketError>>,
    pulse: &mut Pulse,
) -> Result<(), Goodbye> {
    let error = |code, message| Notice::Error { code, message };
    let reply = match message {
        Some(Ok(message)) if is_too_long(&message) => return Err(Goodbye::TooLong),
        Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
            Ok(ClientMessage::Ping) => Notice::Pong,
            Ok(ClientMessage::Hello { .. }) => error("ALREADY_GREETED", "open another connection to start over"),
            Ok(ClientMessage::Unknown) => error("UNKNOWN_TYPE", "this server does not know messages of this type"),
            Err(_) => error("NOT_UNDERSTOOD", "messages are JSON objects with a type"),
        },
        Some(Ok(Message::Binary(_))) => error("NOT_UNDERSTOOD", "messages are JSON text"),
        Some(Ok(Message::Pong(_))) => {
            pulse.is_awaited = false;
            return Ok(());
        }
        Some(Ok(Message::Ping(_) | Message::Frame(_))) => return Ok(()),
        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Goodbye::Gone),
    };
    send(socket, Message::Text(reply.text())).await
}

/// Sends a line, and those that wait behind it in the same write.
async fn send_burst(socket: &mut Socket, line: Line, subscription: &mut Subscription) -> Result<(), Goodbye> {
    let burst = async {
        socket.feed(Message::Text(line.text)).await?;
        for _ in 1..BURST {
            let Some(line) = subscription.waiting() else { break };
            socket.feed(Message::Text(line.text)).await?;
        }
        socket.flush().await
    };
    let mut burst = pin!(burst);
    // Nearly always there is room, and no timer is needed.
    let sent = match poll!(&mut burst) {
        Poll::Ready(sent) => Ok(sent),
        Poll::Pending => timeout(WRITE, burst).await,
    };
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Goodbye::Gone),
    }
}

/// Sends what is left of something.
async fn flush(socket: &mut Socket) -> Result<(), Goodbye> {
    match timeout(WRITE, socket.flush()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Goodbye::Gone),
    }
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), Goodbye> {
    match timeout(WRITE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Goodbye::Gone),
    }
}

/// Says why, and waits a moment for the answer: a socket closed with unread input would lose the reason on its way.
async fn close(mut socket: Socket, goodbye: &Goodbye) {
    let Some((code, reason)) = goodbye.close() else { return };
    let farewell = Message::Close(Some(CloseFrame { code: code.into(), reason }));
    if send(&mut socket, farewell).await.is_ok() {
        // Whether the answer comes or not, the socket is dropped now.
        let _ = timeout(FAREWELL, async { while let Some(Ok(_)) = socket.next().await {} }).await;
    }
}

impl Goodbye {
    /// The close code and reason; nothing for a client that is gone.
    fn close(&self) -> Option<(u16, Utf8Bytes)> {
        match self {
            Self::Gone => None,
            Self::NoGreeting => Some((4408, "no hello within 10 seconds".into())),
            Self::NotAGreeting => Some((4401, "the first message must be a hello with a token".into())),
            Self::BadCursor => Some((4400, "after must be a position: a whole number".into())),
            Self::TooLong => Some((1009, "messages have at most 64 KiB".into())),
            Self::NoPong => Some((4408, "no answer to ping".into())),
            Self::TooMany => Some((4429, "too many connections".into())),
            Self::Feed(end) => {
                let code = match end {
                    End::Slow(_) | End::Unavailable(_) => 1013,
                    End::Stopping(_) => 1001,
                    End::Unauthorized(_) => 4401,
                };
                Some((code, end.to_string().into()))
            }
        }
    }
}
