//! Tells one socket its feed, until either ends.
//!
//! Emitting never waits, so the teller does: while a client reads nothing, its packets wait in a short queue and its facts
//! in the hub's. A teller that was late at the hub goes on from the log, and its client notices nothing; only a client that
//! does not read in time is told why, cut, and resumes with the position it saw last.

use std::sync::Arc;
use std::time::Duration;

use aggregates::recorded::Position;
use metrics::{counter, gauge};
use serde::Serialize;
use serde_json::json;
use socketioxide::extract::{Extension, SocketRef, State};
use socketioxide::{SendError, SocketError};
use tokio::time::{Instant, sleep};
use tracing::error;

use super::Mouth;
use super::session::{Session, Who};
use crate::push::fact::{Fact, Telling};
use crate::push::feed::{End, Line, Subscription};
use crate::push::notice::Notice;

/// How long a client may read nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether a client has read something: there is no sign of it to wait for.
const GLANCE: Duration = Duration::from_millis(5);

/// How often it is tried to tell a client that it is cut.
const KNOCK: Duration = Duration::from_millis(100);

/// An event of a name that Socket.IO keeps to itself: its clients take that for garbage, drop the connection and come back by
/// themselves. The library cannot close one connection, and after the end of a namespace clients stay away.
const COME_BACK: &str = "disconnect";

/// How long a client may take to hand on what it was told before it is told to come back. The library for Node.js keeps what
/// arrives together with garbage until it is back, and hands on a second time what it is told again then.
const BREATH: Duration = Duration::from_millis(500);

/// How long a client that was told to come back may take to drop its connection.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a conversation ended.
enum Goodbye {
    /// The client is gone.
    Gone,
    /// The client does not read.
    Slow,
    /// The feed ended.
    Feed(End),
}

struct Teller {
    socket: SocketRef,
    mouth: Mouth,
    session: Arc<Session>,
    who: Who,
    /// Everything up to here was told.
    told: Position,
    /// Where the client said it comes back from, until it was told that it is back.
    back_from: Option<Position>,
}

/// Begins to tell a socket that was let in, unless nobody knows yet who it speaks for.
pub(super) async fn begin(socket: SocketRef, State(mouth): State<Mouth>, Extension(session): Extension<Arc<Session>>) {
    start(socket, mouth, session);
}

/// Starts a socket's teller, once.
pub(super) fn start(socket: SocketRef, mouth: Mouth, session: Arc<Session>) {
    let Some(who) = session.begins() else { return };
    let tellers = mouth.tellers.clone();
    let back_from = session.from.as_ref().map(|cursor| cursor.after);
    tellers.spawn(Teller { socket, mouth, session, who, told: back_from.unwrap_or_default(), back_from }.run());
}

impl Teller {
    async fn run(mut self) {
        let open = gauge!("feed_connections", "mouth" => "socketio");
        open.increment(1);
        let session = Arc::clone(&self.session);
        let ended = session.gone.run_until_cancelled(self.converse()).await;
        if let Some(goodbye) = ended {
            session.gone.run_until_cancelled(Box::pin(self.part(&goodbye))).await;
        }
        open.decrement(1);
    }

    async fn converse(&mut self) -> Goodbye {
        let audience = self.who.audience();
        // Boxed, as is the farewell: a teller lives for hours between the two.
        let feed = &self.mouth.push.feed;
        let opened = Box::pin(feed.open(audience, self.session.take_token(), self.session.from.clone())).await;
        let told = match opened {
            Ok(subscription) => self.tell_all(subscription).await,
            Err(end) => Err(Goodbye::Feed(end)),
        };
        match told {
            Ok(never) => match never {},
            Err(goodbye) => goodbye,
        }
    }

    async fn tell_all(&mut self, mut subscription: Subscription) -> Result<std::convert::Infallible, Goodbye> {
        loop {
            match subscription.next().await {
                Ok(line) => {
                    self.tell(&line).await?;
                    self.told = line.position.unwrap_or(self.told);
                }
                // The hub did not wait for this teller. Whether the client keeps up shows when it is told something.
                Err(End::Slow(_)) => Box::pin(subscription.rejoin()).await.map_err(Goodbye::Feed)?,
                Err(end @ (End::Stopping(_) | End::Unauthorized(_) | End::Unavailable(_))) => {
                    return Err(Goodbye::Feed(end));
                }
            }
        }
    }

