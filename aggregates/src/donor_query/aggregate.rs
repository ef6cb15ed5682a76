//! The donor query behind cqrs-es's trait, so that its test framework and store traits work on it.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use super::decide::decide;
use super::{DonorQuery, DonorQueryCommand, DonorQueryError, DonorQueryEvent};

impl Aggregate for DonorQuery {
    const TYPE: &'static str = "DonorQuery";
    type Command = DonorQueryCommand;
    type Event = DonorQueryEvent;
    type Error = DonorQueryError;
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
