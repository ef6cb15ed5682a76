//! A lean WebSocket client: frames are cut by their lengths, answered where the protocol wants it, and never parsed.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::find;

/// What is read at once; grows for a longer frame.
const BUFFER: usize = 2_048;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// The first byte of a frame that is all of a message.
const WHOLE: u8 = 0x80;
const MASKED: u8 = 0x80;
/// A length byte that says that two bytes of length follow, and one that says eight.
const SHORT: u8 = 126;
const LONG: u8 = 127;

/// One open WebSocket.
pub(crate) struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How much of the buffer was handed out.
    used: usize,
}

impl Socket {
    /// Opens a socket. `source` picks one of the addresses 127.0.0.x, because one address has too few ports for many
    /// thousands and servers count sockets per address.
    pub(crate) async fn open(address: SocketAddr, source: u8, path: &str) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, source)), 0).into())?;
        let mut stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let hello = format!(
            "GET {path} HTTP/1.1\r\nhost: desk\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(hello.as_bytes()).await?;
        let mut buffer = Vec::with_capacity(BUFFER);
        let used = loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        if !buffer.starts_with(b"HTTP/1.1 101") {
            return Err(io::Error::other(String::from_utf8_lossy(&buffer).into_owned()));
        }
        Ok(Self { stream, buffer, used })
    }

    /// Sends a text.
    pub(crate) async fn say(&mut self, text: &str) -> io::Result<()> {
        self.write(TEXT, text.as_bytes()).await
    }

    /// The socket itself, between two frames.
    pub(crate) fn into_std(self) -> io::Result<std::net::TcpStream> {
        assert_eq!(self.used, self.buffer.len(), "something came after the last frame");
        self.stream.into_std()
    }

    /// The next text. Pings are answered on the way.
    pub(crate) async fn hear(&mut self) -> io::Result<&str> {
        loop {
            let (code, begin, end) = self.frame().await?;
            self.used = end;
            match code {
                TEXT => {
                    let text = std::str::from_utf8(&self.buffer[begin..end]);
                    return text.map_err(|_| ErrorKind::InvalidData.into());
                }
                PING => {
                    let payload = self.buffer[begin..end].to_vec();
                    self.write(PONG, &payload).await?;
                }
                CLOSE => return Err(io::Error::other(format!("closed: {:?}", &self.buffer[begin..end]))),
                _ => {}
            }
        }
    }

    /// Reads until a whole frame is there: its code, where its payload begins, and where it ends.
    async fn frame(&mut self) -> io::Result<(u8, usize, usize)> {
        loop {
            if let Some((begin, length)) = header(&self.buffer[self.used..]) {
                let (begin, end) = (self.used + begin, self.used + begin + length);
                if end <= self.buffer.len() {
                    return Ok((self.buffer[self.used] & 0x0f, begin, end));
                }
            }
            self.buffer.drain(..self.used);
            self.used = 0;
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Writes one frame. Clients must mask; a key of zeros leaves the payload as it is.
    async fn write(&mut self, code: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![WHOLE | code];
        if let Ok(length @ ..SHORT) = u8::try_from(payload.len()) {
            frame.push(MASKED | length);
        } else {
            let length = u16::try_from(payload.len()).map_err(|_| ErrorKind::InvalidInput)?;
            frame.push(MASKED | SHORT);
            frame.extend(length.to_be_bytes());
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).await
    }
}

/// Where the payload of a server's frame begins, and its length, once the header is there.
pub(crate) fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? {
        &SHORT => Some((4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)))),
        &LONG => Some((10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?)),
        length => Some((2, usize::from(*length))),
    }
}
