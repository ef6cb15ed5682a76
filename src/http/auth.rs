//! The door: who is asking, and may they?
//!
//! [`door`] runs before every handler, looks the route up in [`super::routes`], and leaves the caller for the extractors
//! below to pick up. A route that is not in the table lets nobody in.

use std::sync::Arc;

use aggregates::ids::DonorId;
use aggregates::people::{self, Actor};
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde_json::Value;

use super::error::ApiError;
use super::layers::ClientAddress;
use super::routes::{self, Access};
use super::trail::Trail;
use super::{Api, body, rules};
use crate::accounts::{DonorPrincipal, Principal};
use crate::config::DonorAccess;

/// Whoever sent the request, if they showed a credential that is good.
#[derive(Clone, Debug)]
pub struct Caller(pub Option<Principal>);

/// A staff member.
pub struct Staff(pub people::Staff);

/// A super admin.
pub struct SuperAdmin(pub people::Staff);

/// A donor.
pub struct Donor(pub DonorPrincipal);

/// A donor or a staff member.
pub struct Anyone(pub Principal);

/// Lets a request in, or does not.
pub(super) async fn door(api: &Arc<Api>, path: &MatchedPath, request: Request) -> Result<Request, ApiError> {
    let route = routes::find(request.method(), path.as_str()).ok_or(ApiError::Forbidden)?;
    let trail = request.extensions().get::<Trail>().cloned().unwrap_or_default();
    trail.took(route.path);
    if route.access == Access::Public {
        return Ok(request);
    }
    let (caller, mut request) = identify(api, route.access, request).await?;
    if let Some(Principal::Staff(staff)) = &caller {
        trail.sent_by(staff.id);
    }
    admit(route.access, caller.as_ref())?;
    if let Some(Principal::Donor(donor)) = &caller {
        let address = request.extensions().get::<ClientAddress>().and_then(|address| address.0);
        api.limits.donor(donor, address)?;
    }
    request.extensions_mut().insert(Caller(caller));
    Ok(request)
}

/// Finds out who is asking. Where a credential is needed, one that is not good is an error, never nobody; where none is,
/// an app with an old token can start over.
async fn identify(api: &Arc<Api>, access: Access, request: Request) -> Result<(Option<Principal>, Request), ApiError> {
    if access == Access::Anybody {
        let Ok(Some(token)) = bearer(request.headers()) else { return Ok((None, request)) };
        let principal = api.accounts.authenticate(token).await.ok();
        return Ok((principal, request));
    }
    if let Some(token) = bearer(request.headers())? {
        let principal = api.accounts.authenticate(token).await?;
        return Ok((Some(principal), request));
    }
    let may_name_donor = match access {
        Access::Donor | Access::DonorOrStaff => api.config.donor_access == DonorAccess::Open,
        Access::Public | Access::Anybody | Access::Staff | Access::SuperAdmin => false,
    };
    if !may_name_donor {
        return Ok((None, request));
    }
    let (donor, request) = named_donor(api, request).await?;
    Ok((donor.map(|donor_id| Principal::Donor(DonorPrincipal { donor_id, session: None })), request))
}

fn admit(access: Access, caller: Option<&Principal>) -> Result<(), ApiError> {
    match (access, caller) {
        (Access::Public | Access::Anybody, _)
        | (Access::Donor | Access::DonorOrStaff, Some(Principal::Donor(_)))
        | (Access::DonorOrStaff | Access::Staff, Some(Principal::Staff(_))) => Ok(()),
        (Access::SuperAdmin, Some(Principal::Staff(staff))) if staff.is_super() => Ok(()),
        (Access::Donor | Access::DonorOrStaff | Access::Staff | Access::SuperAdmin, None) => {
            Err(ApiError::Unauthorized)
        }
        (Access::Donor | Access::SuperAdmin, Some(Principal::Staff(_)))
        | (Access::Staff | Access::SuperAdmin, Some(Principal::Donor(_))) => Err(ApiError::Forbidden),
    }
}

/// The token of an `Authorization` header; any other scheme is not good.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let (scheme, token) =
        value.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or(ApiError::Unauthorized)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(ApiError::Unauthorized) }
}

