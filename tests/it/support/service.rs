//! `concierge serve` as a process of its own, to be stopped in good order or killed.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proof_concierge::config::Config;
use serde_json::json;

use super::app::Client;
use super::desk::PASSWORD;
use super::eventually::eventually;
use super::servers::scratch;

/// How long a start or a stop may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_concierge");

/// What a node can do, as the settings name it.
const ROLES: [&str; 4] = ["API", "RELAY", "PROJECTOR", "REACTIONS"];

/// A node in a process of its own. It is killed with this value.
pub(crate) struct Service {
    client: Client,
    child: Child,
    log: PathBuf,
}

impl Drop for Service {
    fn drop(&mut self) {
        // Either call fails only when the process has ended and was waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Service {
    /// Starts a node with some roles, and waits until it serves.
    pub(crate) async fn start(config: &Config, roles: &[&str]) -> Self {
        let log = scratch("service");
        let mut command = Command::new(PROGRAM);
        configure(&mut command, config);
        command.arg("serve").env("CONCIERGE_LISTEN", "127.0.0.1:0");
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        for role in ROLES {
            command.env(format!("CONCIERGE_ROLES__{role}"), roles.contains(&role).to_string());
        }
        let mut child = command.spawn().unwrap();
        let look = async || (child.try_wait().unwrap(), fs::read_to_string(&log).unwrap());
        let is_serving = |(ended, text): &(_, String)| Option::is_some(ended) || text.contains("Serving on ");
        let (_, text) = eventually(LIMIT, look, is_serving).await;
        let serving = text.split_once("Serving on ").unwrap_or_else(|| panic!("the node ended: {text}")).1;
        let address = serving.split_whitespace().next().unwrap();
        Self { client: Client::new(&format!("http://{address}")), child, log }
    }

    /// Starts a node that does everything.
    pub(crate) async fn whole(config: &Config) -> Self {
        Self::start(config, &ROLES).await
    }

    /// Nobody, calling this node.
    pub(crate) fn anonymous(&self) -> Client {
        self.client.clone()
    }

    /// A staff member who logs in; [`super::desk::people`] makes the accounts.
    pub(crate) async fn staff(&self, username: &str) -> Client {
        let credentials = json!({ "username": username, "password": PASSWORD });
        let answer = self.client.post("/api/v1/auth/login", &credentials).await.expect(201);
        self.client.with_token(answer.at("/access_token").as_str().unwrap())
    }

    /// What the node has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Asks the node to stop as a supervisor does, and insists that it does so in good order.
    pub(crate) async fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let ended = eventually(LIMIT, async || self.child.try_wait().unwrap(), Option::is_some).await;
        assert!(ended.unwrap().success(), "{}", self.log());
    }
}

/// Gives a program the settings of a node, without limits, and nothing of this process's own.
pub(crate) fn configure(program: &mut Command, config: &Config) {
    program
        .env_clear()
        .env("DATABASE_URL", config.database_url.expose())
        .env("NATS_URL", config.nats_url.expose())
        .env("JWT_SECRET", config.jwt_secret.expose())
        .env("CONCIERGE_MASTER_KEY", config.master_key.expose())
        .env("CONCIERGE_NATS_PREFIX", &config.nats_prefix)
        .env("CONCIERGE_READ_YOUR_WRITES_MS", config.read_your_writes_ms.to_string())
        .env("CONCIERGE_DRAIN_SECONDS", "0")
        .env("CONCIERGE_LIMITS__LOGIN_PER_MINUTE", "0")
        .env("CONCIERGE_LIMITS__OPEN_PER_MINUTE", "0")
        .env("CONCIERGE_LIMITS__DONOR_PER_MINUTE", "0")
        .stdin(Stdio::null());
}
