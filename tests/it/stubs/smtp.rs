//! An SMTP server (RFC 5321, AUTH PLAIN of RFC 4954) that keeps what it is given, and has bad days on request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proof_concierge::config::{MailCarrier, Secret};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const USER: &str = "desk";
const PASSWORD: &str = "a password that only the stub knows";

/// A running server. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct SmtpStub {
    address: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    letters: Vec<Received>,
    days: VecDeque<BadDay>,
}

/// A letter as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// The sender of the envelope.
    pub(crate) from: String,
    /// The recipients of the envelope.
    pub(crate) to: Vec<String>,
    /// Headers and body, with lines that end in CR LF, without the dots of the transfer.
    pub(crate) text: String,
    /// Who logged in.
    pub(crate) user: Option<String>,
}

/// What goes wrong with the next connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BadDay {
    /// The recipient is refused with this code.
    Refuses(u16),
    /// Nothing is said after the letter.
    Silent,
    /// The connection ends in the middle of the letter.
    HangsUp,
}

/// One conversation.
struct Talk {
    stream: BufReader<TcpStream>,
    shared: Arc<Mutex<Shared>>,
    day: Option<BadDay>,
    letter: Received,
}

impl SmtpStub {
    /// Starts a server.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stub = Self { address, shared: Arc::default() };
        let shared = Arc::clone(&stub.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let day = shared.lock().unwrap().days.pop_front();
                let letter = Received::default();
                let talk = Talk { stream: BufReader::new(stream), shared: Arc::clone(&shared), day, letter };
                tokio::spawn(talk.run());
            }
        });
        stub
    }

    /// Settings that lead here, without credentials.
    pub(crate) fn settings(&self) -> MailCarrier {
        settings_at(&self.address)
    }

    /// Settings that lead here, with a password.
    pub(crate) fn settings_with(&self, password: &str) -> MailCarrier {
        settings_at(&format!("{USER}:{}@{}", password.replace(' ', "%20"), self.address))
    }

    /// Settings that lead here, with the password that is good.
    pub(crate) fn settings_with_credentials(&self) -> MailCarrier {
        self.settings_with(PASSWORD)
    }

    /// Spoils the next connection.
    pub(crate) fn spoil(&self, day: BadDay) {
        self.shared.lock().unwrap().days.push_back(day);
    }

    /// The letters that were taken.
    pub(crate) fn letters(&self) -> Vec<Received> {
        self.shared.lock().unwrap().letters.clone()
    }
}

impl Talk {
    async fn run(mut self) -> std::io::Result<()> {
        self.say("220 stub.example ESMTP").await?;
        while let Some(line) = self.hear().await? {
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.say("250-stub.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN").await?,
                "AUTH" => self.log_in(rest).await?,
                "MAIL" => {
                    self.letter.from = between(rest);
                    self.say("250 ok").await?;
                }
                "RCPT" => self.recipient(rest).await?,
                "DATA" if self.letter.to.is_empty() => self.say("503 no recipient").await?,
                "DATA" => match self.data().await? {
                    Next::Goes => {}
                    Next::Ends => return Ok(()),
                },
                "RSET" => {
                    self.letter = Received { user: self.letter.user.take(), ..Received::default() };
                    self.say("250 ok").await?;
                }
                "NOOP" => self.say("250 ok").await?,
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("502 what?").await?,
            }
        }
        Ok(())
    }

    async fn log_in(&mut self, rest: &str) -> std::io::Result<()> {
        let Some(proof) = rest.strip_prefix("PLAIN ") else { return self.say("504 only PLAIN").await };
        let said = STANDARD.decode(proof).unwrap_or_default();
        if said != format!("\0{USER}\0{PASSWORD}").as_bytes() {
            return self.say("535 5.7.8 no").await;
        }
        self.letter.user = Some(USER.to_owned());
        self.say("235 2.7.0 welcome").await
    }

    async fn recipient(&mut self, rest: &str) -> std::io::Result<()> {
        let address = between(rest);
        if let Some(BadDay::Refuses(code)) = self.day {
            return self.say(&format!("{code} not <{address}>")).await;
        }
        self.letter.to.push(address);
        self.say("250 ok").await
    }

    async fn data(&mut self) -> std::io::Result<Next> {
        self.say("354 go on").await?;
        while let Some(line) = self.hear().await? {
            if let Some(BadDay::HangsUp) = self.day {
                return Ok(Next::Ends);
            }
            if line == "." {
                let letter = std::mem::take(&mut self.letter);
                self.letter.user.clone_from(&letter.user);
                self.shared.lock().unwrap().letters.push(letter);
                if let Some(BadDay::Silent) = self.day {
                    // Hears everything and answers nothing, until the other side gives up.
                    while self.hear().await?.is_some() {}
                    return Ok(Next::Ends);
                }
                self.say("250 taken").await?;
                return Ok(Next::Goes);
            }
            self.letter.text.push_str(line.strip_prefix('.').unwrap_or(&line));
            self.letter.text.push_str("\r\n");
        }
        Ok(Next::Ends)
    }

    async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await
    }

    async fn hear(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        let bytes = self.stream.read_line(&mut line).await?;
        Ok((bytes > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

enum Next {
    Goes,
    Ends,
}

/// Settings that lead to an SMTP server.
pub(crate) fn settings_at(authority: &str) -> MailCarrier {
    MailCarrier {
        smtp_url: Secret::new(format!("smtp://{authority}")),
        from: "Proof Desk <desk@desk.example>".to_owned(),
        timeout_ms: 2_000,
        ..MailCarrier::default()
    }
}

/// What stands between angle brackets.
fn between(text: &str) -> String {
    let inside = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
