//! The old system's rows, of either of its generations, as they are.
//!
//! Rows are read as JSON objects by column name, so that a column one generation lacks is simply absent. Times have no zone
//! there and are UTC.

use std::collections::HashMap;

use aggregates::ids::{DonorId, QueryId};
use anyhow::{Context, ensure};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

/// The tables that have to be there.
const TABLES: [&str; 5] = ["User", "DonorQuery", "Message", "CallSession", "CallRequest"];

/// Whether a message without a query is a word between two staff members.
const IS_CHAT: &str = "\"messageType\" = 'CHAT' and \"senderId\" <> \"recipientId\"";

/// An account.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OldUser {
    pub(super) id: i64,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) role: String,
    pub(super) avatar: Option<String>,
    pub(super) is_active: bool,
    #[serde(deserialize_with = "utc")]
    pub(super) created_at: DateTime<Utc>,
    pub(super) fcm_token: Option<String>,
}

/// A query.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OldQuery {
    pub(super) id: i64,
    pub(super) donor: String,
    pub(super) donor_id: String,
    pub(super) test: String,
    pub(super) stage: String,
    pub(super) device: String,
    pub(super) status: String,
    #[serde(deserialize_with = "utc")]
    pub(super) created_at: DateTime<Utc>,
    #[serde(deserialize_with = "utc")]
    pub(super) updated_at: DateTime<Utc>,
    pub(super) transferred_to: Option<String>,
    pub(super) transferred_to_user_id: Option<i64>,
    pub(super) transfer_note: Option<String>,
    pub(super) resolved_by_id: Option<i64>,
    pub(super) assigned_to_id: Option<i64>,
    pub(super) fcm_token: Option<String>,
}

/// A message. What secrets it holds (meeting and push tokens) is not read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OldMessage {
    pub(super) id: i64,
    pub(super) query_id: i64,
    pub(super) content: String,
    pub(super) is_from_admin: bool,
    /// Only the later generation has it.
    #[serde(default)]
    pub(super) sender_type: Option<String>,
    pub(super) sender_id: Option<i64>,
    pub(super) recipient_id: Option<i64>,
    pub(super) message_type: String,
    pub(super) call_session_id: Option<i64>,
    pub(super) call_request_id: Option<i64>,
    #[serde(deserialize_with = "utc")]
    pub(super) created_at: DateTime<Utc>,
    #[serde(deserialize_with = "utc")]
    pub(super) updated_at: DateTime<Utc>,
}

/// What one staff member said to another about no query.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OldWord {
    pub(super) id: i64,
    pub(super) content: String,
    pub(super) sender_id: i64,
    pub(super) recipient_id: i64,
    #[serde(deserialize_with = "utc")]
    pub(super) created_at: DateTime<Utc>,
}

/// A call session.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OldCall {
    pub(super) id: i64,
    pub(super) query_id: i64,
    pub(super) admin_id: Option<i64>,
    pub(super) room_name: String,
    pub(super) status: String,
    /// The later generation's word, in lower case.
    #[serde(default)]
    pub(super) call_type: Option<String>,
    /// The earlier generation's word, in upper case.
    #[serde(default)]
    pub(super) mode: Option<String>,
    #[serde(default, deserialize_with = "optional_utc")]
    pub(super) started_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "optional_utc")]
    pub(super) ended_at: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "utc")]
    pub(super) created_at: DateTime<Utc>,
}

/// A call request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OldRequest {
    pub(super) id: i64,
    pub(super) query_id: i64,
    pub(super) admin_id: Option<i64>,
    pub(super) status: String,
    /// Only the earlier generation has it.
    #[serde(default)]
    pub(super) mode: Option<String>,
    #[serde(deserialize_with = "utc")]
    pub(super) created_at: DateTime<Utc>,
    #[serde(deserialize_with = "utc")]
    pub(super) updated_at: DateTime<Utc>,
}

/// A query with all that hangs on it, in the order of ids.
#[derive(Clone, Debug)]
pub(super) struct OldLife {
    pub(super) query: OldQuery,
    pub(super) messages: Vec<OldMessage>,
    pub(super) calls: Vec<OldCall>,
    pub(super) requests: Vec<OldRequest>,
}

/// The old database at one moment: what changes there meanwhile is not seen.
pub(super) struct OldDesk {
    connection: PgConnection,
}

