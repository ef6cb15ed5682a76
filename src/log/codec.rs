//! Seals personal text on its way into the log and opens it on its way out.
//!
//! Every donor has data keys of their own, wrapped by the master key and kept in `donor_keys`. A known personal value
//! `{"$personal": v}` becomes `{"$sealed": {"k": key id, "n": nonce, "c": cipher text}}`; its place (type, id, sequence and
//! path in the payload) is authenticated with it, so a box cannot be moved. Without the key it reads `{"$erased": true}`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aggregates::ids::DonorId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use moka::sync::Cache;
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::LogError;
use super::cache::hot;
use crate::grouped::{Answers, Grouped};

/// How many data keys stay in memory.
const CACHED_KEYS: u64 = 20_000;
/// How long an opened key may be used without asking whether it still exists.
const KEY_LIFETIME: Duration = Duration::from_mins(5);

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub(super) struct Codec {
    pool: PgPool,
    master: Arc<XChaCha20Poly1305>,
    by_id: Cache<Uuid, Known>,
    by_donor: Cache<DonorId, DataKey>,
    stored: Grouped<DonorId, StoredKey>,
}

/// A row of `donor_keys`: the key's id, and the key under the master key.
type StoredKey = (Uuid, Vec<u8>);

/// A donor's data key, ready for use.
#[derive(Clone)]
pub(super) struct DataKey {
    pub(super) id: Uuid,
    cipher: Arc<XChaCha20Poly1305>,
}

/// What is known of a data key.
#[derive(Clone)]
pub(super) enum Known {
    /// It is there.
    Key(DataKey),
    /// It was destroyed.
    Destroyed,
    /// It is there, but does not open under the master key. Not kept in memory: it may be mended.
    Unopened,
}

/// Data keys by id.
pub(super) type Keys = HashMap<Uuid, Known>;

/// A data key that has to be stored together with the first fact it seals.
#[derive(Clone, Debug)]
pub(super) struct NewDataKey {
    pub(super) id: Uuid,
    pub(super) donor: DonorId,
    pub(super) wrapped: Vec<u8>,
}

/// Where a payload stands, which authenticates every box in it.
pub(super) struct Place<'a> {
    pub(super) aggregate_type: &'a str,
    pub(super) aggregate_id: &'a str,
    pub(super) sequence: i64,
}

impl Codec {
    pub(super) fn new(pool: PgPool, master_key: &[u8; 32], tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let donors = pool.clone();
        Self {
            pool,
            stored: Grouped::start(tasks, stop, 1, move |ids: Vec<DonorId>| stored_keys(donors.clone(), ids)),
            master: Arc::new(XChaCha20Poly1305::new(&Key::from(*master_key))),
            by_id: hot(CACHED_KEYS).time_to_live(KEY_LIFETIME).build(),
            by_donor: hot(CACHED_KEYS).time_to_live(KEY_LIFETIME).build(),
        }
    }

    /// The key to seal a donor's text with; a fresh one if the donor has none yet.
    pub(super) async fn key_of(&self, donor: &DonorId) -> Result<(DataKey, Option<NewDataKey>), LogError> {
        if let Some(key) = self.by_donor.get(donor) {
            return Ok((key, None));
        }
        if let Some((id, wrapped)) = self.stored.find(donor.clone()).await? {
            let key = self.unwrap_key(id, donor.as_str(), &wrapped)?;
            self.learn(donor, &key);
            return Ok((key, None));
        }
        let id = super::random_uuid();
        let bytes: [u8; 32] = rand::random();
        let wrapped = seal_bytes(&self.master, &bytes, &wrap_context(id, donor.as_str()));
        let key = DataKey { id, cipher: Arc::new(XChaCha20Poly1305::new(&Key::from(bytes))) };
        Ok((key, Some(NewDataKey { id, donor: donor.clone(), wrapped })))
    }

    /// Makes sure that this node's master key is the one the others seal with; the first node of a database sets it.
    pub(super) async fn check_master_key(&self) -> Result<(), LogError> {
        const WORD: &[u8] = b"proof concierge";
        let sealed = seal_bytes(&self.master, WORD, "master-key-check");
        sqlx::query("insert into master_key_check (sealed) values ($1) on conflict (single) do nothing")
            .bind(sealed)
            .execute(&self.pool)
            .await?;
        let sealed: Vec<u8> = sqlx::query_scalar("select sealed from master_key_check").fetch_one(&self.pool).await?;
        let opened = open_bytes(&self.master, &sealed, "master-key-check");
        if opened.as_deref() == Some(WORD) { Ok(()) } else { Err(LogError::WrongMasterKey) }
    }

