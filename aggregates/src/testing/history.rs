//! Histories that could have happened: random commands, judged by the real rules.

use crate::donor_query::command::{Caller, MessageAuthor, NewCall, OpenQuery};
use crate::donor_query::decide::decide;
use crate::donor_query::{DonorQuery, DonorQueryCommand, DonorQueryEvent};
use crate::ids::{CallId, CallRequestId, DonorId, MessageId, RoomName};
use crate::people::Staff;
use crate::vocabulary::{CallMode, EndReason, MessageType};

use super::samples::{ada, ben, cleo, new_call, noon_plus, opening, text};

/// A past of exactly `len` facts, the same for the same seed. It may stop in the middle of what one command led to.
///
/// A history never deletes its query, because nothing could follow. Seeds below a million share no ids.
pub fn random_history(seed: u64, len: usize) -> Vec<DonorQueryEvent> {
    let mut desk = Desk { random: seed, id: (seed % 1_000_000).cast_signed() * 1_000_000, seconds: 0 };
    let opening = OpenQuery { donor_id: DonorId::new(format!("donor-{seed}")), ..opening() };
    let mut query = DonorQuery::Absent;
    let mut history = Vec::new();
    let mut command = DonorQueryCommand::OpenQuery(opening);
    while history.len() < len {
        for fact in decide(&query, command).unwrap_or_default() {
            query = query.evolve(fact.clone());
            history.push(fact);
        }
        command = desk.command(&query);
    }
    history.truncate(len);
    history
}

/// Makes up commands. The random numbers are `SplitMix64` (Steele, Lea and Flood, 2014).
struct Desk {
    random: u64,
    id: i64,
    seconds: i64,
}

impl Desk {
    fn command(&mut self, query: &DonorQuery) -> DonorQueryCommand {
        let by = self.staff();
        let id = self.id();
        self.seconds += 10;
        let at = noon_plus(self.seconds);
        let notice = MessageId::new(id);
        match self.below(24) {
            0 | 1 => DonorQueryCommand::AcceptQuery { by, notice, at },
            2 => DonorQueryCommand::MarkPendingReply { by, at },
            3 => DonorQueryCommand::MarkInProgress { by, at },
            4 => {
                let (to, note) = (self.staff().as_ref(), Some(text("please")));
                DonorQueryCommand::TransferQuery { by, to, note, notice, at }
            }
            5 => DonorQueryCommand::RemindQuery { by, text: None, notice, at },
            6 => DonorQueryCommand::ResolveQuery { by, notice, at },
            7 => DonorQueryCommand::CloseQueryByDonor { notice, at },
            8 => DonorQueryCommand::ReopenQuery { by, at },
            9 => {
                let stage = Some(format!("stage {id}"));
                DonorQueryCommand::EditQuery { by, donor: None, test: None, stage, device: None, at }
            }
            10..=12 => {
                let (request, mode) = (CallRequestId::new(id), self.one_of(CallMode::ALL));
                DonorQueryCommand::RequestCall { request, mode, message: notice, at }
            }
            13 | 14 => DonorQueryCommand::AcceptCallRequest { request: None, call: self.new_call(), by, at },
            15 => DonorQueryCommand::RejectCallRequest { request: live_request(query), by, at },
            16 => DonorQueryCommand::CancelCallRequest { request: live_request(query), at },
            17 => {
                let caller = if self.below(2) == 0 { Caller::Donor } else { Caller::Staff(by) };
                DonorQueryCommand::StartCall { call: self.new_call(), message: notice, by: caller, at }
            }
            18 | 19 => {
                let reason = self.one_of(EndReason::ALL);
                DonorQueryCommand::EndCall { call: live_call(query), reason, by: Caller::Donor, at }
            }
            _ => {
                let author = match self.below(3) {
                    0 => MessageAuthor::Donor,
                    1 => MessageAuthor::Staff(by),
                    _ => MessageAuthor::System,
                };
                let message_type = self.one_of(&[MessageType::Query, MessageType::Chat]);
                let content = text(&format!("words {id}"));
                DonorQueryCommand::PostMessage { message: notice, author, recipient: None, message_type, content, at }
            }
        }
    }

    fn staff(&mut self) -> Staff {
        self.one_of(&[ada, ben, cleo])()
    }

    fn new_call(&mut self) -> NewCall {
        let id = self.id();
        let room = RoomName::new(format!("room-{id}"));
        NewCall { id: CallId::new(id), room, mode: self.one_of(CallMode::ALL), ..new_call() }
    }

    fn id(&mut self) -> i64 {
        self.id += 1;
        self.id
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("a remainder of a usize is one")
    }
}

/// The pending request, or one that never was.
fn live_request(query: &DonorQuery) -> CallRequestId {
    match query {
        DonorQuery::Open(open) => open.request.as_ref().map_or(CallRequestId::new(0), |request| request.id),
        DonorQuery::Absent | DonorQuery::Closed(_) | DonorQuery::Deleted(_) => CallRequestId::new(0),
    }
}

/// The call that is going on, or one that never was.
fn live_call(query: &DonorQuery) -> CallId {
    match query {
        DonorQuery::Open(open) => open.call.as_ref().map_or(CallId::new(0), |call| call.id),
        DonorQuery::Absent | DonorQuery::Closed(_) | DonorQuery::Deleted(_) => CallId::new(0),
    }
}
