//! Signals between nodes over core NATS: hints and ephemeral news. Best effort; whoever misses one looks by itself.
//! A signal without a seal is passed over.

use async_nats::{HeaderMap, Message, Subscriber};
use futures_util::{FutureExt, StreamExt};
use metrics::counter;

use super::seal::{SEAL, Seal};
use super::subscription::header;
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
    seal: Seal,
    prefix_length: usize,
}

impl Bus {
    /// Tells all nodes something, at once or not at all: never waits, drops the signal while NATS is away.
    pub fn publish_signal(&self, subject: &str, body: Vec<u8>) {
        if self.is_up() {
            let subject = self.signal_subject(subject);
            let mut headers = HeaderMap::new();
            headers.insert(SEAL, self.seal.of(&[subject.as_bytes(), &body]));
            // Sending only queues; if that is not possible at once, the signal is lost, as signals may be.
            let _ = self.client.publish_with_headers(subject, headers, body.into()).now_or_never();
        }
    }

    /// Listens to a subject (`*` and `>` match as in NATS), now and after every reconnect.
    pub async fn subscribe_signal(&self, subject: &str) -> Result<Signals, BusError> {
        let answer = self.client.subscribe(self.signal_subject(subject)).await;
        let subscriber = answer.map_err(|error| BusError::failed("subscribe to a signal")(error.into()))?;
        Ok(Signals { subscriber, seal: self.seal.clone(), prefix_length: self.signal_subject("").len() })
    }

    fn signal_subject(&self, subject: &str) -> String {
        format!("{}.signals.{subject}", self.prefix)
    }
}

impl Signals {
    /// The next signal; `None` once the connection was closed for good.
    pub async fn next(&mut self) -> Option<Signal> {
        let message = loop {
            let message = self.subscriber.next().await?;
            if self.is_ours(&message) {
                break message;
            }
            counter!("bus_forged_signals_total").increment(1);
        };
        let subject = message.subject.get(self.prefix_length..).unwrap_or_default().to_owned();
        Some(Signal { subject, body: message.payload.into() })
    }

    fn is_ours(&self, message: &Message) -> bool {
        let seal = header(message.headers.as_ref(), SEAL);
        self.seal.verifies(&[message.subject.as_bytes(), &message.payload], seal)
    }
}
