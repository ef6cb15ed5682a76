//! The only reader of the environment: every setting, its default, and what it is for.
//!
//! Settings come from an optional TOML file (`CONCIERGE_CONFIG`) and from environment variables, which win. A setting
//! `limits.login_per_minute` is `CONCIERGE_LIMITS__LOGIN_PER_MINUTE`; `PORT` and those in `OLD_NAMES` keep the names
//! that they had in the old system.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

/// Everything a node has to know before it starts.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where HTTP is served. Without it, `PORT` on loopback, else `127.0.0.1:5005`.
    pub listen: SocketAddr,
    /// PostgreSQL, as the owner of the schema (needed to migrate).
    pub database_url: Secret,
    /// NATS.
    pub nats_url: Secret,
    /// First token of every subject and name in NATS; desks that share a server differ in it.
    pub nats_prefix: String,
    /// How many servers of a NATS cluster keep a copy of the stream, when a node makes it.
    pub nats_replicas: u8,
    /// Signs staff and donor tokens; at least 32 bytes.
    pub jwt_secret: Secret,
    /// Wraps the donors' data keys; 32 bytes as 64 hexadecimal digits.
    pub master_key: Secret,
    /// How donors prove who they are.
    pub donor_access: DonorAccess,
    /// Origins whose pages may call the API; `*` for any (without credentials). A list, or a text with commas.
    #[serde(deserialize_with = "list_or_text")]
    pub cors_origins: Vec<String>,
    /// How many proxies in front of this node are ours: that many last entries of `X-Forwarded-For` are trusted.
    pub trusted_proxies: usize,
    /// How long a command waits for the read models, in milliseconds, before it answers 202.
    pub read_your_writes_ms: u64,
    /// How many facts a reconnecting feed may miss before it is told to resync.
    pub replay_limit: i64,
    /// How many aggregates stay in memory.
    pub cache_capacity: u64,
    /// Connections for reads.
    pub read_connections: u32,
    /// How long PostgreSQL may take over one of their statements, in milliseconds; 0 is no limit.
    pub read_timeout_ms: u32,
    /// How long a node goes on after SIGTERM while it says that it is not ready, in seconds: until balancers have noticed.
    pub drain_seconds: u64,
    /// What the desk is used for, as `/health/advanced/detailed` tells staff; `dev` says `development`.
    pub environment: String,
    /// Where clients reach this desk, without a slash at the end. Without it, `http://` and [`Self::listen`].
    pub public_url: String,
    /// How calls are held.
    pub calls: Calls,
    /// What this node does.
    pub roles: Roles,
    /// How much one caller may ask for.
    pub limits: Limits,
    /// Who carries notes to devices.
    pub push: PushCarrier,
    /// Who carries mail.
    pub mail: MailCarrier,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// Which log lines are written, in `tracing-subscriber`'s filter syntax.
    pub log_filter: String,
}

/// What a node does; each can be switched off to scale them apart.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each switches one part of a node")]
pub struct Roles {
    /// Serves HTTP and the live feed.
    pub api: bool,
    /// Publishes facts to NATS.
    pub relay: bool,
    /// Keeps the read models.
    pub projector: bool,
    /// Tells people outside the desk, and fires timers.
    pub reactions: bool,
}

/// How much one caller may ask for; 0 switches a limit off.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Log-in attempts per address, and per user name.
    pub login_per_minute: u32,
    /// Queries opened, and calls begun by donors, per address.
    pub open_per_minute: u32,
    /// Requests per donor on donor routes; per donor and address where no token is needed.
    pub donor_per_minute: u32,
    /// HTTP connections open at once on this node. The feed counts each WebSocket instead.
    pub connections: usize,
    /// HTTP connections of one address open at once, unless [`Config::trusted_proxies`] stand between.
    pub connections_per_address: usize,
}

/// How calls are held.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calls {
    /// Opens Daily's API. Without it calls are held by the local stand-in, which carries no media.
    pub daily_api_key: Secret,
    /// Where Daily's rooms are: `acme` or `acme.daily.co`. Without it, as Daily says.
    pub daily_domain: String,
    /// The id of the domain, as Daily's `GET /` tells it. With it, meeting tokens are signed here.
    pub daily_domain_id: String,
    /// Daily's API, without a slash at the end.
    pub daily_base_url: String,
    /// The secret of Daily's webhook, in base64 as Daily shows it. Without it there are no webhooks.
    pub daily_webhook_hmac: Secret,
    /// How long a caller waits for Daily at most, attempts and pauses together, in milliseconds. Includes the wait for
    /// those who call about the same thing.
    pub daily_patience_ms: u64,
    /// After how long a room closes by itself, in minutes.
    pub expiry_minutes: u32,
}

