//! Donors and staff as HTTP clients.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

static NEXT_DONOR: AtomicU64 = AtomicU64::new(1);

/// Speaks HTTP with one desk.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

/// A query and the token of the donor who opened it.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) id: i64,
    pub(crate) donor_token: String,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).pool_max_idle_per_host(1_024).build();
        Self { http: http.unwrap(), base: base.to_owned() }
    }

    /// One request; the status, and the body as JSON if it is.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        match request.send().await {
            Ok(response) => {
                let status = response.status();
                (status, response.json().await.unwrap_or(Value::Null))
            }
            Err(_) => (StatusCode::BAD_GATEWAY, Value::Null),
        }
    }

    pub(crate) async fn log_in(&self, username: &str, password: &str) -> String {
        let body = json!({"username": username, "password": password});
        let (status, answer) = self.send(Method::POST, "/api/v1/auth/login", None, Some(&body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Opens a query of a donor nobody has met.
    pub(crate) async fn open(&self) -> Option<Opened> {
        let donor = NEXT_DONOR.fetch_add(1, Ordering::Relaxed);
        let body = json!({
            "donor": format!("Donor {donor}"), "donorId": format!("load-{}-{donor}", std::process::id()),
            "test": "Blood pressure", "stage": "Second reading", "device": "Cuff 3",
        });
        let (status, answer) = self.send(Method::POST, "/api/v1/donor-queries", None, Some(&body)).await;
        (status == StatusCode::CREATED).then(|| Opened {
            id: answer["data"]["id"].as_i64().unwrap(),
            donor_token: answer["data"]["donorToken"].as_str().unwrap().to_owned(),
        })
    }

    pub(crate) async fn say(&self, query: i64, token: &str, content: &str) -> bool {
        let body = json!({"content": content, "messageType": "CHAT"});
        let path = format!("/api/v1/messages/donor/{query}");
        self.send(Method::POST, &path, Some(token), Some(&body)).await.0 == StatusCode::CREATED
    }

    pub(crate) async fn accept(&self, query: i64, token: &str) -> bool {
        let path = format!("/api/v1/donor-queries/{query}/accept");
        self.send(Method::PATCH, &path, Some(token), None).await.0 == StatusCode::OK
    }

    pub(crate) async fn resolve(&self, query: i64, token: &str) -> bool {
        let path = format!("/api/v1/donor-queries/{query}/resolve");
        self.send(Method::PATCH, &path, Some(token), None).await.0 == StatusCode::OK
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> bool {
        self.send(Method::GET, path, Some(token), None).await.0 == StatusCode::OK
    }
}
