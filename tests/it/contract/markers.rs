//! What the dashboard makes of a message: its conditions, as it has them, so that a wording that it does not understand
//! fails a test.

use serde_json::Value;

/// A message as the dashboard reads it.
pub(super) struct Seen<'a>(pub(super) &'a Value);

impl Seen<'_> {
    fn content(&self) -> &str {
        self.0["content"].as_str().unwrap()
    }

    fn is_of(&self, message_type: &str) -> bool {
        self.0["messageType"] == message_type
    }

    fn has_ended(&self) -> bool {
        self.0["callSession"]["status"] == "ENDED"
    }

    /// A request for a call.
    pub(super) fn is_call_request(&self) -> bool {
        let has_marker = ["requested a", "Click here to join"].iter().any(|marker| self.content().contains(marker));
        self.is_of("SYSTEM") && has_marker
    }

    /// Made by the donor.
    pub(super) fn is_from_donor(&self) -> bool {
        self.0["isFromAdmin"] == false || self.content().to_lowercase().contains("donor requested")
    }

    /// Answered with yes.
    pub(super) fn is_accepted(&self) -> bool {
        self.content().contains("✅ ACCEPTED")
    }

    /// Who answered with yes.
    pub(super) fn acceptor(&self) -> Option<&str> {
        let (_, name) = self.content().split_once("ACCEPTED by ")?;
        Some(name.split('*').next().unwrap_or(name).trim())
    }

    /// How the call is held: as the message says, else by its words.
    pub(super) fn mode(&self) -> &str {
        let says = |word: &str| self.content().contains(&format!("{word} call"));
        match self.0["callMode"].as_str() {
            Some(mode) => mode,
            None if !says("VIDEO") && !says("video") && (says("AUDIO") || says("audio")) => "AUDIO",
            None => "VIDEO",
        }
    }

    /// The words alone, without the key that newer servers send.
    pub(super) fn mode_by_words(&self) -> String {
        let mut without = self.0.clone();
        without["callMode"] = Value::Null;
        Seen(&without).mode().to_owned()
    }

    /// A button to accept.
    pub(super) fn shows_accept(&self) -> bool {
        self.is_call_request() && self.is_from_donor() && !self.is_accepted()
    }

    /// Buttons to join and to end.
    pub(super) fn shows_join(&self) -> bool {
        self.is_accepted() && self.0["callSession"].is_object() && !self.has_ended()
    }

    /// A banner of a call that goes on.
    pub(super) fn shows_active_call(&self) -> bool {
        self.is_of("CALL_STARTED") && !self.has_ended()
    }

    /// A banner of a call that is over.
    pub(super) fn shows_ended_call(&self) -> bool {
        self.is_of("CALL_ENDED") || (self.has_ended() && (self.is_of("SYSTEM") || self.is_of("CALL_STARTED")))
    }
}
