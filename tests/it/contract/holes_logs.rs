//! What the service writes about itself, with everything switched on that can be. The number is that of [`super::holes`].

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aggregates::people::Role;
use proof_concierge::accounts::{Accounts, seed};
use proof_concierge::config::Config;
use proof_concierge::database::{self, Purpose};
use reqwest::Method;
use serde_json::json;

use crate::support::app::Client;
use crate::support::database::database;
use crate::support::desk::{PASSWORD, query_of};
use crate::support::eventually::eventually;
use crate::support::node;
use crate::support::servers::scratch;

/// The real program, writing its log lines to a file.
struct Program {
    child: Child,
    client: Client,
    lines: PathBuf,
}

impl Program {
    async fn start(config: &Config) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let lines = scratch("lines");
        let child = Command::new(env!("CARGO_BIN_EXE_concierge"))
            .arg("serve")
            .env("CONCIERGE_LISTEN", address.to_string())
            .env("DATABASE_URL", config.database_url.expose())
            .env("NATS_URL", config.nats_url.expose())
            .env("JWT_SECRET", config.jwt_secret.expose())
            .env("CONCIERGE_MASTER_KEY", config.master_key.expose())
            .env("CONCIERGE_NATS_PREFIX", &config.nats_prefix)
            .env("CONCIERGE_LOG_FILTER", "debug,proof_concierge=trace")
            .stdout(Stdio::null())
            .stderr(File::create(&lines).unwrap())
            .spawn()
            .unwrap();
        let program = Self { child, client: Client::new(&format!("http://{address}")), lines };
        let listens = async || std::net::TcpStream::connect(address).is_ok();
        eventually(Duration::from_secs(30), listens, |listens| *listens).await;
        let is_ready = async || program.client.get("/health/ready").await.status == 200;
        eventually(Duration::from_secs(30), is_ready, |is_ready| *is_ready).await;
        program
    }

    fn written(&self) -> String {
        std::fs::read_to_string(&self.lines).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// S14: tokens, passwords, push tokens and what people wrote stood in the log.
#[tokio::test]
async fn no_secret_and_no_word_of_anybody_is_in_the_log() {
    let database = database().await;
    let config = node::config(&database);
    let pool = database::pool(&config.database_url, Purpose::Read, 2).unwrap();
    let accounts = Accounts::open(pool, &config.jwt_secret).await.unwrap();
    seed(&accounts, &[("ada", "Ada", Role::SuperAdmin, PASSWORD)]).await.unwrap();
    let program = Program::start(&config).await;
    let nobody = &program.client;

    let credentials = json!({ "username": "ada", "password": PASSWORD });
    let logged_in = nobody.post("/api/v1/auth/login?password=in+the+address", &credentials).await.expect(201);
    nobody.post("/api/v1/auth/login", &json!({ "username": "ada", "password": "a wrong password" })).await.expect(401);
    let staff_token = logged_in.at("/access_token").as_str().unwrap().to_owned();
    let mut query = query_of("d-1");
    query["fcmToken"] = json!("a-push-token-for-tests:17");
    let opened = nobody.post("/api/v1/donor-queries", &query).await.expect(201);
    let donor_token = opened.at("/data/donorToken").as_str().unwrap().to_owned();
    let (ada, donor) = (nobody.with_token(&staff_token), nobody.with_token(&donor_token));
    let id = opened.at("/data/id").as_i64().unwrap();
    let said = json!({ "content": "The cuff bit my arm" });
    donor.post(&format!("/api/v1/messages/donor/{id}"), &said).await.expect(201);
    let device = ada.request(Method::PUT, "/api/v1/users/me/fcm-token");
    ada.send(device.json(&json!({ "fcmToken": "a-push-token-of-staff:17" }))).await.expect(200);
    let begun = ada.post(&format!("/api/v1/communication/call/{id}"), &json!({})).await.expect(201);
    let joined = donor.get(&format!("/api/v1/communication/call/{id}/active-call")).await.expect(200);
    let words = json!({ "currentPassword": PASSWORD, "newPassword": "a password that is new" });
    ada.send(ada.request(Method::PUT, "/api/v1/users/me/password").json(&words)).await.expect(200);
    nobody.with_token(&staff_token).get("/api/v1/users/me").await.expect(401);

    let log = program.written();
    assert!(log.contains("Serving on") && log.contains("DEBUG"), "{log}");
    let meeting = |answer: &crate::support::app::Answer, at: &str| answer.at(at).as_str().unwrap().to_owned();
    for secret in [
        &staff_token,
        &donor_token,
        &meeting(&begun, "/data/adminToken"),
        &meeting(&joined, "/data/userToken"),
        PASSWORD,
        "in+the+address",
        "a wrong password",
        "a password that is new",
        "argon2id",
        "a-push-token",
        "The cuff bit my arm",
        "Where does the sample go?",
        "Dora Donor",
        config.jwt_secret.expose(),
        config.master_key.expose(),
        config.database_url.expose(),
        config.nats_url.expose(),
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
}
