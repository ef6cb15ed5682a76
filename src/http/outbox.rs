//! `GET local/outbox`: what would have been sent if there were keys for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{self, Envelope};
use super::body::Params;
use super::error::ApiError;
use super::openapi::ReadErrors;
use super::views::Moment;
use super::{Api, lenient};
use crate::integrations::{KeptMail, KeptNote};

/// How many are shown of each, unless more are asked for.
const SHOWN: i64 = 50;

/// How much is asked for.
#[derive(Default, Deserialize, Validate, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Shown {
    /// The most letters, and the most notes; 50 unless asked otherwise, 200 at most.
    #[serde(deserialize_with = "lenient::optional_count")]
    #[garde(skip)]
    limit: Option<i64>,
}

/// The local mailbox and push log, newest first.
#[derive(Serialize, ToSchema)]
struct LocalOutbox {
    mail: Vec<LocalMail>,
    push: Vec<LocalNote>,
}

/// A letter that was not sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LocalMail {
    id: i64,
    to: String,
    subject: String,
    text: String,
    html: String,
    /// Names the letter over all attempts.
    message_id: String,
    created_at: Moment,
}

/// A note that was not sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LocalNote {
    id: i64,
    /// The beginning of the device's token.
    device: String,
    /// Empty if the device would have shown nothing.
    title: String,
    /// Empty as well if a colleague wrote it.
    body: String,
    /// `ordinary`, `callRequest`, `call` or `silent`.
    kind: String,
    /// What the app would have read.
    data: BTreeMap<String, String>,
    created_at: Moment,
}

impl From<KeptMail> for LocalMail {
    fn from(mail: KeptMail) -> Self {
        Self {
            id: mail.id,
            to: mail.to,
            subject: mail.subject,
            text: mail.text,
            html: mail.details.html,
            message_id: mail.details.message_id,
            created_at: Moment(mail.created_at),
        }
    }
}

impl From<KeptNote> for LocalNote {
    fn from(note: KeptNote) -> Self {
        Self {
            id: note.id,
            device: note.device,
            title: note.title,
            body: note.body,
            kind: note.details.kind,
            data: note.details.data,
            created_at: Moment(note.created_at),
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(outbox))
}

/// What would have been sent, where there are no keys to send it with; for super admins.
#[utoipa::path(
    get,
    path = "/local/outbox",
    tag = "staff",
    params(Shown),
    responses(
        (status = 200, description = "The newest letters and notes", body = Envelope<LocalOutbox>),
        ReadErrors
    ),
    security(("staff" = []))
)]
async fn outbox(State(api): State<Arc<Api>>, Params(shown): Params<Shown>) -> Result<Response, ApiError> {
    if !api.config.shows_outbox() {
        return Err(ApiError::NotFound("Everything is sent here; there is no local outbox".into()));
    }
    let most = shown.limit.filter(|limit| *limit >= 1).unwrap_or(SHOWN);
    let mail = api.outbox.mails(most).await?.into_iter().map(LocalMail::from).collect();
    let push = api.outbox.notes(most).await?.into_iter().map(LocalNote::from).collect();
    Ok(answer::enveloped(StatusCode::OK, LocalOutbox { mail, push }, None))
}
