//! Staff accounts: to be read, managed by super admins, and changed by oneself. Bare answers, as the dashboard expects.

mod avatar;
mod manage;
mod own;
mod read;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;

/// The most bytes of a body with a picture in it: a mebibyte in base64, and a little.
const PICTURE_LIMIT: usize = 1536 * 1024;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    let with_pictures = OpenApiRouter::new()
        .routes(routes!(own::profile))
        .routes(routes!(avatar::replace))
        .layer(DefaultBodyLimit::max(PICTURE_LIMIT));
    OpenApiRouter::new()
        .routes(routes!(read::me))
        .routes(routes!(read::all, manage::create))
        .routes(routes!(read::one, manage::update, manage::deactivate))
        .routes(routes!(own::fcm_token))
        .routes(routes!(own::password))
        .routes(routes!(avatar::show))
        .merge(with_pictures)
}
