//! `POST deliveries/:id/redeliver`: what failed for good is tried again.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tracing::info;

use super::Delivery;
use crate::http::Api;
use crate::http::answer::{Envelope, enveloped};
use crate::http::auth::Staff;
use crate::http::body::Id;
use crate::http::error::ApiError;
use crate::http::openapi::ReadErrors;
use crate::reactions::Redelivery;

/// Try a delivery again that failed for good. A call that rang long ago is not rung again.
#[utoipa::path(
    post,
    path = "/deliveries/{id}/redeliver",
    tag = "deliveries",
    params(("id" = i64, Path, description = "The delivery")),
    responses(
        (status = 200, description = "It will be tried at once", body = Envelope<Delivery>),
        (status = 409, description = "It did not fail, or by now it would come too late", body = crate::refusal::ErrorBody),
        ReadErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn redeliver(State(api): State<Arc<Api>>, Staff(by): Staff, Id(id): Id) -> Result<Response, ApiError> {
    match api.deliveries.redeliver(id).await? {
        Redelivery::Begun(row) => {
            info!(delivery.id = id, user.id = %by.id, "The delivery {id} is tried again");
            Ok(enveloped(StatusCode::OK, Delivery::from(*row), Some("Delivery will be tried again")))
        }
        Redelivery::NotDead(state) => Err(ApiError::Conflict {
            code: "delivery_not_dead",
            message: format!("the delivery is {}, so it cannot be tried again", state.as_str()).into(),
        }),
        Redelivery::TooLate => Err(ApiError::Conflict {
            code: "delivery_too_late",
            message: "by now the delivery would come too late".into(),
        }),
        Redelivery::Unknown => Err(ApiError::NotFound("Delivery not found".into())),
    }
}