impl OldDesk {
    /// Begins to read. Fails if it is not a database of the old system.
    pub(super) async fn open(url: &str) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(url).await.context("cannot connect to the old database")?;
        sqlx::query("begin isolation level repeatable read read only").execute(&mut connection).await?;
        for table in TABLES {
            let is_there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
                .bind(format!("\"{table}\""))
                .fetch_one(&mut connection)
                .await?;
            ensure!(
                is_there,
                "the old database has no table {table:?}: it is not one of the system this desk replaces"
            );
        }
        Ok(Self { connection })
    }

    /// All accounts.
    pub(super) async fn users(&mut self) -> anyhow::Result<Vec<OldUser>> {
        self.rows("select to_jsonb(t) from \"User\" t order by id", None).await
    }

    /// How many queries there are.
    pub(super) async fn query_count(&mut self) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar("select count(*) from \"DonorQuery\"").fetch_one(&mut self.connection).await?)
    }

    /// How many messages belong to no query, and to no chat of two staff members.
    pub(super) async fn orphan_count(&mut self) -> anyhow::Result<i64> {
        let sql = format!("select count(*) from \"Message\" where \"queryId\" is null and ({IS_CHAT}) is not true");
        Ok(sqlx::query_scalar(&sql).fetch_one(&mut self.connection).await?)
    }

    /// The next messages of chats after an id.
    pub(super) async fn words(&mut self, after: i64, limit: i64) -> anyhow::Result<Vec<OldWord>> {
        let sql = format!(
            "select to_jsonb(t) from \"Message\" t where \"queryId\" is null and {IS_CHAT} and id > {after} order by id limit {limit}"
        );
        self.rows(&sql, None).await
    }

    /// The highest id of each table that has ids of its own in the new desk: queries, messages, calls, requests.
    pub(super) async fn highest_ids(&mut self) -> anyhow::Result<[i64; 4]> {
        let (queries, messages, calls, requests) = sqlx::query_as(
            "select (select coalesce(max(id), 0)::bigint from \"DonorQuery\"),
                 (select coalesce(max(id), 0)::bigint from \"Message\"),
                 (select coalesce(max(id), 0)::bigint from \"CallSession\"),
                 (select coalesce(max(id), 0)::bigint from \"CallRequest\")",
        )
        .fetch_one(&mut self.connection)
        .await?;
        Ok([queries, messages, calls, requests])
    }

    /// For each donor with open queries the newest of them: the only one that keeps its donor from opening another.
    pub(super) async fn newest_open_of_donors(&mut self) -> anyhow::Result<Vec<(QueryId, DonorId)>> {
        let sql =
            "select max(id)::bigint, \"donorId\" from \"DonorQuery\" where status <> 'RESOLVED' group by \"donorId\"";
        let rows: Vec<(i64, String)> = sqlx::query_as(sql).fetch_all(&mut self.connection).await?;
        Ok(rows.into_iter().map(|(query, donor)| (QueryId::new(query), DonorId::new(donor))).collect())
    }

    /// The next queries after an id, with all that hangs on them.
    pub(super) async fn lives(&mut self, after: i64, limit: i64) -> anyhow::Result<Vec<OldLife>> {
        let page = format!("select to_jsonb(t) from \"DonorQuery\" t where id > {after} order by id limit {limit}");
        let queries: Vec<OldQuery> = self.rows(&page, None).await?;
        let ids: Vec<i64> = queries.iter().map(|query| query.id).collect();
        let mut messages = self.by_query(&ids, "Message", |row: &OldMessage| row.query_id).await?;
        let mut calls = self.by_query(&ids, "CallSession", |row: &OldCall| row.query_id).await?;
        let mut requests = self.by_query(&ids, "CallRequest", |row: &OldRequest| row.query_id).await?;
        let life = |query: OldQuery| OldLife {
            messages: messages.remove(&query.id).unwrap_or_default(),
            calls: calls.remove(&query.id).unwrap_or_default(),
            requests: requests.remove(&query.id).unwrap_or_default(),
            query,
        };
        Ok(queries.into_iter().map(life).collect())
    }

    async fn by_query<T: DeserializeOwned>(
        &mut self,
        queries: &[i64],
        table: &str,
        query_of: impl Fn(&T) -> i64,
    ) -> anyhow::Result<HashMap<i64, Vec<T>>> {
        let sql = format!("select to_jsonb(t) from \"{table}\" t where \"queryId\" = any($1) order by id");
        let mut found: HashMap<i64, Vec<T>> = HashMap::new();
        for row in self.rows(&sql, Some(queries)).await? {
            found.entry(query_of(&row)).or_default().push(row);
        }
        Ok(found)
    }

    async fn rows<T: DeserializeOwned>(&mut self, sql: &str, ids: Option<&[i64]>) -> anyhow::Result<Vec<T>> {
        let query = sqlx::query_scalar(sql);
        let query = if let Some(ids) = ids { query.bind(ids) } else { query };
        let rows: Vec<Value> = query.fetch_all(&mut self.connection).await?;
        let read = |row: Value| {
            let id = row["id"].clone();
            serde_json::from_value(row).with_context(|| format!("row {id} of the old database is odd ({sql})"))
        };
        rows.into_iter().map(read).collect()
    }
}

fn utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    NaiveDateTime::deserialize(deserializer).map(|time| time.and_utc())
}

fn optional_utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(Option::<NaiveDateTime>::deserialize(deserializer)?.map(|time| time.and_utc()))
}