    async fn tell(&mut self, line: &Line) -> Result<(), Goodbye> {
        match &line.telling {
            Telling::Fact(fact) => self.tell_fact(fact).await,
            Telling::Notice(notice) => self.tell_notice(notice).await,
        }
    }

    async fn tell_fact(&self, fact: &Fact) -> Result<(), Goodbye> {
        let hears = |to| self.session.hears(&self.who, to, fact.query());
        for emission in fact.emissions(&self.mouth.rows, hears).await {
            if hears(emission.to) {
                for name in emission.names {
                    self.emit(name, &*emission.payload).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell_notice(&mut self, notice: &Notice) -> Result<(), Goodbye> {
        match notice {
            Notice::Live { position, epoch } => match self.back_from.take() {
                Some(from) => {
                    let resumed = json!({ "from": from, "to": position, "position": position, "epoch": epoch });
                    self.emit("resumed", &resumed).await
                }
                None => self.emit("position", &json!({ "position": position, "epoch": epoch })).await,
            },
            Notice::Heartbeat { head } => self.emit("position", &json!({ "position": head })).await,
            Notice::Resync { head } => {
                // Who reads everything again did not resume.
                self.back_from = None;
                self.emit("resync", &json!({ "head": head, "position": head })).await
            }
            // Said by other mouths only.
            Notice::Hello { .. } | Notice::Pong | Notice::Error { .. } | Notice::Close { .. } => Ok(()),
        }
    }

    /// Hands an event to the socket, as soon as there is room for it.
    async fn emit(&self, event: &str, payload: &(impl Serialize + ?Sized)) -> Result<(), Goodbye> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.socket.emit(event, payload) {
                Ok(()) => return Ok(()),
                Err(SendError::Socket(SocketError::InternalChannelFull)) if Instant::now() < deadline => {
                    sleep(GLANCE).await;
                }
                Err(SendError::Socket(SocketError::InternalChannelFull)) => return Err(Goodbye::Slow),
                Err(SendError::Socket(SocketError::Closed)) => return Err(Goodbye::Gone),
                Err(SendError::Serialize(error)) => {
                    error!(%error, "Could not write the event {event}");
                    return Ok(());
                }
            }
        }
    }

    /// Says why it ends and where to resume, then lets the socket go. Who reads nothing at all is found dead by the
    /// connection's own heartbeat.
    async fn part(&self, goodbye: &Goodbye) {
        let (reason, resume_after) = match goodbye {
            Goodbye::Gone => return,
            Goodbye::Slow => {
                counter!("feed_slow_consumers_total", "at" => "socketio").increment(1);
                (End::Slow(self.told).to_string(), Some(self.told))
            }
            Goodbye::Feed(end) => (end.to_string(), end.resume_after()),
        };
        let position = resume_after.unwrap_or(self.told);
        self.knock("closing", &json!({ "reason": reason, "resumeAfter": resume_after, "position": position })).await;
        if matches!(goodbye, Goodbye::Feed(End::Stopping(_))) {
            // The whole connection is about to be closed, so that the client comes back by itself.
            return;
        }
        if resume_after.is_some() {
            sleep(BREATH).await;
            self.knock(COME_BACK, &reason).await;
            // Cut short by the client's leave.
            sleep(FAREWELL).await;
        }
        while let Err(SocketError::InternalChannelFull) = self.socket.clone().disconnect() {
            sleep(KNOCK).await;
        }
    }

    /// Hands an event to the socket, however long that takes: a client that reads nothing for ever is gone some day.
    async fn knock(&self, event: &str, payload: &(impl Serialize + ?Sized)) {
        while let Err(SendError::Socket(SocketError::InternalChannelFull)) = self.socket.emit(event, payload) {
            sleep(KNOCK).await;
        }
    }
}
