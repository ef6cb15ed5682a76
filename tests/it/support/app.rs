//! A client that shows the whole answer when it is not the expected one.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// Speaks JSON to one server, perhaps as somebody.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base_url: String,
    bearer: Option<String>,
}

impl Client {
    /// A client without credentials. Paths are appended to `base_url` as they are.
    pub(crate) fn new(base_url: &str) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, base_url: base_url.trim_end_matches('/').to_owned(), bearer: None }
    }

    /// The same client with a token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self.clone() }
    }

    /// The address that paths are appended to.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The token it shows. Panics when it has none.
    #[track_caller]
    pub(crate) fn token(&self) -> &str {
        self.bearer.as_deref().expect("somebody with a token")
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Posts a body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Patches with a body.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// A request to be completed by the test, for headers and bodies that the other methods do not send.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        match &self.bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request. Panics when there is no answer at all.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let asked = format!("{} {}", request.method(), request.url());
        let response = self.http.execute(request).await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { asked, status, headers, body }
    }
}

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    asked: String,
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, as a JSON string when it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// Insists on a status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}, but {self}");
        self
    }

    /// The value at a JSON pointer such as `/data/id`. Panics when there is none.
    #[track_caller]
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or_else(|| panic!("expected a value at {pointer}, but {self}"))
    }

    /// A header's text. Panics when it is missing.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("expected a header {name}, but {self}"));
        value.to_str().unwrap()
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {} {:#?}\n{:#}", self.asked, self.status, self.headers, self.body)
    }
}

/// Serves one route that tells what it was asked.
async fn serve_echo() -> Client {
    async fn echo(method: axum::http::Method, headers: axum::http::HeaderMap, body: String) -> axum::Json<Value> {
        let token = headers.get("authorization").map(|value| value.to_str().unwrap());
        axum::Json(serde_json::json!({ "method": method.as_str(), "token": token, "body": body }))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()));
    let routes = axum::Router::new().route("/echo", axum::routing::any(echo));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    client
}

#[tokio::test]
async fn a_client_sends_its_token_and_a_body() {
    let client = serve_echo().await;
    assert_eq!(*client.get("/echo").await.expect(200).at("/token"), Value::Null);
    let staff = client.with_token("secret");
    let answer = staff.patch("/echo", &serde_json::json!({ "a": 1 })).await.expect(200);
    assert_eq!((answer.at("/method"), answer.at("/token")), (&"PATCH".into(), &"Bearer secret".into()));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(*staff.post("/echo", &Value::Null).await.at("/body"), "null");
}

#[tokio::test]
#[should_panic(expected = "expected 201, but GET http://127.0.0.1")]
async fn an_unexpected_status_shows_the_answer() {
    serve_echo().await.get("/echo").await.expect(201);
}
