//! Calls: asking for one, answering, starting, joining and ending.
//!
//! The room comes first, the facts follow in one append ([`begin`]): a provider that is down changes nothing. A call is
//! named by its room where the old system did so, and by its query everywhere else; whose it is, is checked on what the
//! path leads to, never on the path.

mod answering;
mod asking;
mod begin;
mod older;
mod reading;
mod rooms;
mod start;

use std::sync::Arc;

use aggregates::ids::RoomName;
use aggregates::vocabulary::CallMode;
use garde::Validate;
use projections::calls::{self, CallRow};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiError;
use super::{Api, lenient, rules};

pub(super) use self::begin::{Begun, Start, begin, begun_call, turn};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(start::start, rooms::delete))
        .routes(routes!(start::direct))
        .routes(routes!(asking::ask))
        .routes(routes!(asking::pending))
        .routes(routes!(asking::withdraw_pending))
        .routes(routes!(asking::withdraw))
        .routes(routes!(answering::accept_pending))
        .routes(routes!(answering::accept))
        .routes(routes!(answering::reject))
        .routes(routes!(reading::active))
        .routes(routes!(reading::of_query))
        .routes(routes!(reading::of_query_too))
        .routes(routes!(reading::session))
        .routes(routes!(reading::session_too))
        .routes(routes!(rooms::set_status))
        .routes(routes!(rooms::end))
        .routes(routes!(rooms::end_as_donor))
        .routes(routes!(older::start))
        .routes(routes!(older::request))
        .routes(routes!(older::answer))
        .routes(routes!(older::pending))
        .routes(routes!(older::withdraw))
}

/// How a call is to be held. Everything else that clients send along is ignored.
#[derive(Default, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wish {
    /// `VIDEO`, `AUDIO` or `SCREEN`, in any letter case; it wins over `callType`.
    #[serde(deserialize_with = "lenient::optional_word")]
    #[garde(custom(rules::call_type))]
    mode: Option<String>,
    /// `video` or `audio`, in any letter case: the other generation's word for `mode`.
    #[serde(deserialize_with = "lenient::optional_word")]
    #[garde(custom(rules::call_type))]
    call_type: Option<String>,
}

impl Wish {
    /// How the call is to be held, if it was said.
    pub(super) fn mode(&self) -> Option<CallMode> {
        self.mode.as_deref().or(self.call_type.as_deref()).and_then(CallMode::parse)
    }
}

/// The call that is or was held in a room.
async fn in_room(api: &Api, room: String) -> Result<CallRow, ApiError> {
    calls::by_room(&api.reads, &RoomName::new(room)).await?.ok_or_else(no_such_call)
}

fn no_such_call() -> ApiError {
    ApiError::NotFound("Call session not found".into())
}
