//! Signals between nodes over core NATS: hints and ephemeral news. Best effort; whoever misses one looks by itself.

use async_nats::Subscriber;
use futures_util::{FutureExt, StreamExt};

use super::{Bus, BusError};

/// Something another node (or this one) said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What it is about: the subject without the prefix.
    pub subject: String,
    /// What was said.
    pub body: Vec<u8>,
}

/// Signals as they come, across reconnects.
pub struct Signals {
    subscriber: Subscriber,
    prefix_length: usize,
}

impl Bus {
    /// Tells all nodes something, at once or not at all: never waits, drops the signal while NATS is away.
    pub fn publish_signal(&self, subject: &str, body: Vec<u8>) {
        if self.is_up() {
            // Sending only queues; if that is not possible at once, the signal is lost, as signals may be.
            let _ = self.client.publish(self.signal_subject(subject), body.into()).now_or_never();
        }
    }

    /// Listens to a subject (`*` and `>` match as in NATS), now and after every reconnect.
    pub async fn subscribe_signal(&self, subject: &str) -> Result<Signals, BusError> {
        let answer = self.client.subscribe(self.signal_subject(subject)).await;
        let subscriber = answer.map_err(|error| BusError::failed("subscribe to a signal")(error.into()))?;
        Ok(Signals { subscriber, prefix_length: self.signal_subject("").len() })
    }

    fn signal_subject(&self, subject: &str) -> String {
        format!("{}.signals.{subject}", self.prefix)
    }
}

impl Signals {
    /// The next signal; `None` once the connection was closed for good.
    pub async fn next(&mut self) -> Option<Signal> {
        let message = self.subscriber.next().await?;
        let subject = message.subject.get(self.prefix_length..).unwrap_or_default().to_owned();
        Some(Signal { subject, body: message.payload.into() })
    }
}
