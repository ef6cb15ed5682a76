//! The service account that speaks to Firebase for us.

use jsonwebtoken::EncodingKey;
use serde::Deserialize;

use crate::config::PushCarrier;
use crate::integrations::SetupError;

/// Where Google hands out access tokens, for accounts that do not say so themselves.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// A service account with its private key.
pub(super) struct ServiceAccount {
    pub(super) project_id: String,
    pub(super) client_email: String,
    pub(super) key_id: Option<String>,
    pub(super) key: EncodingKey,
    pub(super) token_uri: String,
}

/// The parts of Google's key file that matter.
#[derive(Deserialize)]
struct KeyFile {
    project_id: String,
    client_email: String,
    private_key_id: Option<String>,
    private_key: String,
    token_uri: Option<String>,
}

impl ServiceAccount {
    /// Reads the account that the settings name.
    pub(super) fn read(settings: &PushCarrier) -> Result<Self, SetupError> {
        let file = settings.fcm_service_account.expose().trim();
        if !file.is_empty() {
            return Self::new(key_file(file)?);
        }
        let parts =
            [&settings.firebase_project_id, &settings.firebase_client_email, settings.firebase_private_key.expose()];
        if parts.iter().any(|part| part.trim().is_empty()) {
            return Err(invalid("FIREBASE_PROJECT_ID, FIREBASE_CLIENT_EMAIL and FIREBASE_PRIVATE_KEY go together"));
        }
        let [project_id, client_email, private_key] = parts.map(|part| part.trim().to_owned());
        Self::new(KeyFile { project_id, client_email, private_key_id: None, private_key, token_uri: None })
    }

    fn new(file: KeyFile) -> Result<Self, SetupError> {
        // It becomes part of a path.
        let is_project =
            |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:_".contains(&b));
        if !is_project(&file.project_id) {
            return Err(invalid("the service account's project is not the name of one"));
        }
        let key = EncodingKey::from_rsa_pem(pem(&file.private_key).as_bytes())
            .map_err(|_| invalid("the service account's private key is not an RSA key in PEM form"))?;
        Ok(Self {
            project_id: file.project_id,
            client_email: file.client_email,
            key_id: file.private_key_id,
            key,
            token_uri: file.token_uri.unwrap_or_else(|| TOKEN_URI.to_owned()),
        })
    }
}

fn key_file(text_or_path: &str) -> Result<KeyFile, SetupError> {
    let unreadable = |what: &str| invalid(format!("the service account's key file {what}"));
    let text = if text_or_path.starts_with('{') {
        text_or_path.to_owned()
    } else {
        std::fs::read_to_string(text_or_path).map_err(|_| unreadable("cannot be read"))?
    };
    // What serde says may quote the key.
    serde_json::from_str(&text).map_err(|_| unreadable("is not what Google hands out"))
}

/// A key as people put it into environment variables: with quotes around it, and `\n` for the ends of lines.
fn pem(key: &str) -> String {
    key.trim().trim_matches(['"', '\'']).replace("\\n", "\n")
}

fn invalid(what: impl Into<String>) -> SetupError {
    SetupError::Invalid(what.into())
}
