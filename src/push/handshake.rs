//! How a request becomes a WebSocket: with the socket itself in hand, which the extractor of `axum` does not give away.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::Request;
use axum::http::request::Parts;
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::error;

use super::error::PushError;
use super::wire::{Aside, Wire, wire};

/// A WebSocket that speaks.
pub(super) type Socket = WebSocketStream<Wire>;

/// Both ends of one.
pub(super) type Ends = (Socket, Arc<Aside>);

/// A request to speak WebSocket.
pub(super) struct Handshake {
    response: Response,
    upgrade: OnUpgrade,
}

impl<S: Sync> FromRequestParts<S> for Handshake {
    type Rejection = PushError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PushError> {
        let refused = PushError::Invalid("this route speaks WebSocket");
        let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| refused.clone())?;
        let mut request = Request::new(());
        *request.method_mut() = parts.method.clone();
        *request.version_mut() = parts.version;
        *request.headers_mut() = parts.headers.clone();
        let response = create_response(&request).map_err(|_| refused)?;
        Ok(Self { response: response.map(|()| Body::empty()), upgrade })
    }
}

impl Handshake {
    /// The answer that accepts it, and, once that is sent, both ends of the socket.
    pub(super) fn accept(self, config: WebSocketConfig) -> (Response, impl Future<Output = io::Result<Ends>> + Send) {
        let upgraded = async move {
            let upgraded = self.upgrade.await.map_err(io::Error::other)?;
            let parts = upgraded.downcast::<TokioIo<TcpStream>>();
            let parts = parts.map_err(|_| {
                error!("A WebSocket cannot be served: its connection is not one of this server's own");
                io::Error::other("not a connection of this server")
            })?;
            let (wire, aside) = wire(parts.io.into_inner());
            let begun = parts.read_buf.to_vec();
            let socket = WebSocketStream::from_partially_read(wire, begun, Role::Server, Some(config)).await;
            Ok((socket, aside))
        };
        (self.response, upgraded)
    }
}