/// Who carries notes to devices: Firebase Cloud Messaging with a service account, or else the local stand-in.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushCarrier {
    /// The service account's key file: its JSON text, or the path of the file.
    pub fcm_service_account: Secret,
    /// The project, for an account given in three parts as in the old system.
    pub firebase_project_id: String,
    /// The account's address, of three parts.
    pub firebase_client_email: String,
    /// The account's private key in PEM form, of three parts; may be quoted and have `\n` for line ends.
    pub firebase_private_key: Secret,
    /// Where messages are sent to.
    pub fcm_base_url: String,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
}

/// Who carries mail: an SMTP server, or SendGrid, or else the local stand-in.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailCarrier {
    /// The SMTP server, as `smtps://user:password@host:465` or `smtp://host:587?tls=required`.
    pub smtp_url: Secret,
    /// The key of SendGrid's API; without `smtp_url`.
    pub sendgrid_api_key: Secret,
    /// Where SendGrid's API is.
    pub sendgrid_base_url: String,
    /// The sender, as `desk@example.org` or `Support <desk@example.org>`.
    pub from: String,
    /// Where the dashboard is; mails link to its `/donor-queries/<id>`.
    pub frontend_url: String,
    /// How long one step of an attempt may take, in milliseconds.
    pub timeout_ms: u64,
}

/// How donors prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DonorAccess {
    /// By the token they got when they opened a query.
    Token,
    /// Also by naming their donor id: for donor apps of the old system that know nothing else.
    Open,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A value that never shows in a log.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A value could not be read.
    #[error("configuration is unreadable")]
    Unreadable(#[from] config::ConfigError),
    /// A value is missing or out of range.
    #[error("configuration is incomplete: {0}")]
    Invalid(String),
}

fn list_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ListOrText {
        List(Vec<String>),
        Text(String),
    }
    Ok(match ListOrText::deserialize(deserializer)? {
        ListOrText::List(list) => list,
        ListOrText::Text(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
    })
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5005),
            database_url: Secret::default(),
            nats_url: Secret::default(),
            nats_prefix: "concierge".to_owned(),
            nats_replicas: 1,
            jwt_secret: Secret::default(),
            master_key: Secret::default(),
            donor_access: DonorAccess::Token,
            cors_origins: vec!["http://localhost:3000".to_owned()],
            trusted_proxies: 0,
            read_your_writes_ms: 2_000,
            replay_limit: 10_000,
            cache_capacity: 10_000,
            read_connections: 8,
            read_timeout_ms: 10_000,
            drain_seconds: 5,
            environment: "production".to_owned(),
            public_url: String::new(),
            calls: Calls::default(),
            roles: Roles::default(),
            limits: Limits::default(),
            push: PushCarrier::default(),
            mail: MailCarrier::default(),
            log_format: LogFormat::Text,
            log_filter: "info,async_nats=warn,sqlx::postgres::notice=warn".to_owned(),
        }
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            daily_api_key: Secret::default(),
            daily_domain: String::new(),
            daily_domain_id: String::new(),
            daily_base_url: "https://api.daily.co/v1".to_owned(),
            daily_webhook_hmac: Secret::default(),
            daily_patience_ms: 8_000,
            expiry_minutes: 60,
        }
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self { api: true, relay: true, projector: true, reactions: true }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_per_minute: 10,
            open_per_minute: 20,
            donor_per_minute: 240,
            connections: 20_000,
            connections_per_address: 4_096,
        }
    }
}

impl Default for PushCarrier {
    fn default() -> Self {
        Self {
            fcm_service_account: Secret::default(),
            firebase_project_id: String::new(),
            firebase_client_email: String::new(),
            firebase_private_key: Secret::default(),
            fcm_base_url: "https://fcm.googleapis.com".to_owned(),
            timeout_ms: 15_000,
        }
    }
}

impl Default for MailCarrier {
    fn default() -> Self {
        Self {
            smtp_url: Secret::default(),
            sendgrid_api_key: Secret::default(),
            sendgrid_base_url: "https://api.sendgrid.com".to_owned(),
            from: String::new(),
            frontend_url: "http://localhost:3000".to_owned(),
            timeout_ms: 10_000,
        }
    }
}

impl PushCarrier {
    /// Whether there is no key, so that the stand-in takes the carrier's place.
    pub fn is_local(&self) -> bool {
        let keys = [self.fcm_service_account.expose(), self.firebase_private_key.expose()];
        let names = [self.firebase_project_id.as_str(), self.firebase_client_email.as_str()];
        keys.into_iter().chain(names).all(|part| part.trim().is_empty())
    }
}