    /// Remembers a key that is known to be stored.
    pub(super) fn learn(&self, donor: &DonorId, key: &DataKey) {
        self.by_donor.insert(donor.clone(), key.clone());
        self.by_id.insert(key.id, Known::Key(key.clone()));
    }

    /// Replaces every known personal value in a payload by a sealed box.
    pub(super) fn seal(payload: &mut Value, key: &DataKey, place: &Place<'_>) {
        walk(payload, &mut String::new(), &mut |map, path| {
            let Some(plain) = map.remove("$personal") else { return };
            let nonce: [u8; 24] = rand::random();
            let text = plain.to_string();
            let context = place.context(path);
            let sealed = key
                .cipher
                .encrypt(&XNonce::from(nonce), Payload { msg: text.as_bytes(), aad: context.as_bytes() })
                .expect("a message is far below the cipher's limit of 256 GiB");
            map.insert(
                "$sealed".to_owned(),
                json!({"k": key.id, "n": BASE64.encode(nonce), "c": BASE64.encode(sealed)}),
            );
        });
    }

    /// The keys that a payload names.
    pub(super) fn key_ids(payload: &mut Value) -> Vec<Uuid> {
        let mut ids = Vec::new();
        walk(payload, &mut String::new(), &mut |map, _| ids.extend(map.get("$sealed").and_then(sealed_key)));
        ids
    }

    /// Looks keys up, those that are not in memory all at once.
    pub(super) async fn keys(&self, ids: impl IntoIterator<Item = Uuid>) -> Result<Keys, LogError> {
        let mut keys: Keys = ids.into_iter().map(|id| (id, Known::Destroyed)).collect();
        let mut missing = Vec::new();
        for (id, key) in &mut keys {
            match self.by_id.get(id) {
                Some(known) => *key = known,
                None => missing.push(*id),
            }
        }
        if missing.is_empty() {
            return Ok(keys);
        }
        let stored: Vec<(Uuid, String, Vec<u8>)> =
            sqlx::query_as("select id, donor_id, wrapped from donor_keys where id = any($1)")
                .bind(&missing)
                .fetch_all(&self.pool)
                .await?;
        for (id, donor, wrapped) in stored {
            keys.insert(id, self.unwrap_key(id, &donor, &wrapped).map_or(Known::Unopened, Known::Key));
        }
        for id in missing {
            if let Some(known @ (Known::Key(_) | Known::Destroyed)) = keys.get(&id) {
                self.by_id.insert(id, known.clone());
            }
        }
        Ok(keys)
    }

    /// Replaces every sealed box in a payload by its value, or by the mark of an erased one.
    pub(super) fn open(payload: &mut Value, place: &Place<'_>, keys: &Keys) -> Result<(), String> {
        let mut failure = None;
        walk(payload, &mut String::new(), &mut |map, path| {
            let Some(sealed) = map.remove("$sealed") else { return };
            match sealed_key(&sealed).and_then(|id| keys.get(&id)) {
                Some(Known::Key(key)) => match open_box(key, &sealed, &place.context(path)) {
                    Some(value) => drop(map.insert("$personal".to_owned(), value)),
                    None => failure = Some(format!("sealed text at {path} does not open")),
                },
                Some(Known::Destroyed) => drop(map.insert("$erased".to_owned(), Value::Bool(true))),
                Some(Known::Unopened) => {
                    failure = Some(format!("the key of sealed text at {path} does not open under the master key"));
                }
                None => failure = Some(format!("sealed text at {path} names no key")),
            }
        });
        failure.map_or(Ok(()), Err)
    }

    /// Seals the answer to a command; `None` while the donor's key is not stored.
    pub(super) async fn seal_answer(
        &self,
        donor: Option<&DonorId>,
        body: &[u8],
        context: &str,
    ) -> Result<Option<(Option<Uuid>, Vec<u8>)>, LogError> {
        let Some(donor) = donor else {
            return Ok(Some((None, seal_bytes(&self.master, body, context))));
        };
        let (key, new) = self.key_of(donor).await?;
        Ok(new.is_none().then(|| (Some(key.id), seal_bytes(&key.cipher, body, context))))
    }

