//! The aggregates behind cqrs-es's trait, so that its test framework and store traits work on them.

/// Puts an aggregate behind the trait: its state, the `decide` beside it, and what goes in and comes out of that.
macro_rules! aggregate {
    ($state:ident, $command:ident, $event:ident, $error:ident) => {
        impl cqrs_es::Aggregate for $state {
            const TYPE: &'static str = stringify!($state);
            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                _services: &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in decide::decide(self, command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                *self = std::mem::take(self).evolve(event);
            }
        }
    };
}

pub(crate) use aggregate;
