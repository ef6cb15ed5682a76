//! Messages: posting and reading them. The author of a message is whoever the credential names.

mod chat;
mod colleagues;
mod post;
mod read;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(post::anyone, read::list))
        .routes(routes!(post::donor, read::of_donor))
        .routes(routes!(post::staff, read::of_query_for_staff))
        .routes(routes!(post::system))
        .routes(routes!(read::of_query))
        .routes(routes!(read::between))
        .routes(routes!(chat::say, chat::list))
        .routes(routes!(chat::of_query))
        .routes(routes!(chat::between))
}
