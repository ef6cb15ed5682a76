//! `POST users/me/avatar` and `GET users/:id/avatar`: pictures of staff, outside everything that is read all the time.

use std::sync::Arc;

use aggregates::ids::UserId;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use garde::Validate;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::accounts::{Change, Changes, Picture, Principal};
use crate::http::auth::{Caller, Staff};
use crate::http::body::{Body, Id, Params};
use crate::http::error::ApiError;
use crate::http::openapi::{ReadErrors, WriteErrors};
use crate::http::views::Account;
use crate::http::{Api, lenient};

/// The picture under one address never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");
/// Without the version in the address it may.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");

/// A picture.
#[derive(Deserialize, Validate, ToSchema)]
pub(super) struct NewAvatar {
    /// A JPEG, PNG or GIF of at most 1 MiB, as a data URL.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(skip)]
    #[schema(example = "data:image/png;base64,iVBORw0KGgo=")]
    avatar: String,
}

/// Which picture.
#[derive(Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Version {
    /// As the address in the account says. Whoever knows it needs no token, so that `<img src>` works.
    #[garde(skip)]
    v: Option<String>,
}

/// Change one's picture.
#[utoipa::path(
    post,
    path = "/users/me/avatar",
    tag = "staff",
    request_body = NewAvatar,
    responses((status = 201, description = "The caller's account", body = Account), WriteErrors),
    security(("staff" = []))
)]
pub(super) async fn replace(
    State(api): State<Arc<Api>>,
    Staff(staff): Staff,
    Body(body): Body<NewAvatar>,
) -> Result<(StatusCode, Json<Account>), ApiError> {
    let picture = Picture::from_data_url(&body.avatar)?;
    let changes = Changes { picture: Change::Set(picture), ..Changes::default() };
    let user = api.accounts.change(staff.id, changes).await?;
    Ok((StatusCode::CREATED, Json(Account::from(user.as_ref()))))
}

/// What does somebody look like? For those who were told the address, and for staff.
#[utoipa::path(
    get,
    path = "/users/{id}/avatar",
    tag = "staff",
    params(("id" = i64, Path, description = "The account"), Version),
    responses(
        (status = 200, description = "A JPEG, PNG or GIF", body = String, content_type = "image/*"),
        (status = 304, description = "Still the one in If-None-Match"),
        ReadErrors
    ),
    security((), ("staff" = []))
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Caller(caller): Caller,
    Id(id): Id,
    Params(version): Params<Version>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let no_picture = || ApiError::NotFound("Avatar not found".into());
    let id = UserId::new(id);
    // From memory: whoever guesses, or has the picture already, costs no round trip.
    let current = api.accounts.picture_tag(id).ok_or_else(no_picture)?;
    let is_versioned = version.v.as_ref() == Some(&current);
    if !is_versioned && !matches!(caller, Some(Principal::Staff(_))) {
        return Err(no_picture());
    }
    let tag = format!("\"{current}\"");
    let caching = if is_versioned { FOR_EVER } else { ASK_AGAIN };
    let shared = [
        (header::ETAG, HeaderValue::from_str(&tag).map_err(|error| ApiError::Internal(Some(error.into())))?),
        (header::CACHE_CONTROL, caching),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
    ];
    if has_it(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, shared).into_response());
    }
    let picture = api.accounts.picture(id).await?.filter(|picture| picture.tag == current).ok_or_else(no_picture)?;
    Ok((shared, [(header::CONTENT_TYPE, picture.media_type)], picture.bytes).into_response())
}

/// Whether `If-None-Match` names a tag; a weak one is as good here.
fn has_it(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::has_it;

    #[test]
    fn a_client_that_has_the_picture_is_believed() {
        let with = |value: &'static str| {
            has_it(&HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(value))]), "\"a\"")
        };
        assert!(with("\"a\"") && with("W/\"a\"") && with("\"b\", \"a\"") && with("*"));
        assert!(!with("\"b\"") && !with("a"));
        assert!(!has_it(&HeaderMap::new(), "\"a\""));
    }
}
