//! `GET /calls/:room`: where the addresses of rooms lead that the desk makes itself.

use std::sync::Arc;

use axum::response::Html;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>No sound, no picture - Proof Concierge</title>
<h1>This room has no sound and no picture</h1>
<p>The call is real: it was begun, it is on record, and it ends when somebody ends it. But this desk has no provider of calls
yet, so nothing is carried. Whoever runs it sets <code>DAILY_API_KEY</code> and <code>DAILY_DOMAIN</code>; calls that begin
after that are held at Daily.co.</p>
";

/// The room of the local stand-in, which says that it is one. The same for every name, whether or not there is such a room.
#[utoipa::path(
    get,
    path = "/calls/{room}",
    tag = "calls",
    params(("room" = String, Path, description = "The room")),
    responses((status = 200, description = "A page for people", content_type = "text/html", body = String)),
)]
async fn room() -> Html<&'static str> {
    Html(PAGE)
}

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(room))
}
