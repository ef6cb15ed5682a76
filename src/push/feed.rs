//! One subscription for all mouths: what was missed, in order, then what happens, without a gap and without a repeat.
//!
//! Far behind, a subscription reads pages of the log at the pace of its client and is nobody's listener. Near the end it
//! joins the hub first, then reads the rest up to the position that the hub had passed at that very moment; what comes
//! through the hub after that is all there is. Nothing beyond what the hub passed is ever read, so no frame precedes the
//! read it invites.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use aggregates::ids::{QueryId, UserId};
use aggregates::recorded::{Position, RecordedEvent, StoredEvent};
use metrics::counter;
use projections::queries;
use sqlx::PgPool;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::error;
use uuid::Uuid;

use super::fact::{Fact, Telling};
use super::frames::{Frame, Room, frames};
use super::hub::{Delivery, Hub, Listener, Parted};
use super::mailbox::Outlet;
use super::notice::{Notice, text_of};
use crate::accounts::{Accounts, DonorPrincipal, Principal, TokenError, User};
use crate::log::{Log, LogError};

/// How many facts one step of a replay reads.
const PAGE: i64 = 200;

/// How far behind a subscription may be when it joins the hub: what is left is read while its queue fills.
const NEAR: i64 = 100;

/// How often a quiet feed says how far it is, and looks at its token again.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a client waits for a node that has only just started.
const STARTUP: Duration = Duration::from_secs(5);

/// Whose feed it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everything but the chats of others.
    Staff(UserId),
    /// The queries of a donor.
    Donor(DonorPrincipal),
}

/// Opens subscriptions. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    pub(super) log: Log,
    pub(super) hub: Hub,
    pub(super) accounts: Accounts,
    pub(super) reads: PgPool,
    pub(super) replay_limit: i64,
    /// Lets a few replays read at a time, so that a thousand clients coming back leave connections for others.
    pub(super) replays: Arc<Semaphore>,
}

/// Where a client wants to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// After which fact.
    pub after: Position,
    /// Of which history, as the feed said; a client that does not say is believed to mean this one.
    pub epoch: Option<String>,
}

/// One client's feed.
pub struct Subscription {
    feed: Feed,
    audience: Audience,
    /// What proved who it is; absent for a donor who only named an id.
    token: Option<String>,
    accounts: watch::Receiver<Arc<BTreeMap<UserId, Arc<User>>>>,
    epoch: Uuid,
    heartbeat: Interval,
    /// Everything up to here was handed out, is in `ready`, or was not for this audience; see also [`Self::reached`].
    cursor: Position,
    /// Whether nothing was missed, whatever the position: the client asked for none.
    from_now: bool,
    replayed: i64,
    ready: VecDeque<Line>,
    live: Option<Listener>,
    outlet: Option<Arc<dyn Outlet>>,
}

/// One line of a feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The cursor after this line, if the line moves it.
    pub position: Option<Position>,
    /// The JSON.
    pub text: Utf8Bytes,
    /// What the JSON tells, for mouths with words of their own.
    pub telling: Telling,
}

/// Why a feed ended. All but [`End::Unauthorized`] invite the client to resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The client did not keep up.
    #[error("slow consumer, resume after {0}")]
    Slow(Position),
    /// The node is stopping.
    #[error("going away, resume after {0}")]
    Stopping(Position),
    /// The token is no longer good.
    #[error("{0}")]
    Unauthorized(TokenError),
    /// The log or the read models could not be read.
    #[error("unavailable, resume after {0}")]
    Unavailable(Position),
}

/// The read models of a node that has just started are still behind.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the feed has not begun")]
pub(super) struct NotReady;

/// Why facts could not be read back.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The read models failed.
    #[error(transparent)]
    Reads(#[from] sqlx::Error),
}

/// How far the feed is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    /// Everything up to here was told.
    pub(super) passed: Position,
    /// The log's epoch.
    pub(super) epoch: Uuid,
}

/// A stretch of history, as one audience sees it.
pub(super) struct History {
    /// What there is to tell, in order; `None` stands for a fact that cannot be read.
    pub(super) frames: Vec<(Position, Option<(Frame, RecordedEvent)>)>,
    /// Everything up to here is covered.
    pub(super) covered: Position,
}

