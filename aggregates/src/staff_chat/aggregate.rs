//! The chat behind cqrs-es's trait, so that its test framework and store traits work on it.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use super::decide::decide;
use super::{StaffChat, StaffChatCommand, StaffChatError, StaffChatEvent};

impl Aggregate for StaffChat {
    const TYPE: &'static str = "StaffChat";
    type Command = StaffChatCommand;
    type Event = StaffChatEvent;
    type Error = StaffChatError;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        _services: &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in decide(self, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        *self = std::mem::take(self).evolve(event);
    }
}
