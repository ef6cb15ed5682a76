//! Which requests are worth remembering, and what of them.
//!
//! The outermost layer lays a trail that the door and the handlers leave their marks on; when the answer is on its way
//! out, the layer decides. Nothing that a caller wrote is kept: routes come without their values.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aggregates::ids::UserId;
use axum::http::{Method, StatusCode};

use crate::activity::{Noted, RequestKind};
use crate::clock;

/// What is known of a request by the time it is answered. Clones share their marks.
#[derive(Clone, Default)]
pub(super) struct Trail(Arc<Marks>);

#[derive(Default)]
struct Marks {
    route: OnceLock<String>,
    staff: OnceLock<UserId>,
    subject: OnceLock<i64>,
}

/// What the outermost layer knows of a request.
pub(super) struct Outline {
    pub(super) request_id: Arc<str>,
    pub(super) method: Method,
    /// Its route, if the door did not see it.
    pub(super) route: Option<&'static str>,
    pub(super) address: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
}

impl Trail {
    /// Which line of the table of routes it is. Only the first mark counts, here and below.
    pub(super) fn took(&self, route: &str) {
        self.0.route.get_or_init(|| route.to_owned());
    }

    /// Which staff member sent it.
    pub(super) fn sent_by(&self, staff: UserId) {
        self.0.staff.get_or_init(|| staff);
    }

    /// What it is about: the number in its path, or the account that somebody logs in to.
    pub(super) fn is_about(&self, subject: i64) {
        self.0.subject.get_or_init(|| subject);
    }

    /// What is remembered of the request, if anything.
    pub(super) fn note(&self, seen: Outline, status: StatusCode, code: Option<&str>, took: Duration) -> Option<Noted> {
        let route = self.0.route.get().map(String::as_str).or(seen.route);
        let kind = kind(&seen.method, route, status)?;
        Some(Noted {
            at: clock::now(),
            kind,
            staff: self.0.staff.get().copied(),
            subject: self.0.subject.get().copied(),
            request_id: seen.request_id.to_string(),
            method: seen.method.to_string(),
            route: route.map(str::to_owned),
            status: status.as_u16(),
            code: code.map(str::to_owned),
            address: seen.address,
            user_agent: seen.user_agent,
            took,
        })
    }
}

fn kind(method: &Method, route: Option<&str>, status: StatusCode) -> Option<RequestKind> {
    let is_change = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if status.is_server_error() {
        Some(RequestKind::Error)
    } else if route == Some("/api/v1/auth/login") {
        Some(RequestKind::LogIn)
    } else if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        Some(RequestKind::Refused)
    } else if is_change && status.is_success() && route.is_some_and(|route| route.starts_with("/api/v1/users")) {
        Some(RequestKind::Account)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, StatusCode};

    use super::kind;
    use crate::activity::RequestKind;

    #[test]
    fn what_matters_later_is_remembered_and_the_rest_is_not() {
        let login = Some("/api/v1/auth/login");
        let users = Some("/api/v1/users/{id}");
        for (method, route, status, expected) in [
            (Method::POST, login, 201, Some(RequestKind::LogIn)),
            (Method::POST, login, 401, Some(RequestKind::LogIn)),
            (Method::POST, login, 503, Some(RequestKind::Error)),
            (Method::PUT, users, 200, Some(RequestKind::Account)),
            (Method::PUT, users, 409, None),
            (Method::GET, users, 200, None),
            (Method::GET, users, 403, Some(RequestKind::Refused)),
            (Method::GET, None, 404, None),
            (Method::POST, Some("/api/v1/donor-queries"), 429, Some(RequestKind::Refused)),
            (Method::POST, Some("/api/v1/donor-queries"), 201, None),
        ] {
            let status = StatusCode::from_u16(status).expect("a status code");
            assert_eq!(kind(&method, route, status), expected, "{method} {route:?} {status}");
        }
    }
}
