//! Donors and staff as HTTP clients that cost next to nothing: the generator shares the machine with what it measures.
//!
//! One kept connection per client, requests rendered by hand into one buffer, answers found by their markers instead of
//! parsed: a system call to write, one to read, and no allocation once the buffers have grown.

use std::fmt::{Arguments, Display, Write as _};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What most answers fit in.
const BUFFER: usize = 16 * 1_024;

static NEXT_DONOR: AtomicU64 = AtomicU64::new(1);

/// One client of one desk, with a connection of its own. A connection that breaks costs one failed request.
pub(crate) struct Client {
    address: SocketAddr,
    socket: Option<TcpStream>,
    request: Vec<u8>,
    response: Vec<u8>,
    body: String,
    /// A header line for commands, with its line end.
    preference: &'static str,
}

/// A query and the token of the donor who opened it.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) id: i64,
    pub(crate) donor_token: String,
}

/// What was answered.
pub(crate) struct Answer<'a> {
    /// 0 if there was no answer.
    pub(crate) status: u16,
    pub(crate) body: &'a str,
}

impl Answer<'_> {
    /// The text of a JSON member, found by its name alone; `None` if it is not there.
    fn text(&self, name: &str) -> Option<&str> {
        let marker = format!("\"{name}\":\"");
        let begin = self.body.find(&marker)? + marker.len();
        self.body[begin..].split('"').next()
    }

    /// The first `"id"` in the answer's `data`.
    fn id(&self) -> Option<i64> {
        let data = &self.body[self.body.find("\"data\":{")?..];
        let digits = &data[data.find("\"id\":")? + "\"id\":".len()..];
        digits.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            socket: None,
            request: Vec::with_capacity(2_048),
            response: Vec::with_capacity(BUFFER),
            body: String::new(),
            preference: "",
        }
    }

    /// Asks for answers that do not wait for the read models.
    pub(crate) fn respond_async(&mut self) {
        self.preference = "prefer: respond-async\r\n";
    }

    /// Connects now, so that the first request costs what the others cost.
    pub(crate) async fn connect(&mut self) -> io::Result<()> {
        let socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        self.socket = Some(socket);
        Ok(())
    }

    /// One request and its answer.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: impl Display,
        token: Option<&str>,
        body: Option<Arguments<'_>>,
    ) -> Answer<'_> {
        self.render(method, &path, token, body);
        if let Ok((status, head)) = self.exchange().await {
            let body = std::str::from_utf8(&self.response[head..]).expect("answers are UTF-8");
            return Answer { status, body };
        }
        self.socket = None;
        Answer { status: 0, body: "" }
    }

    fn render(&mut self, method: &str, path: &dyn Display, token: Option<&str>, body: Option<Arguments<'_>>) {
        use io::Write as _;
        let out = &mut self.request;
        out.clear();
        let written = (|| {
            write!(out, "{method} {path} HTTP/1.1\r\nhost: desk\r\n{}", self.preference)?;
            if let Some(token) = token {
                write!(out, "authorization: Bearer {token}\r\n")?;
            }
            match body {
                None => write!(out, "\r\n"),
                Some(body) => {
                    self.body.clear();
                    self.body.write_fmt(body).expect("a string takes all");
                    let length = self.body.len();
                    write!(out, "content-type: application/json\r\ncontent-length: {length}\r\n\r\n{}", self.body)
                }
            }
        })();
        written.expect("a vector takes all");
    }

    /// Sends what is rendered; the status, and where the body begins in the response.
    async fn exchange(&mut self) -> io::Result<(u16, usize)> {
        if self.socket.is_none() {
            self.connect().await?;
        }
        let socket = self.socket.as_mut().ok_or(ErrorKind::NotConnected)?;
        socket.write_all(&self.request).await?;
        self.response.clear();
        let head = loop {
            if socket.read_buf(&mut self.response).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = find(&self.response, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let (status, length) = parse(&self.response[..head]).ok_or(ErrorKind::InvalidData)?;
        self.response.reserve((head + length).saturating_sub(self.response.len()));
        while self.response.len() < head + length {
            if socket.read_buf(&mut self.response).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok((status, head))
    }

    pub(crate) async fn log_in(&mut self, username: &str, password: &str) -> String {
        let body = format_args!(r#"{{"username":"{username}","password":"{password}"}}"#);
        let answer = self.send("POST", "/api/v1/auth/login", None, Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("access_token").expect("a token").to_owned()
    }

    /// Opens a query of a donor nobody has met; its id and the donor's token, which the caller may not need.
    pub(crate) async fn open(&mut self) -> Option<Opened> {
        let answer = self.send_opening().await;
        (answer.status == 201).then(|| Opened {
            id: answer.id().expect("an id"),
            donor_token: answer.text("donorToken").expect("a token").to_owned(),
        })
    }

    /// Opens a query and looks at the status alone. 202 is what those are told who do not wait.
    pub(crate) async fn opens(&mut self) -> bool {
        let wanted = if self.preference.is_empty() { 201 } else { 202 };
        self.send_opening().await.status == wanted
    }

    async fn send_opening(&mut self) -> Answer<'_> {
        let (donor, run) = (NEXT_DONOR.fetch_add(1, Ordering::Relaxed), std::process::id());
        let body = format_args!(
            r#"{{"donor":"Donor {donor}","donorId":"load-{run}-{donor}","test":"Blood pressure","stage":"Second reading","device":"Cuff 3"}}"#
        );
        self.send("POST", "/api/v1/donor-queries", None, Some(body)).await
    }

    /// Whether the relay has nothing left to publish.
    pub(crate) async fn is_all_relayed(&mut self) -> bool {
        let metrics = self.send("GET", "/metrics", None, None).await;
        metrics.body.lines().any(|line| line == "relay_lag_events 0")
    }

    pub(crate) async fn say(&mut self, query: i64, token: &str, content: Arguments<'_>) -> bool {
        let body = format_args!(r#"{{"content":"{content}","messageType":"CHAT"}}"#);
        let path = format_args!("/api/v1/messages/donor/{query}");
        self.send("POST", path, Some(token), Some(body)).await.status == 201
    }

    pub(crate) async fn accept(&mut self, query: i64, token: &str) -> bool {
        let path = format_args!("/api/v1/donor-queries/{query}/accept");
        self.send("PATCH", path, Some(token), None).await.status == 200
    }

    pub(crate) async fn resolve(&mut self, query: i64, token: &str) -> bool {
        let path = format_args!("/api/v1/donor-queries/{query}/resolve");
        self.send("PATCH", path, Some(token), None).await.status == 200
    }

    pub(crate) async fn get(&mut self, path: impl Display, token: &str) -> bool {
        self.send("GET", path, Some(token), None).await.status == 200
    }
}

/// Status and length of the body. The desk always says how long it is.
fn parse(head: &[u8]) -> Option<(u16, usize)> {
    let head = std::str::from_utf8(head).ok()?;
    let status: u16 = head.get(9..12)?.parse().ok()?;
    let mut lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    match length {
        Some((_, length)) => Some((status, length.trim().parse().ok()?)),
        None => (status == 204).then_some((status, 0)),
    }
}

/// Where some bytes are found first.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
