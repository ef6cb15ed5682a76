//! Who may join a call, and the passes that let them: made when they are asked for, for one reader, and never stored.
//!
//! A staff member may join where they may act: in queries that they hold or nobody does, and a super admin everywhere. A
//! donor may join the calls about their own queries. Reading goes on when the provider does not answer: the pass is then
//! missing, and the next read tries again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aggregates::ids::{CallId, CallRequestId, QueryId};
use aggregates::people::Staff;
use aggregates::vocabulary::CallStatus;
use futures_util::future::join_all;
use projections::calls::{self, CallRow};
use projections::messages::MessageRow;
use projections::queries::QueryRow;
use projections::requests::{self, RequestRow};
use projections::{ReadError, ReadPool};
use tracing::warn;

use super::Api;
use super::views::{CallsShown, Pass};
use crate::clock;
use crate::integrations::calls::{ProviderError, Seat};

/// The most passes that one page is worth; the newest calls come first.
const MOST_PASSES: usize = 5;
/// How long a page waits for its passes.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who reads about calls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reader<'a> {
    /// A staff member.
    Staff(&'a Staff),
    /// The donor whose queries they are, as the caller has made sure.
    Donor,
    /// Somebody who only looks.
    Onlooker,
}

/// The calls and requests that messages are about, with the passes of their reader. `queries` holds the queries of the
/// messages.
pub(super) async fn calls_shown(
    api: &Api,
    messages: &[MessageRow],
    queries: &[QueryRow],
    reader: Reader<'_>,
) -> Result<CallsShown, ReadError> {
    let (mut sessions, asked) = told(&api.reads, messages).await?;
    let passes = passes(api, &mut sessions, queries, reader).await;
    Ok(CallsShown::new(sessions, &asked, passes))
}

/// The same for somebody who only looks.
pub(super) async fn calls_told(reads: &ReadPool, messages: &[MessageRow]) -> Result<CallsShown, ReadError> {
    let (sessions, asked) = told(reads, messages).await?;
    Ok(CallsShown::new(sessions, &asked, BTreeMap::new()))
}

async fn told(reads: &ReadPool, messages: &[MessageRow]) -> Result<(Vec<CallRow>, Vec<RequestRow>), ReadError> {
    let call_ids: BTreeSet<CallId> = messages.iter().filter_map(|message| message.call_id).collect();
    let asked = messages.iter().filter(|message| message.call_id.is_none());
    let request_ids: BTreeSet<CallRequestId> = asked.filter_map(|message| message.call_request_id).collect();
    let (mut sessions, mut asked) = (Vec::new(), Vec::new());
    if !call_ids.is_empty() {
        sessions = calls::of_ids(reads, &Vec::from_iter(call_ids)).await?;
    }
    if !request_ids.is_empty() {
        asked = requests::of_ids(reads, &Vec::from_iter(request_ids)).await?;
    }
    Ok((sessions, asked))
}

async fn passes(
    api: &Api,
    sessions: &mut [CallRow],
    queries: &[QueryRow],
    reader: Reader<'_>,
) -> BTreeMap<CallId, Pass> {
    sessions.sort_by_key(|call| std::cmp::Reverse(call.created_at));
    let queries: BTreeMap<QueryId, &QueryRow> = queries.iter().map(|query| (query.query_id, query)).collect();
    let joinable = sessions.iter().filter_map(|call| Some((call, *queries.get(&call.query_id)?)));
    let joinable = joinable.filter(|(call, query)| may_join(call, query, reader)).take(MOST_PASSES);
    let made =
        join_all(joinable.map(async |(call, query)| Some((call.call_id, try_pass(api, call, query, reader).await?))));
    made.await.into_iter().flatten().collect()
}

/// A pass for a call, if its reader may join; without one if the provider does not answer in time.
pub(super) async fn try_pass(api: &Api, call: &CallRow, query: &QueryRow, reader: Reader<'_>) -> Option<Pass> {
    match tokio::time::timeout(PATIENCE, pass(api, call, query, reader)).await {
        Ok(Ok(pass)) => pass,
        Ok(Err(error)) => {
            warn!(%error, call.id = %call.call_id, "Nobody can be let into call {}", call.call_id);
            None
        }
        Err(_) => {
            warn!(call.id = %call.call_id, "Letting somebody into call {} takes too long", call.call_id);
            None
        }
    }
}

async fn pass(api: &Api, call: &CallRow, query: &QueryRow, reader: Reader<'_>) -> Result<Option<Pass>, ProviderError> {
    if !may_join(call, query, reader) {
        return Ok(None);
    }
    let grant =
        async |seat| api.rooms.grant(&call.provider, &call.room_name, &call.room_url, seat, call.expires_at).await;
    Ok(match reader {
        Reader::Staff(staff) => Some(Pass::of_staff(&grant(Seat::Staff(&staff.as_ref())).await?)),
        Reader::Donor => {
            let seat = Seat::Donor { id: &query.donor_id, name: &query.donor };
            Some(Pass::of_donor(&grant(seat).await?))
        }
        Reader::Onlooker => None,
    })
}

fn may_join(call: &CallRow, query: &QueryRow, reader: Reader<'_>) -> bool {
    let is_live = call.status != CallStatus::Ended && call.expires_at > clock::now();
    is_live
        && match reader {
            Reader::Staff(staff) => {
                staff.is_super() || query.standing.assigned_to_id.is_none_or(|holder| holder == staff.id)
            }
            Reader::Donor => true,
            Reader::Onlooker => false,
        }
}
