//! Many sockets heard by one thread, for as little as the system takes: a reader that is slower than what it measures
//! would measure itself.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

/// How many sockets are asked for at a time, and how many bytes are read from one at once.
const EVENTS: usize = 1_024;
const BYTES: usize = 4_096;

/// When each message came, by its turn.
pub(crate) type Heard = Vec<Option<Instant>>;

/// What begins some bytes: how long it is, and which turn it tells, if any.
pub(crate) struct Told {
    pub(crate) length: usize,
    pub(crate) turn: Option<usize>,
}

struct Ear {
    stream: mio::net::TcpStream,
    /// What came of something that is not complete.
    begun: Vec<u8>,
    heard: Heard,
}

/// Hears until every socket told the last turn, or none tells anything for a while. `cut` finds out what bytes begin with,
/// from them and how many turns the socket told before; `None` if the end is missing.
pub(crate) fn hear(
    sockets: Vec<TcpStream>,
    turns: usize,
    patience: Duration,
    cut: impl Fn(&[u8], usize) -> Option<Told>,
) -> Vec<Heard> {
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(EVENTS));
    let ear = |(number, socket)| {
        let mut stream = mio::net::TcpStream::from_std(socket);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE).unwrap();
        Ear { stream, begun: Vec::new(), heard: vec![None; turns] }
    };
    let mut ears: Vec<Ear> = sockets.into_iter().enumerate().map(ear).collect();
    let mut left = ears.len();
    while left > 0 {
        poll.poll(&mut events, Some(patience)).unwrap();
        if events.is_empty() {
            break;
        }
        for event in &events {
            let ear = &mut ears[event.token().0];
            let was_done = ear.is_done();
            ear.read(&cut);
            left -= usize::from(ear.is_done() && !was_done);
        }
    }
    ears.into_iter().map(|ear| ear.heard).collect()
}

impl Ear {
    fn is_done(&self) -> bool {
        self.heard.last().is_none_or(Option::is_some)
    }

    /// Reads what is there. A read that fills less than its buffer took all of it, and the next bytes are told anew.
    fn read(&mut self, cut: impl Fn(&[u8], usize) -> Option<Told>) {
        let mut bytes = [0; BYTES];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    assert!(self.is_done(), "a listener was closed");
                    return;
                }
                Ok(length) => {
                    self.take(&bytes[..length], Instant::now(), &cut);
                    if length < BYTES {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], at: Instant, cut: impl Fn(&[u8], usize) -> Option<Told>) {
        let whole = if self.begun.is_empty() {
            bytes
        } else {
            self.begun.extend(bytes);
            &std::mem::take(&mut self.begun)
        };
        let mut rest = whole;
        let mut told = self.heard.iter().flatten().count();
        while let Some(Told { length, turn }) = cut(rest, told) {
            if let Some(turn) = turn {
                told += usize::from(self.heard[turn].replace(at).is_none());
            }
            rest = &rest[length..];
        }
        self.begun = rest.to_vec();
    }
}