    /// Opens an answer; `None` if its key is gone.
    pub(super) async fn open_answer(
        &self,
        key: Option<Uuid>,
        sealed: &[u8],
        context: &str,
    ) -> Result<Option<Vec<u8>>, LogError> {
        let cipher = match key {
            None => self.master.clone(),
            Some(id) => match self.keys([id]).await?.remove(&id) {
                Some(Known::Key(key)) => key.cipher,
                Some(Known::Unopened) => return Err(LogError::WrongMasterKey),
                Some(Known::Destroyed) | None => return Ok(None),
            },
        };
        Ok(open_bytes(&cipher, sealed, context))
    }

    fn unwrap_key(&self, id: Uuid, donor: &str, wrapped: &[u8]) -> Result<DataKey, LogError> {
        let bytes = open_bytes(&self.master, wrapped, &wrap_context(id, donor))
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or(LogError::WrongMasterKey)?;
        Ok(DataKey { id, cipher: Arc::new(XChaCha20Poly1305::new(&Key::from(bytes))) })
    }
}

/// The key that each donor's text is sealed with: the last one made.
async fn stored_keys(pool: PgPool, donors: Vec<DonorId>) -> Result<Answers<DonorId, StoredKey>, sqlx::Error> {
    let rows: Vec<(String, Uuid, Vec<u8>)> = sqlx::query_as(
        "select distinct on (donor_id) donor_id, id, wrapped from donor_keys \
         where donor_id = any($1) order by donor_id, created_at desc",
    )
    .bind(donors.iter().map(DonorId::as_str).collect::<Vec<_>>())
    .fetch_all(&pool)
    .await?;
    Ok(rows.into_iter().map(|(donor, id, wrapped)| (DonorId::new(donor), Ok((id, wrapped)))).collect())
}

/// Why a payload did not open: what is stored makes no sense, or its key could not be looked up just now.
#[derive(Debug)]
pub(super) enum Unopened {
    /// The key could not be had.
    Log(LogError),
    /// The payload makes no sense.
    Text(String),
}

impl Unopened {
    /// The error for a caller who can say where.
    pub(super) fn at(self, unreadable: impl FnOnce(String) -> LogError) -> LogError {
        match self {
            Self::Log(error) => error,
            Self::Text(reason) => unreadable(reason),
        }
    }
}

impl From<LogError> for Unopened {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<String> for Unopened {
    fn from(reason: String) -> Self {
        Self::Text(reason)
    }
}

impl Place<'_> {
    fn context(&self, path: &str) -> String {
        format!("{}|{}|{}|{path}", self.aggregate_type, self.aggregate_id, self.sequence)
    }
}

fn wrap_context(id: Uuid, donor: &str) -> String {
    format!("donor-key|{id}|{donor}")
}

/// Calls `each` on every object of a JSON value, innermost last, with its path.
fn walk(value: &mut Value, path: &mut String, each: &mut impl FnMut(&mut Map<String, Value>, &str)) {
    match value {
        Value::Object(map) => {
            each(map, path);
            for (name, inner) in map {
                let length = path.len();
                path.push('/');
                path.push_str(name);
                walk(inner, path, each);
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter_mut().enumerate() {
                let length = path.len();
                path.push('/');
                path.push_str(&index.to_string());
                walk(inner, path, each);
                path.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn sealed_key(sealed: &Value) -> Option<Uuid> {
    sealed.get("k")?.as_str()?.parse().ok()
}

fn open_box(key: &DataKey, sealed: &Value, context: &str) -> Option<Value> {
    let nonce: [u8; 24] = BASE64.decode(sealed.get("n")?.as_str()?).ok()?.try_into().ok()?;
    let cipher_text = BASE64.decode(sealed.get("c")?.as_str()?).ok()?;
    let plain =
        key.cipher.decrypt(&XNonce::from(nonce), Payload { msg: &cipher_text, aad: context.as_bytes() }).ok()?;
    serde_json::from_slice(&plain).ok()
}

/// Nonce and cipher text in one piece.
fn seal_bytes(cipher: &XChaCha20Poly1305, plain: &[u8], context: &str) -> Vec<u8> {
    let nonce: [u8; 24] = rand::random();
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: context.as_bytes() })
        .expect("a message is far below the cipher's limit of 256 GiB");
    [&nonce[..], &sealed].concat()
}

fn open_bytes(cipher: &XChaCha20Poly1305, sealed: &[u8], context: &str) -> Option<Vec<u8>> {
    let (nonce, cipher_text) = sealed.split_at_checked(24)?;
    let nonce: [u8; 24] = nonce.try_into().ok()?;
    cipher.decrypt(&XNonce::from(nonce), Payload { msg: cipher_text, aad: context.as_bytes() }).ok()
}