impl End {
    /// The cursor to resume after; none where resuming makes no sense.
    pub const fn resume_after(self) -> Option<Position> {
        match self {
            Self::Slow(cursor) | Self::Stopping(cursor) | Self::Unavailable(cursor) => Some(cursor),
            Self::Unauthorized(_) => None,
        }
    }
}

impl Cursor {
    /// Whether the position stands for the same fact in the log of an epoch.
    pub(super) fn is_of(&self, epoch: Uuid) -> bool {
        self.epoch.as_ref().is_none_or(|named| named.parse().is_ok_and(|named: Uuid| named == epoch))
    }
}

impl Audience {
    /// The feed that somebody may hear.
    pub fn of(principal: Principal) -> Self {
        match principal {
            Principal::Staff(staff) => Self::Staff(staff.id),
            Principal::Donor(donor) => Self::Donor(donor),
        }
    }

    /// `staff` or `donor`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Staff(_) => "staff",
            Self::Donor(_) => "donor",
        }
    }

    fn hears(&self, room: Room) -> bool {
        match (self, room) {
            (Self::Staff(_), Room::Staff) | (Self::Donor(_), Room::Query(_)) => true,
            (Self::Staff(own), Room::Member(meant)) => *own == meant,
            (Self::Staff(_), Room::Query(_)) | (Self::Donor(_), Room::Staff | Room::Member(_)) => false,
        }
    }
}

impl Feed {
    /// Opens a feed that goes on after a position, or begins now. One of another history is told to resync. It ends when the
    /// token does, if there is one.
    pub async fn open(
        &self,
        audience: Audience,
        token: Option<String>,
        from: Option<Cursor>,
    ) -> Result<Subscription, End> {
        let after = from.as_ref().map(|cursor| cursor.after);
        let reached = self.reached().await.map_err(|NotReady| End::Unavailable(after.unwrap_or_default()))?;
        let Reached { passed, epoch } = reached;
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut subscription = Subscription {
            feed: self.clone(),
            audience,
            token,
            accounts: self.accounts.changes(),
            epoch,
            heartbeat,
            cursor: after.unwrap_or(passed),
            from_now: after.is_none(),
            replayed: 0,
            ready: VecDeque::new(),
            live: None,
            outlet: None,
        };
        let is_of_another_log = from.is_some_and(|cursor| !cursor.is_of(epoch));
        if is_of_another_log || subscription.must_resync(passed).await? {
            subscription.resync(passed);
        }
        Ok(subscription)
    }

    /// How far the feed is. Waits a while if the node has only just started.
    pub(super) async fn reached(&self) -> Result<Reached, NotReady> {
        let epoch = timeout(STARTUP, self.hub.begun()).await.map_err(|_| NotReady)?;
        Ok(Reached { passed: self.hub.passed(), epoch })
    }

    /// The queries a donor may hear about, deleted ones included.
    pub(super) async fn queries_of(&self, donor: &DonorPrincipal) -> Result<Vec<QueryId>, sqlx::Error> {
        queries::ids_of_donor(&self.reads, &donor.donor_id, donor.session).await
    }

    /// Reads one page of history after a position and not beyond another; `queries` narrows it to those.
    pub(super) async fn history(
        &self,
        audience: &Audience,
        queries: Option<&[QueryId]>,
        after: Position,
        through: Position,
        limit: i64,
    ) -> Result<History, LogError> {
        let mut stored = match queries {
            None => self.log.read_after(after, limit).await?,
            Some([]) => Vec::new(),
            Some(queries) => self.log.read_queries(queries, after, limit).await?,
        };
        let covered = covered(&stored, limit, through);
        stored.retain(|fact| fact.position <= through);
        let opened = self.log.open_all(&stored).await?;
        let places = stored.iter().map(|fact| fact.position);
        let told = places.zip(opened).filter_map(|(position, opened)| match readable(position, opened) {
            Some(fact) => {
                let heard = frames(&fact).into_iter().find(|(room, _)| audience.hears(*room));
                heard.map(|(_, frame)| (position, Some((frame, fact))))
            }
            None => Some((position, None)),
        });
        Ok(History { frames: told.collect(), covered })
    }
}