/// The `donorId` that a donor app of the old system sends along: in the path, the query string or the body.
async fn named_donor(api: &Arc<Api>, request: Request) -> Result<(Option<DonorId>, Request), ApiError> {
    let (mut parts, body) = request.into_parts();
    let in_path = RawPathParams::from_request_parts(&mut parts, api)
        .await
        .ok()
        .and_then(|params| params.iter().find(|(name, _)| *name == "donorId").map(|(_, value)| value.to_owned()));
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let in_query = form_urlencoded::parse(query).find(|(name, _)| name == "donorId").map(|(_, id)| id.into_owned());
    let bytes = body::read(Request::from_parts(parts.clone(), body)).await?;
    let in_body = || match body::value_of(&parts.headers, &bytes).ok()?.get("donorId")? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    };
    let donor = in_path.or(in_query).or_else(in_body).filter(|id| rules::line(id, &()).is_ok());
    if donor.as_ref().is_some_and(|id| id.contains('\0')) {
        return Err(ApiError::malformed("malformed_donor_id", "donorId must not contain the character NUL"));
    }
    Ok((donor.map(DonorId::new), Request::from_parts(parts, Body::from(bytes))))
}

impl Caller {
    /// The caller as facts remember them, if they showed who they are.
    pub fn donor(&self) -> Option<&DonorPrincipal> {
        match &self.0 {
            Some(Principal::Donor(donor)) => Some(donor),
            Some(Principal::Staff(_)) | None => None,
        }
    }
}

/// A staff member as the one who caused a fact.
pub fn acting(staff: &people::Staff) -> Actor {
    Actor::Staff(staff.as_ref())
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, ApiError> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self(None)))
    }
}

impl FromRequestParts<Arc<Api>> for Anyone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Caller(caller) = Caller::from_request_parts(parts, api).await?;
        caller.map(Self).ok_or(ApiError::Unauthorized)
    }
}

impl FromRequestParts<Arc<Api>> for Staff {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        match Anyone::from_request_parts(parts, api).await?.0 {
            Principal::Staff(staff) => Ok(Self(staff)),
            Principal::Donor(_) => Err(ApiError::Forbidden),
        }
    }
}

impl FromRequestParts<Arc<Api>> for SuperAdmin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Staff(staff) = Staff::from_request_parts(parts, api).await?;
        if staff.is_super() { Ok(Self(staff)) } else { Err(ApiError::Forbidden) }
    }
}

impl FromRequestParts<Arc<Api>> for Donor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        match Anyone::from_request_parts(parts, api).await?.0 {
            Principal::Donor(donor) => Ok(Self(donor)),
            Principal::Staff(_) => Err(ApiError::Forbidden),
        }
    }
}

#[cfg(test)]
mod tests {
    use aggregates::ids::{DonorId, UserId};
    use aggregates::people::{Role, Staff};
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{admit, bearer};
    use crate::accounts::{DonorPrincipal, Principal};
    use crate::http::error::ApiError;
    use crate::http::routes::{Access, ROUTES};

    fn characters() -> [(&'static str, Option<Principal>); 4] {
        let staff = |role| Some(Principal::Staff(Staff { id: UserId::new(1), name: "Ada".to_owned(), role }));
        let donor = DonorPrincipal { donor_id: DonorId::new("d-1"), session: None };
        [
            ("anonymous", None),
            ("donor", Some(Principal::Donor(donor))),
            ("staff", staff(Role::Admin)),
            ("super admin", staff(Role::SuperAdmin)),
        ]
    }

    #[test]
    fn every_character_gets_through_the_doors_meant_for_them() {
        let table = [
            (Access::Public, [true, true, true, true]),
            (Access::Anybody, [true, true, true, true]),
            (Access::Donor, [false, true, false, false]),
            (Access::DonorOrStaff, [false, true, true, true]),
            (Access::Staff, [false, false, true, true]),
            (Access::SuperAdmin, [false, false, false, true]),
        ];
        for (access, expected) in table {
            for ((name, caller), expected) in characters().into_iter().zip(expected) {
                assert_eq!(admit(access, caller.as_ref()).is_ok(), expected, "{name} at {access:?}");
            }
        }
    }

    #[test]
    fn nobody_is_asked_to_log_in_and_somebody_is_forbidden() {
        for route in ROUTES {
            if let Err(error) = admit(route.access, None) {
                assert!(matches!(error, ApiError::Unauthorized), "{} {}", route.method, route.path);
            }
            for (_, caller) in &characters()[1..] {
                if let Err(error) = admit(route.access, caller.as_ref()) {
                    assert!(matches!(error, ApiError::Forbidden), "{} {}", route.method, route.path);
                }
            }
        }
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_others_are_refused() {
        let with =
            |value: &'static str| HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
        assert_eq!(bearer(&with("bEaReR abc")).ok(), Some(Some("abc")));
        assert_eq!(bearer(&HeaderMap::new()).ok(), Some(None));
        assert!(bearer(&with("Basic abc")).is_err());
        assert!(bearer(&with("abc")).is_err());
    }
}
