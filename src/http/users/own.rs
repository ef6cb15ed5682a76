//! `PUT users/me/*`: what everybody may change about their own account.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::devices::DeviceKind;
use crate::accounts::{Change, Changes, Picture};
use crate::http::auth::Staff;
use crate::http::body::Body;
use crate::http::error::{ApiError, ErrorBody};
use crate::http::layers::ClientAddress;
use crate::http::openapi::WriteErrors;
use crate::http::views::Account;
use crate::http::{Api, lenient, rules};

/// Where pushes go.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PushToken {
    /// The token of one more device; null forgets every device of the caller, and an absent key changes nothing.
    #[serde(default, deserialize_with = "lenient::change")]
    #[garde(skip)]
    #[schema(value_type = Option<String>)]
    fcm_token: Change<String>,
}

/// What others see of the caller. An absent key changes nothing.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    #[serde(default, deserialize_with = "lenient::optional_text")]
    #[garde(custom(rules::optional_name))]
    name: Option<String>,
    /// Null or empty for none.
    #[serde(default, deserialize_with = "lenient::change")]
    #[garde(custom(rules::email))]
    #[schema(value_type = Option<String>)]
    email: Change<String>,
    /// A picture as a data URL, as `POST users/me/avatar` takes it; null or empty for none. The address that an answer
    /// gave changes nothing.
    #[serde(default, deserialize_with = "lenient::change")]
    #[garde(skip)]
    #[schema(value_type = Option<String>)]
    avatar: Change<String>,
}

/// A password for another.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPassword {
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::credential))]
    current_password: String,
    /// At least 8 characters.
    #[serde(default, deserialize_with = "lenient::text")]
    #[garde(custom(rules::password))]
    new_password: String,
}

/// The account after its password changed.
#[derive(Serialize, ToSchema)]
pub(super) struct Renewed {
    #[serde(flatten)]
    user: Account,
    /// Takes the place of every token handed out before.
    access_token: String,
}

/// Be told by push.
#[utoipa::path(
    put,
    path = "/users/me/fcm-token",
    tag = "staff",
    request_body = PushToken,
    responses((status = 200, description = "The caller's account", body = Account), WriteErrors),
    security(("staff" = []))
)]
pub(super) async fn fcm_token(
    State(api): State<Arc<Api>>,
    Staff(staff): Staff,
    Body(body): Body<PushToken>,
) -> Result<Json<Account>, ApiError> {
    match body.fcm_token {
        Change::Set(token) => api.devices.register_staff(staff.id, DeviceKind::Token, &token).await?,
        Change::Clear => api.devices.clear_staff(staff.id).await?,
        Change::Keep => {}
    }
    let user = api.accounts.find(staff.id).ok_or(ApiError::Unauthorized)?;
    Ok(Json(Account::from(user.as_ref())))
}

/// Change one's name, mail address or picture.
#[utoipa::path(
    put,
    path = "/users/me/profile",
    tag = "staff",
    request_body = Profile,
    responses((status = 200, description = "The caller's account", body = Account), WriteErrors),
    security(("staff" = []))
)]
pub(super) async fn profile(
    State(api): State<Arc<Api>>,
    Staff(staff): Staff,
    Body(body): Body<Profile>,
) -> Result<Json<Account>, ApiError> {
    let own = api.accounts.find(staff.id).ok_or(ApiError::Unauthorized)?;
    // A form that shows the profile sends all of it back.
    let picture = match body.avatar {
        Change::Set(url) if own.avatar.as_ref() == Some(&url) => Change::Keep,
        Change::Set(url) => Change::Set(Picture::from_data_url(&url)?),
        Change::Clear => Change::Clear,
        Change::Keep => Change::Keep,
    };
    let changes = Changes { name: body.name, email: body.email, picture, ..Changes::default() };
    let user = api.accounts.change(staff.id, changes).await?;
    Ok(Json(Account::from(user.as_ref())))
}

/// Change one's password. Every token handed out before is void.
#[utoipa::path(
    put,
    path = "/users/me/password",
    tag = "staff",
    request_body = NewPassword,
    responses(
        (status = 200, description = "The caller's account, and a new token", body = Renewed),
        (status = 401, description = "No good credential, or another current password", body = ErrorBody),
        WriteErrors
    ),
    security(("staff" = []))
)]
pub(super) async fn password(
    State(api): State<Arc<Api>>,
    Staff(staff): Staff,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Body(body): Body<NewPassword>,
) -> Result<Json<Renewed>, ApiError> {
    let own = api.accounts.find(staff.id).ok_or(ApiError::Unauthorized)?;
    // Whoever found an open session could try passwords here as well as at the log-in.
    api.limits.log_in(address, &own.username)?;
    let replaced = api.accounts.replace_password(staff.id, &body.current_password, &body.new_password).await;
    let (user, access_token) = replaced?;
    Ok(Json(Renewed { user: Account::from(user.as_ref()), access_token }))
}
