//! A whole node in this process, on a test's own database, with characters to call it.

use aggregates::people::Role;
use proof_concierge::accounts::{Accounts, seed};
use proof_concierge::app::App;
use proof_concierge::config::{Config, Secret};
use proof_concierge::database::{self, Purpose};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::runtime::Runtime;

use super::app::Client;
use super::database::{TestDatabase, database};
use super::node;

/// The password of every staff member.
pub(crate) const PASSWORD: &str = "a password that only tests use";

/// A running desk.
pub(crate) struct Desk {
    /// The accounts of the node itself: changes bite at once.
    pub(crate) accounts: Accounts,
    client: Client,
    /// Of its own, so that it can be stopped before the database goes: a node that reconnects meanwhile holds that up.
    runtime: Option<Runtime>,
    app: App,
    database: TestDatabase,
}

/// Starts a desk with a super admin (`sue`) and two admins (`ada`, `ben`).
pub(crate) async fn desk() -> Desk {
    desk_with(|_| {}).await
}

/// Starts a desk with another configuration.
pub(crate) async fn desk_with(change: impl FnOnce(&mut Config)) -> Desk {
    let database = database().await;
    let mut config = node::config(&database);
    change(&mut config);
    people(&config).await;
    serve(database, config).await
}

/// Makes the accounts of a super admin (`sue`) and two admins (`ada`, `ben`).
pub(crate) async fn people(config: &Config) {
    let pool = database::pool(&config.database_url, Purpose::Read, 2).unwrap();
    let accounts = Accounts::open(pool, &config.jwt_secret).await.unwrap();
    let people = [
        ("sue", "Sue", Role::SuperAdmin, PASSWORD),
        ("ada", "Ada", Role::Admin, PASSWORD),
        ("ben", "Ben", Role::Admin, PASSWORD),
    ];
    seed(&accounts, &people).await.unwrap();
}

/// Starts a desk on what is in a database already.
pub(crate) async fn serve(database: TestDatabase, config: Config) -> Desk {
    let runtime = Runtime::new().unwrap();
    let app = runtime.spawn(App::start(config)).await.unwrap().unwrap();
    let client = Client::new(&format!("http://{}", app.local_addr()));
    Desk { accounts: app.accounts().clone(), client, runtime: Some(runtime), app, database }
}

impl Desk {
    /// Nobody.
    pub(crate) fn anonymous(&self) -> Client {
        self.client.clone()
    }

    /// A staff member who logs in.
    pub(crate) async fn staff(&self, username: &str) -> Client {
        let credentials = json!({ "username": username, "password": PASSWORD });
        let answer = self.client.post("/api/v1/auth/login", &credentials).await.expect(201);
        self.client.with_token(answer.at("/access_token").as_str().unwrap())
    }

    /// A donor who opens a query, and the query.
    pub(crate) async fn donor(&self, donor_id: &str) -> (Client, i64) {
        let answer = self.client.post("/api/v1/donor-queries", &query_of(donor_id)).await.expect(201);
        let token = answer.at("/data/donorToken").as_str().unwrap();
        (self.client.with_token(token), answer.at("/data/id").as_i64().unwrap())
    }

    /// Where the live feed's sockets are.
    pub(crate) fn socket_url(&self) -> String {
        format!("ws://{}/api/v1/ws", self.app.local_addr())
    }

    /// Connections to its database, as superuser.
    pub(crate) const fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// The address of its database.
    pub(crate) fn database_url(&self) -> Secret {
        Secret::new(&self.database.url)
    }

    /// The id of a staff account.
    pub(crate) fn id_of(&self, username: &str) -> i64 {
        let users = self.accounts.list();
        users.values().find(|user| user.username == username).unwrap().id.get()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a donor says who opens a query.
pub(crate) fn query_of(donor_id: &str) -> Value {
    json!({
        "donor": "Dora Donor",
        "donorId": donor_id,
        "test": "Cheek swab",
        "stage": "Collection",
        "device": "iPhone 15",
        "content": "Where does the sample go?",
    })
}
