//! A live subscription to the stream that would rather end than stall.
//!
//! The library's own ordered consumer waits a minute after a server restart, so this one is a plain push consumer without
//! acknowledgments: it ends at the first error, at a reconnect and after two seconds without a sign of life, and its owner
//! opens another.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use async_nats::{Client, HeaderMap, Message, StatusCode, Subscriber};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::{Bus, BusError, Link};

/// How often an idle server says that it is there.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long a subscription waits for a fact or a heartbeat before it ends.
const SILENCE: Duration = Duration::from_secs(2);

/// Messages of the stream as they are published, until something goes wrong.
pub(super) struct Subscription {
    client: Client,
    subscriber: Subscriber,
    link: watch::Receiver<Link>,
    silence: Pin<Box<Sleep>>,
    is_over: bool,
}

impl Bus {
    /// Subscribes to the facts that are published from now on.
    ///
    /// # Errors
    /// [`BusError::Mismatch`] if the server understood the request differently.
    pub(super) async fn subscribe_to_facts(&self) -> Result<Subscription, BusError> {
        self.require_up()?;
        let mut link = self.link();
        link.mark_unchanged();
        let failed = BusError::failed("open a feed");
        let inbox = self.client.new_inbox();
        let subscriber = self.client.subscribe(inbox.clone()).await.map_err(|error| failed(error.into()))?;
        let config = push::Config {
            deliver_subject: inbox,
            deliver_policy: DeliverPolicy::New,
            ack_policy: AckPolicy::None,
            max_deliver: 1,
            filter_subject: self.subjects(),
            flow_control: true,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: Duration::from_secs(30),
            memory_storage: true,
            num_replicas: 1,
            ..push::Config::default()
        };
        let consumer = self.context.create_consumer_on_stream(config.clone(), self.stream_name()).await;
        let consumer = consumer.map_err(|error| failed(error.into()))?;
        let info = consumer.cached_info();
        let found = &info.config;
        let same = |field, wanted: String, found: String| super::require_same(&info.name, field, wanted, found);
        same("filter_subject", config.filter_subject, found.filter_subject.clone())?;
        same("deliver_policy", format!("{:?}", config.deliver_policy), format!("{:?}", found.deliver_policy))?;
        same("idle_heartbeat", format!("{HEARTBEAT:?}"), format!("{:?}", found.idle_heartbeat))?;
        same("flow_control", config.flow_control.to_string(), found.flow_control.to_string())?;
        let silence = Box::pin(tokio::time::sleep(SILENCE));
        Ok(Subscription { client: self.client.clone(), subscriber, link, silence, is_over: false })
    }
}

impl Subscription {
    /// The next message; `None` when the subscription is over. Can be dropped and called again without losing anything.
    pub(super) async fn next(&mut self) -> Option<Message> {
        while !self.is_over {
            let message = tokio::select! {
                biased;
                message = self.subscriber.next() => message?,
                _ = self.link.changed() => return None,
                () = &mut self.silence => return None,
            };
            self.silence.as_mut().reset(Instant::now() + SILENCE);
            if let ControlFlow::Break(message) = self.hear(message) {
                return message;
            }
        }
        None
    }

    /// The next message if it has arrived already.
    pub(super) fn next_now(&mut self) -> Option<Message> {
        loop {
            let message = self.subscriber.next().now_or_never()??;
            if let ControlFlow::Break(message) = self.hear(message) {
                return message;
            }
        }
    }

    /// Goes on over the server's bookkeeping; stops at a message of the stream, or without one at the end.
    fn hear(&mut self, message: Message) -> ControlFlow<Option<Message>> {
        match message.status {
            None => ControlFlow::Break(Some(message)),
            Some(StatusCode::IDLE_HEARTBEAT) => {
                self.let_flow(&message);
                ControlFlow::Continue(())
            }
            Some(_) => {
                self.is_over = true;
                ControlFlow::Break(None)
            }
        }
    }

    /// Tells the server that everything up to here was taken: it asks with a reply subject, or, if the question got lost,
    /// with a header of its next heartbeat.
    fn let_flow(&self, message: &Message) {
        let stalled = header(message.headers.as_ref(), "Nats-Consumer-Stalled").map(Into::into);
        if let Some(subject) = message.reply.clone().or(stalled) {
            // If the client's queue is full the server asks again.
            let _ = self.client.publish(subject, "".into()).now_or_never();
        }
    }
}

pub(super) fn header<'a>(headers: Option<&'a HeaderMap>, name: &str) -> Option<&'a str> {
    headers?.get(name).map(async_nats::HeaderValue::as_str)
}
