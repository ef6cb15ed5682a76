//! What goes through the feed: a fact, or a notice of the feed itself. Every mouth puts it into its own words.

use std::sync::Arc;

use aggregates::ids::QueryId;
use aggregates::recorded::RecordedEvent;
use tokio::sync::OnceCell;

use super::notice::Notice;
use super::socketio::emissions::{Emission, emissions, needs_query};
use super::socketio::rows::Rows;

/// What one line of the feed is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Telling {
    /// Something happened at the desk.
    Fact(Arc<Fact>),
    /// The feed says something about itself.
    Notice(Notice),
}

/// A fact on its way to those who listen, with its Socket.IO events, which are written once for all of them.
#[derive(Debug)]
pub struct Fact {
    recorded: RecordedEvent,
    emissions: OnceCell<Vec<Emission>>,
}

impl Fact {
    /// Takes a fact along.
    pub(super) fn new(recorded: RecordedEvent) -> Self {
        Self { recorded, emissions: OnceCell::new() }
    }

    /// The query it is about.
    pub(super) fn query(&self) -> QueryId {
        self.recorded.query
    }

    /// Its Socket.IO events. Only who asks first waits: for the row of the query, where the fact does not say enough.
    pub(super) async fn emissions(&self, rows: &Rows) -> &[Emission] {
        let written = async {
            let query = if needs_query(&self.recorded.event) { rows.as_of(&self.recorded).await } else { None };
            emissions(&self.recorded, query.as_deref())
        };
        self.emissions.get_or_init(async || written.await).await
    }
}

impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        self.recorded == other.recorded
    }
}