impl MailCarrier {
    /// Whether there is no key, so that the stand-in takes the carrier's place.
    pub fn is_local(&self) -> bool {
        [&self.smtp_url, &self.sendgrid_api_key].iter().all(|key| key.expose().is_empty())
    }
}

/// Settings that keep the names they had in the old system, and what they are called here.
const OLD_NAMES: &[(&str, &str)] = &[
    ("DATABASE_URL", "CONCIERGE_DATABASE_URL"),
    ("NATS_URL", "CONCIERGE_NATS_URL"),
    ("JWT_SECRET", "CONCIERGE_JWT_SECRET"),
    ("DAILY_API_KEY", "CONCIERGE_CALLS__DAILY_API_KEY"),
    ("DAILY_DOMAIN", "CONCIERGE_CALLS__DAILY_DOMAIN"),
    ("FIREBASE_PROJECT_ID", "CONCIERGE_PUSH__FIREBASE_PROJECT_ID"),
    ("FIREBASE_CLIENT_EMAIL", "CONCIERGE_PUSH__FIREBASE_CLIENT_EMAIL"),
    ("FIREBASE_PRIVATE_KEY", "CONCIERGE_PUSH__FIREBASE_PRIVATE_KEY"),
    ("SENDGRID_API_KEY", "CONCIERGE_MAIL__SENDGRID_API_KEY"),
    ("SENDGRID_FROM_EMAIL", "CONCIERGE_MAIL__FROM"),
    ("FRONTEND_URL", "CONCIERGE_MAIL__FRONTEND_URL"),
];

impl Config {
    /// Reads the file and the environment. What is missing stays at its default; see [`Self::check`].
    #[allow(clippy::disallowed_methods, reason = "this is the only reader of the environment")]
    pub fn read() -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder();
        if let Ok(path) = std::env::var("CONCIERGE_CONFIG") {
            builder = builder.add_source(config::File::with_name(&path));
        }
        let environment = config::Environment::with_prefix("CONCIERGE")
            .separator("__")
            .prefix_separator("_")
            // Numbers are read where a number is asked for: a secret made of digits stays what it is.
            .try_parsing(false);
        let mut variables: config::Map<String, String> =
            std::env::vars().filter(|(name, _)| name.starts_with("CONCIERGE_") && name != "CONCIERGE_CONFIG").collect();
        for (old, name) in OLD_NAMES {
            if let Some(value) = std::env::var(old).ok().filter(|value| !value.is_empty()) {
                variables.insert((*name).to_owned(), value);
            }
        }
        if let Some(port) = std::env::var("PORT").ok().filter(|port| !port.is_empty()) {
            variables.entry("CONCIERGE_LISTEN".to_owned()).or_insert_with(|| format!("127.0.0.1:{port}"));
        }
        builder = builder.add_source(environment.source(Some(variables)));
        Ok(builder.build()?.try_deserialize()?)
    }

    /// Refuses a configuration that a node could not work with.
    pub fn check(&self) -> Result<(), ConfigError> {
        let missing = |name: &str| ConfigError::Invalid(format!("{name} is not set"));
        if self.database_url.expose().is_empty() {
            return Err(missing("DATABASE_URL"));
        }
        if self.nats_url.expose().is_empty() {
            return Err(missing("NATS_URL"));
        }
        if self.jwt_secret.expose().len() < 32 {
            return Err(ConfigError::Invalid("JWT_SECRET needs at least 32 bytes".to_owned()));
        }
        self.master_key_bytes().map(|_| ())
    }

    /// The master key's bytes.
    pub fn master_key_bytes(&self) -> Result<[u8; 32], ConfigError> {
        let invalid = || ConfigError::Invalid("CONCIERGE_MASTER_KEY needs 64 hexadecimal digits".to_owned());
        let text = self.master_key.expose();
        if text.len() != 64 || !text.is_ascii() {
            return Err(invalid());
        }
        let mut key = [0; 32];
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| invalid())?;
        }
        Ok(key)
    }

    /// Where clients reach this desk, without a slash at the end.
    pub fn public_base_url(&self) -> String {
        match self.public_url.trim_end_matches('/') {
            "" => format!("http://{}", self.listen),
            url => url.to_owned(),
        }
    }

    /// Whether super admins may look at the local outbox: where stand-ins write to it, and on a developer's machine.
    pub fn shows_outbox(&self) -> bool {
        self.push.is_local() || self.mail.is_local() || self.environment == "development"
    }

    /// How long a node that is asked to stop goes on.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// How long a command waits for the read models.
    pub fn read_your_writes(&self) -> Duration {
        Duration::from_millis(self.read_your_writes_ms)
    }
}