/// A fact that was opened; one that nobody will ever be able to read is logged, and leaves its place empty.
pub(super) fn readable(position: Position, opened: Result<RecordedEvent, LogError>) -> Option<RecordedEvent> {
    opened.inspect_err(|error| error!(%position, %error, "Could not tell the fact at {position}")).ok()
}

/// How far a page that was asked for covers the log.
fn covered(page: &[StoredEvent], limit: i64, through: Position) -> Position {
    match page.last() {
        Some(last) if i64::try_from(page.len()).is_ok_and(|length| length >= limit) => last.position.min(through),
        _ => through,
    }
}

impl Subscription {
    /// Whose feed it is.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// While somebody waits for the next line, has what happens told through an outlet, past that somebody. To be used by a
    /// mouth that has told each line before it asks for the next.
    pub(super) fn tell_through(&mut self, outlet: Arc<dyn Outlet>) {
        self.outlet = Some(outlet);
    }

    /// Waits for the next line. Loses nothing when cancelled.
    pub async fn next(&mut self) -> Result<Line, End> {
        loop {
            if let Some(line) = self.waiting() {
                return Ok(line);
            }
            let Some(listener) = &mut self.live else {
                // What happens seldom is boxed: thousands of listeners hold this future while nothing happens.
                Box::pin(self.catch_up()).await?;
                continue;
            };
            if let Some(outlet) = &self.outlet {
                listener.attach(outlet, self.cursor);
            }
            tokio::select! {
                biased;
                delivery = listener.next() => match delivery {
                    Ok(delivery) => self.admit(&delivery),
                    Err(Parted::Slow) => return Err(End::Slow(self.reached())),
                    Err(Parted::Stopping) => return Err(End::Stopping(self.reached())),
                },
                // Fails only once the directory of accounts is gone, which this feed keeps alive.
                Ok(()) = self.accounts.changed() => Box::pin(self.check_token()).await?,
                _ = self.heartbeat.tick() => {
                    Box::pin(self.check_token()).await?;
                    self.beat();
                }
            }
        }
    }

    /// Goes on after [`End::Slow`], for a mouth whose client does keep up: what was missed meanwhile comes from the log, then
    /// [`Notice::Live`] again. The token is looked at first, so that no load keeps a feed from ending with it.
    pub async fn rejoin(&mut self) -> Result<(), End> {
        self.check_token().await?;
        self.cursor = self.reached();
        self.live = None;
        self.from_now = false;
        self.replayed = 0;
        Ok(())
    }

    /// A line that need not be waited for.
    pub fn waiting(&mut self) -> Option<Line> {
        while self.ready.is_empty() {
            let delivery = self.live.as_mut()?.waiting()?;
            self.admit(&delivery);
        }
        self.ready.pop_front()
    }

    /// Takes what came through the hub, unless it was told before.
    fn admit(&mut self, delivery: &Delivery) {
        if delivery.position > self.cursor {
            self.cursor = delivery.position;
            let Delivery { position, text, telling, .. } = delivery.clone();
            self.ready.push_back(Line { position: Some(position), text, telling });
        }
    }

    /// Everything up to here was handed out or told through the outlet.
    fn reached(&self) -> Position {
        self.live.as_ref().map_or(self.cursor, |listener| self.cursor.max(listener.told()))
    }

    /// Says how far the feed is, if it is quiet. Nothing goes past it by now, so nothing is told that it would deny.
    fn beat(&mut self) {
        // Read first: whatever was passed by then is in the queue by now, and goes first.
        let head = self.feed.hub.passed();
        if let Some(line) = self.waiting() {
            self.ready.push_front(line);
            return;
        }
        self.cursor = self.reached().max(head);
        self.say(Notice::Heartbeat { head: self.cursor }, Some(self.cursor));
    }

    /// Looks at the token again. Until that is done, nothing is told past it.
    async fn check_token(&self) -> Result<(), End> {
        if let Some(listener) = &self.live {
            listener.detach();
        }
        let Some(token) = &self.token else { return Ok(()) };
        match self.feed.accounts.authenticate(token).await {
            Ok(principal) if Audience::of(principal.clone()) == self.audience => Ok(()),
            Ok(_) => Err(End::Unauthorized(TokenError::Revoked)),
            // The accounts could not be asked; who was let in stays until they can.
            Err(TokenError::Unavailable) => Ok(()),
            Err(error @ (TokenError::Invalid | TokenError::Expired | TokenError::Revoked)) => {
                Err(End::Unauthorized(error))
            }
        }
    }

