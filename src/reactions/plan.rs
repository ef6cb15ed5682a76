//! What a batch of facts asks for, as rows. Pure: nothing is looked up and nobody is told yet.

use std::collections::BTreeMap;

use aggregates::ids::QueryId;
use aggregates::policy::{Alert, Effect, Letter, Timer, effects};
use aggregates::recorded::{Position, RecordedEvent};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::target::{Channel, Target};

/// How long a call rings. A phone that hears of it later must not ring.
const RINGING: TimeDelta = TimeDelta::seconds(30);

/// How long it is worth telling a phone to fall silent.
const SILENCING: TimeDelta = TimeDelta::hours(1);

/// How long any other note is worth showing.
const SHOWING: TimeDelta = TimeDelta::days(1);

/// What a batch of facts asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) deliveries: Vec<Planned>,
    /// What becomes of each timer that the batch touched: when it is due, or nothing if it is disarmed.
    pub(super) timers: BTreeMap<Timer, Option<DateTime<Utc>>>,
}

/// A delivery that is not a row yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) position: Position,
    /// The query it is about; the place of a chat.
    pub(super) query: QueryId,
    /// Which of the fact's effects.
    pub(super) effect: i16,
    pub(super) channel: Channel,
    pub(super) target: Target,
    pub(super) payload: Payload,
    pub(super) expires_at: Option<DateTime<Utc>>,
    /// Why nobody is to be told of it, if that is known.
    pub(super) skipped: Option<String>,
}

/// What a delivery is about, as its row keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Payload {
    /// When the fact was recorded.
    pub(super) at: DateTime<Utc>,
    #[serde(flatten)]
    pub(super) matter: Matter,
}

/// What a delivery does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Matter {
    Push(Alert),
    Mail(Letter),
    Room(RoomMatter),
}

/// What is done to a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum RoomMatter {
    CloseRoom,
}

impl Plan {
    /// What some facts ask for, in their order. Of facts that were taken over from another desk nobody is told, but a call
    /// that still goes on has to end some day.
    pub(super) fn of(facts: &[RecordedEvent]) -> Self {
        let mut plan = Self::default();
        for fact in facts {
            for (index, effect) in (0..).zip(effects(fact)) {
                plan.take(fact, index, effect);
            }
        }
        plan
    }

    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.timers.is_empty()
    }

    /// Whether nothing of it is left to be done.
    pub(super) fn is_done(&self) -> bool {
        self.timers.is_empty() && self.deliveries.iter().all(|planned| planned.skipped.is_some())
    }

    fn take(&mut self, fact: &RecordedEvent, index: i16, effect: Effect) {
        let (channel, target, matter, life) = match effect {
            Effect::SetTimer { timer, due } => {
                self.timers.insert(timer, Some(due));
                return;
            }
            Effect::ClearTimer(timer) => {
                self.timers.insert(timer, None);
                return;
            }
            Effect::Push { to, alert } => {
                let life = lifetime(&alert);
                (Channel::Push, Target::Audience(to), Matter::Push(alert), Some(life))
            }
            Effect::Mail { to, letter } => (Channel::Mail, Target::Audience(to), Matter::Mail(letter), None),
            Effect::CloseRoom(call) => (Channel::Room, Target::Room(call), Matter::Room(RoomMatter::CloseRoom), None),
        };
        if fact.metadata.imported_from.is_none() {
            self.deliveries.push(Planned {
                position: fact.position,
                query: fact.query,
                effect: index,
                channel,
                target,
                payload: Payload { at: fact.recorded_at, matter },
                expires_at: life.map(|life| fact.recorded_at + life),
                skipped: None,
            });
        }
    }
}

impl Payload {
    /// The word for what it is about, as `query_opened` or `close_room`.
    pub(super) fn kind(&self) -> String {
        match &self.matter {
            Matter::Push(alert) => kind(serde_json::to_value(alert)),
            Matter::Mail(letter) => kind(serde_json::to_value(letter)),
            Matter::Room(matter) => kind(serde_json::to_value(matter)),
        }
    }
}

/// The word by which the JSON of an occasion is told from others.
fn kind(json: serde_json::Result<serde_json::Value>) -> String {
    json.ok().and_then(|json| Some(json.get("kind")?.as_str()?.to_owned())).unwrap_or_default()
}

