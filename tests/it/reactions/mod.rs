//! What happens outside the desk: planned once, carried at least once, and never again by a replay.

mod carrying;
mod planning;
mod rest;
mod timers;

use std::time::Duration;

use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::{DonorId, MessageId, QueryId};
use aggregates::people::{Actor, Role, Staff};
use aggregates::personal::Personal;
use aggregates::recorded::{Event, Metadata, StreamId};
use aggregates::staff_chat::StaffChatCommand;
use aggregates::testing::{NOON, accepted_by};
use aggregates::vocabulary::MessageType;
use proof_concierge::accounts::devices::{DeviceKind, Devices};
use proof_concierge::accounts::{Accounts, NewUser};
use proof_concierge::app::App;
use proof_concierge::config::Config;
use proof_concierge::database::{self, Purpose};
use proof_concierge::dispatch::{CommandContext, Dispatcher, Outcome};
use proof_concierge::integrations::{KeptMail, KeptNote, Outbox};
use proof_concierge::log::{Append, StreamAppend};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::app::Client;
use crate::support::database::{TestDatabase, database};
use crate::support::desk::{PASSWORD, query_of};
use crate::support::eventually::eventually;
use crate::support::node;

/// How long a test waits for what takes a second.
const LIMIT: Duration = Duration::from_secs(30);

/// A database with people in it, and the nodes that a test starts on it.
struct Desk {
    database: TestDatabase,
    config: Config,
    devices: Devices,
    outbox: Outbox,
    /// Carries out commands as a node would that does nothing else.
    dispatcher: Dispatcher,
    ada: Staff,
    ben: Staff,
}

/// A node that can be killed. It is killed with this value.
struct Node {
    client: Client,
    runtime: Option<Runtime>,
    _app: App,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A desk where Ada works, who has a device and a mailbox, and Ben, who has neither. No node runs yet.
async fn desk() -> Desk {
    let database = database().await;
    let config = node::config(&database);
    let pool = database::pool(&config.database_url, Purpose::Read, 4).unwrap();
    let accounts = Accounts::open(pool.clone(), &config.jwt_secret).await.unwrap();
    let ada = person(&accounts, "ada", Some("ada@example.org")).await;
    let ben = person(&accounts, "ben", None).await;
    let devices = Devices::new(pool.clone());
    devices.register_staff(ada.id, DeviceKind::Token, "ada-0123456789-0123456789").await.unwrap();
    let dispatcher = Dispatcher::new(node::log(&database));
    Desk { outbox: Outbox::new(pool), database, config, devices, dispatcher, ada, ben }
}

async fn person(accounts: &Accounts, username: &str, email: Option<&str>) -> Staff {
    let new = NewUser {
        username: username.to_owned(),
        password: PASSWORD.to_owned(),
        name: username.to_owned(),
        email: email.map(str::to_owned),
        role: Role::Admin,
    };
    accounts.create(new).await.unwrap().as_staff()
}

impl Desk {
    /// Starts one more node.
    async fn node(&self) -> Node {
        self.node_with(|_| {}).await
    }

    async fn node_with(&self, change: impl FnOnce(&mut Config)) -> Node {
        let mut config = self.config.clone();
        change(&mut config);
        let runtime = Runtime::new().unwrap();
        let app = runtime.spawn(App::start(config)).await.unwrap().unwrap();
        let client = Client::new(&format!("http://{}", app.local_addr()));
        Node { client, runtime: Some(runtime), _app: app }
    }

    /// Carries out a command.
    async fn dispatch(&self, query: QueryId, command: DonorQueryCommand) -> Outcome {
        let metadata = Metadata::of(&Actor::System, "request-1");
        let context = CommandContext { metadata, if_match: None, key: None };
        self.dispatcher.query(query, command, &context).await.unwrap()
    }

    /// Somebody writes to a colleague.
    async fn chat(&self, by: &Staff, to: &Staff, words: &str) {
        let command = StaffChatCommand::PostChatMessage {
            message: MessageId::new(7),
            by: by.as_ref(),
            to: to.as_ref(),
            message_type: MessageType::Chat,
            content: Personal::known(words),
            at: NOON,
        };
        let metadata = Metadata::of(&Actor::Staff(by.as_ref()), "request-1");
        self.dispatcher.chat(command, &CommandContext { metadata, if_match: None, key: None }).await.unwrap();
    }

    /// Appends a fact about a query that nobody opened, for its donor.
    async fn append_orphan(&self, query: QueryId) {
        let stream = StreamId::DonorQuery(query);
        let events = vec![Event::DonorQuery(accepted_by(&self.ada))];
        let log = node::log(&self.database);
        let appended = log.append(Append {
            streams: vec![StreamAppend { stream, query, expected: 0, events }],
            subject: DonorId::new("d-9"),
            metadata: Metadata::of(&Actor::System, "request-1"),
            key: None,
        });
        appended.await.unwrap();
    }

    async fn notes(&self) -> Vec<KeptNote> {
        self.outbox.notes(200).await.unwrap()
    }

    async fn mails(&self) -> Vec<KeptMail> {
        self.outbox.mails(200).await.unwrap()
    }

    /// How many rows fulfil a condition on `deliveries`.
    async fn deliveries(&self, condition: &str) -> i64 {
        self.count(&format!("deliveries where {condition}")).await
    }

    async fn count(&self, what: &str) -> i64 {
        sqlx::query_scalar(&format!("select count(*) from {what}")).fetch_one(&self.database.pool).await.unwrap()
    }

    async fn execute(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&self.database.pool).await.unwrap();
    }

    /// Waits until nothing is left to be planned or carried.
    async fn settled(&self) {
        let left = "(select 1 from deliveries where state = 'pending'
             union all
             select 1 from events where position > (select position from reaction_checkpoint)) as left_over";
        eventually(LIMIT, async || self.count(left).await, |left| *left == 0).await;
    }
}

impl Node {
    /// A donor opens a query.
    async fn opened_by(&self, donor: &str) -> QueryId {
        let answer = self.client.post("/api/v1/donor-queries", &query_of(donor)).await.expect(201);
        QueryId::new(answer.at("/data/id").as_i64().unwrap())
    }

    /// Ada logs in.
    async fn ada(&self) -> Client {
        let credentials = serde_json::json!({ "username": "ada", "password": PASSWORD });
        let answer = self.client.post("/api/v1/auth/login", &credentials).await.expect(201);
        self.client.with_token(answer.at("/access_token").as_str().unwrap())
    }
}

/// The deliveries of an answer.
fn data(answer: &crate::support::app::Answer) -> Vec<Value> {
    answer.at("/data").as_array().unwrap().clone()
}