    /// Whether the cursor lies beyond the log, or too much was missed to be told. How much a donor missed shows only when
    /// it is read.
    async fn must_resync(&self, passed: Position) -> Result<bool, End> {
        if self.cursor > passed {
            let head = self.feed.log.head().await.map_err(|error| self.failed(&error.into()))?;
            return Ok(self.cursor > head.max(self.feed.hub.passed()));
        }
        Ok(match self.audience {
            Audience::Staff(_) => passed.0 - self.cursor.0 > self.feed.replay_limit,
            Audience::Donor(_) => false,
        })
    }

    fn resync(&mut self, head: Position) {
        self.cursor = head;
        self.replayed = 0;
        self.say(Notice::Resync { head }, Some(head));
    }

    /// One step towards the end of the log.
    async fn catch_up(&mut self) -> Result<(), End> {
        if self.feed.hub.is_stopping() {
            return Err(End::Stopping(self.reached()));
        }
        // Never closed, so the turn always comes; without one, replays would still be bounded by the pool.
        let turns = Arc::clone(&self.feed.replays);
        let _turn = turns.acquire().await.ok();
        let passed = self.feed.hub.passed();
        let is_far_behind = !self.from_now && passed.0 - self.cursor.0 > NEAR;
        let result = if is_far_behind { self.replay_page(passed).await } else { self.join().await };
        result.map_err(|error| self.failed(&error))
    }

    async fn replay_page(&mut self, passed: Position) -> Result<(), ReadError> {
        // The queries are listed after `passed` was read: whatever was passed is in the read models.
        let queries = match &self.audience {
            Audience::Staff(_) => None,
            Audience::Donor(donor) => Some(self.feed.queries_of(donor).await?),
        };
        self.replay(queries.as_deref(), passed).await
    }

    /// Joins the hub, then reads what is left.
    async fn join(&mut self) -> Result<(), ReadError> {
        let (listener, joined, queries) = match &self.audience {
            Audience::Staff(own) => {
                let (listener, joined) = self.feed.hub.join_staff(*own);
                (listener, joined, None)
            }
            Audience::Donor(donor) => {
                // Joined before the queries are listed, so that one opened meanwhile is followed all the same.
                let listener = self.feed.hub.join_donor(donor.clone());
                let joined = listener.follow(&self.feed.queries_of(donor).await?);
                let rooms = joined.rooms.clone();
                (listener, joined, Some(rooms))
            }
        };
        if self.from_now {
            self.cursor = joined.passed;
        }
        while self.cursor < joined.passed {
            self.replay(queries.as_deref(), joined.passed).await?;
        }
        self.live = Some(listener);
        self.say(Notice::Live { position: self.cursor, epoch: self.epoch }, Some(self.cursor));
        Ok(())
    }

    /// Reads one page and makes it ready.
    async fn replay(&mut self, queries: Option<&[QueryId]>, through: Position) -> Result<(), ReadError> {
        let history = self.feed.history(&self.audience, queries, self.cursor, through, PAGE).await?;
        let count = history.frames.len();
        counter!("feed_replayed_total").increment(count as u64);
        self.replayed = self.replayed.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        if self.replayed > self.feed.replay_limit && matches!(self.audience, Audience::Donor(_)) {
            self.resync(through);
            return Ok(());
        }
        for (position, frame) in history.frames {
            match frame {
                Some((frame, fact)) => self.ready.push_back(Line {
                    position: Some(position),
                    text: text_of(&frame),
                    telling: Telling::Fact(Arc::new(Fact::new(fact))),
                }),
                None => self.say(Notice::Resync { head: position }, Some(position)),
            }
        }
        self.cursor = history.covered;
        Ok(())
    }

    fn say(&mut self, notice: Notice, position: Option<Position>) {
        self.ready.push_back(Line { position, text: notice.text(), telling: Telling::Notice(notice) });
    }

    fn failed(&self, error: &ReadError) -> End {
        error!(%error, "Could not read the feed's history");
        End::Unavailable(self.reached())
    }
}