/// For how long after its fact a note is worth sending.
fn lifetime(alert: &Alert) -> TimeDelta {
    match alert {
        Alert::CallAttached { .. } => RINGING,
        Alert::CallRequestCancelled { .. } | Alert::CallDetached { .. } => SILENCING,
        Alert::QueryOpened
        | Alert::QueryAccepted { .. }
        | Alert::QueryTransferred { .. }
        | Alert::QueryReminded { .. }
        | Alert::QueryResolved { .. }
        | Alert::QueryClosedByDonor
        | Alert::QueryReopened { .. }
        | Alert::MessagePosted { .. }
        | Alert::ChatMessagePosted { .. }
        | Alert::CallRequested { .. }
        | Alert::CallRequestRejected { .. } => SHOWING,
    }
}

#[cfg(test)]
mod tests {
    use aggregates::policy::Timer;
    use aggregates::recorded::{Event, RecordedEvent};
    use aggregates::testing::{
        CALL, CALL_MESSAGE, NOON, QUERY, call_attached, call_created, call_ended, donor, noon_plus, opened, recorded,
        samples,
    };
    use aggregates::vocabulary::EndReason;

    use super::{Payload, Plan};

    fn imported(event: Event) -> RecordedEvent {
        let fact = recorded(event);
        RecordedEvent { metadata: fact.metadata.clone().imported_from("the old desk"), ..fact }
    }

    #[test]
    fn every_payload_is_read_back_as_it_was_written() {
        let facts: Vec<_> = samples().into_iter().map(recorded).collect();
        for planned in Plan::of(&facts).deliveries {
            let json = serde_json::to_value(&planned.payload).expect("plain data");
            assert!(json[planned.channel.as_str()]["kind"].is_string(), "{json}");
            assert_eq!(serde_json::from_value::<Payload>(json).expect("what was written"), planned.payload);
        }
    }

    #[test]
    fn no_payload_holds_words_of_a_donor() {
        let facts: Vec<_> = samples().into_iter().map(recorded).collect();
        let everything = serde_json::to_string(&facts.iter().map(|fact| &fact.event).map(personal).collect::<Vec<_>>());
        assert!(everything.expect("plain data").contains("$personal"), "the samples hold words");
        for planned in Plan::of(&facts).deliveries {
            let json = serde_json::to_string(&planned.payload).expect("plain data");
            assert!(!json.contains("$personal") && !json.contains("content"), "{json}");
        }
    }

    fn personal(event: &Event) -> serde_json::Value {
        match event {
            Event::DonorQuery(event) => serde_json::to_value(event),
            Event::CallSession(event) => serde_json::to_value(event),
            Event::StaffChat(event) => serde_json::to_value(event),
        }
        .expect("plain data")
    }

    #[test]
    fn the_last_word_about_a_timer_counts() {
        let timer = Timer::CallExpiry { query: QUERY, call: CALL };
        let begun = recorded(Event::CallSession(call_created()));
        let over = recorded(Event::CallSession(call_ended(EndReason::HungUp)));
        assert_eq!(Plan::of(std::slice::from_ref(&begun)).timers.get(&timer), Some(&Some(noon_plus(3600))));
        assert_eq!(Plan::of(&[begun, over]).timers.get(&timer), Some(&None));
    }

    #[test]
    fn nobody_is_told_of_what_was_taken_over_but_its_calls_end() {
        let facts = [
            imported(Event::DonorQuery(opened())),
            imported(Event::DonorQuery(call_attached(CALL_MESSAGE, donor()))),
            imported(Event::CallSession(call_created())),
        ];
        let plan = Plan::of(&facts);
        assert_eq!(plan.deliveries, []);
        assert_eq!(plan.timers.len(), 1);
    }

    #[test]
    fn a_call_rings_for_half_a_minute_and_a_letter_is_never_too_late() {
        let plan = Plan::of(&[recorded(Event::DonorQuery(call_attached(CALL_MESSAGE, donor())))]);
        let lives: Vec<_> = plan.deliveries.iter().map(|planned| planned.expires_at.map(|end| end - NOON)).collect();
        assert_eq!(lives, [Some(super::RINGING), None]);
    }
}
