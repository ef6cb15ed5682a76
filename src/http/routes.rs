//! Who may call what: every route of the API in one table.
//!
//! The door in [`super::auth`] reads it on each request and lets nobody in by a route that is not listed; a test walks it
//! against the router. The same table spells paths: it tells fixed words, which match in any letter case, from values.

use std::sync::OnceLock;

use axum::http::Method;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; a credential is not looked at.
    Public,
    /// Anybody; a credential counts if it is good and is ignored if not.
    Anybody,
    /// The donor whose query it is.
    Donor,
    /// The donor whose query it is, and staff.
    DonorOrStaff,
    /// Staff.
    Staff,
    /// Super admins.
    SuperAdmin,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with values in braces.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

const fn get(path: &'static str, access: Access) -> Route {
    Route { method: Method::GET, path, access }
}

const fn post(path: &'static str, access: Access) -> Route {
    Route { method: Method::POST, path, access }
}

const fn put(path: &'static str, access: Access) -> Route {
    Route { method: Method::PUT, path, access }
}

const fn patch(path: &'static str, access: Access) -> Route {
    Route { method: Method::PATCH, path, access }
}

const fn delete(path: &'static str, access: Access) -> Route {
    Route { method: Method::DELETE, path, access }
}

/// The table.
pub const ROUTES: &[Route] = &[
    get("/", Access::Public),
    get("/calls/{room}", Access::Public),
    get("/health", Access::Anybody),
    get("/health/ping", Access::Public),
    get("/health/live", Access::Public),
    get("/health/ready", Access::Public),
    get("/health/advanced", Access::Anybody),
    get("/health/advanced/detailed", Access::Staff),
    get("/metrics", Access::Public),
    post("/api/v1/auth/login", Access::Public),
    get("/api/v1/users", Access::Staff),
    get("/api/v1/users/me", Access::Staff),
    get("/api/v1/users/{id}", Access::Staff),
    post("/api/v1/users", Access::SuperAdmin),
    put("/api/v1/users/{id}", Access::SuperAdmin),
    delete("/api/v1/users/{id}", Access::SuperAdmin),
    put("/api/v1/users/me/fcm-token", Access::Staff),
    put("/api/v1/users/me/profile", Access::Staff),
    put("/api/v1/users/me/password", Access::Staff),
    post("/api/v1/users/me/avatar", Access::Staff),
    get("/api/v1/users/{id}/avatar", Access::Anybody),
    get("/api/v1/logs", Access::SuperAdmin),
    get("/api/v1/logs/{filename}", Access::SuperAdmin),
    get("/api/v1/logs/search/{type}", Access::SuperAdmin),
    get("/api/v1/logs/stats/overview", Access::SuperAdmin),
    post("/api/v1/donor-queries", Access::Anybody),
    get("/api/v1/donor-queries", Access::Staff),
    post("/api/v1/donor-queries/start-call", Access::Anybody),
    get("/api/v1/donor-queries/general", Access::Staff),
    get("/api/v1/donor-queries/unassigned", Access::Staff),
    get("/api/v1/donor-queries/my-queries", Access::Staff),
    get("/api/v1/donor-queries/transferred-to-me", Access::Staff),
    get("/api/v1/donor-queries/in-progress", Access::Staff),
    get("/api/v1/donor-queries/pending-reply", Access::Staff),
    get("/api/v1/donor-queries/resolved", Access::Staff),
    get("/api/v1/donor-queries/transferred", Access::Staff),
    get("/api/v1/donor-queries/status/{status}", Access::Staff),
    get("/api/v1/donor-queries/filtered/statuses", Access::Staff),
    get("/api/v1/donor-queries/user", Access::DonorOrStaff),
    get("/api/v1/donor-queries/user/{email}", Access::Staff),
    get("/api/v1/donor-queries/donor/{donorId}", Access::DonorOrStaff),
    get("/api/v1/donor-queries/admin/{id}", Access::Staff),
    get("/api/v1/donor-queries/{id}", Access::Staff),
    patch("/api/v1/donor-queries/{id}", Access::DonorOrStaff),
    delete("/api/v1/donor-queries/{id}", Access::SuperAdmin),
    get("/api/v1/donor-queries/{id}/is-accepted", Access::DonorOrStaff),
    patch("/api/v1/donor-queries/{id}/accept", Access::Staff),
    patch("/api/v1/donor-queries/{id}/resolve", Access::Staff),
    post("/api/v1/donor-queries/{id}/resolve", Access::Staff),
    patch("/api/v1/donor-queries/{id}/transfer", Access::Staff),
    post("/api/v1/donor-queries/{id}/transfer", Access::Staff),
    post("/api/v1/donor-queries/{id}/pending-reply", Access::Staff),
    post("/api/v1/donor-queries/{id}/in-progress", Access::Staff),
    post("/api/v1/donor-queries/{id}/send-reminder", Access::Staff),
    post("/api/v1/donor-queries/{id}/donor-close", Access::Donor),
    post("/api/v1/communication/call", Access::Staff),
    post("/api/v1/communication/call/{id}", Access::Staff),
    delete("/api/v1/communication/call/{id}", Access::Staff),
    post("/api/v1/communication/call/{id}/direct-call", Access::Donor),
    post("/api/v1/communication/call/{id}/request", Access::Donor),
    get("/api/v1/communication/call/{id}/requests", Access::Staff),
    post("/api/v1/communication/call/{id}/cancel-request", Access::Donor),
    post("/api/v1/communication/call/{id}/cancel-request/{requestId}", Access::Donor),
    post("/api/v1/communication/call/{id}/accept-request", Access::Staff),
    post("/api/v1/communication/call/{id}/accept-request/{requestId}", Access::Staff),
    post("/api/v1/communication/call/{id}/reject-request/{requestId}", Access::Staff),
    get("/api/v1/communication/call/{id}/active-call", Access::DonorOrStaff),
    put("/api/v1/communication/call/{id}/status", Access::Staff),
    post("/api/v1/communication/call/{id}/end", Access::Staff),
    post("/api/v1/communication/call/{id}/donor-end", Access::Donor),
    get("/api/v1/communication/call/calls/{id}", Access::Staff),
    get("/api/v1/communication/calls/{id}", Access::Staff),
    get("/api/v1/communication/call/call-session/{id}", Access::Staff),
    get("/api/v1/communication/call-session/{id}", Access::Staff),
    put("/api/v1/communication/{id}", Access::Staff),
    post("/api/v1/communication/request-call", Access::DonorOrStaff),
    get("/api/v1/communication/call-requests/{id}", Access::Staff),
    post("/api/v1/communication/cancel-call-request", Access::DonorOrStaff),
    post("/api/v1/messages", Access::DonorOrStaff),
    get("/api/v1/messages", Access::Staff),
    get("/api/v1/messages/query/{id}", Access::DonorOrStaff),
    post("/api/v1/messages/donor/{id}", Access::Donor),
    get("/api/v1/messages/donor/{id}", Access::Staff),
    get("/api/v1/messages/between/{one}/{other}", Access::Staff),
    post("/api/v1/messages/admin/{id}", Access::Staff),
    get("/api/v1/messages/admin/{id}", Access::Staff),
    post("/api/v1/messages/system/{id}", Access::Staff),
    post("/api/v1/chat/messages", Access::Staff),
    get("/api/v1/chat/messages", Access::Staff),
    get("/api/v1/chat/messages/donor-query/{id}", Access::Staff),
    get("/api/v1/chat/messages/between/{one}/{other}", Access::Staff),
    get("/api/v1/deliveries", Access::Staff),
    post("/api/v1/deliveries/{id}/redeliver", Access::Staff),
    post("/api/v1/webhooks/daily", Access::Public),
    get("/api/v1/local/outbox", Access::SuperAdmin),
];

/// The paths of the live feed, which has a door of its own: here only to be spelled.
const FEED: &[&str] = &["/api/v1/ws", "/api/v1/events", "/api/v1/events/stream", "/api/v1/events/ticket"];

/// The line of a route; `HEAD` goes where `GET` goes.
pub(super) fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    ROUTES.iter().find(|route| route.method == *method && route.path == path)
}

/// A path of the live feed, without its query string.
pub(super) fn of_feed(path: &str) -> Option<&'static str> {
    let spelled = canonical(path);
    FEED.iter().copied().find(|known| *known == spelled)
}

/// The path as the router spells it: fixed words in lower case, no slash at the end. Values stay as they are, and so does
/// everything behind a word that the table does not know.
pub(super) fn canonical(path: &str) -> String {
    let mut node = root();
    let mut spelled = String::with_capacity(path.len());
    let mut rest = path.trim_start_matches('/');
    while !rest.is_empty() {
        let (word, behind) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(step) = node.step(word) else { return format!("{spelled}/{rest}") };
        spelled.push('/');
        spelled.push_str(step.literal.unwrap_or(word));
        node = step.next;
        rest = behind.trim_start_matches('/');
    }
    if spelled.is_empty() { "/".to_owned() } else { spelled }
}

/// The table as a tree of path segments.
#[derive(Default)]
struct Node {
    literals: Vec<(&'static str, Node)>,
    value: Option<Box<Node>>,
}

struct Step {
    literal: Option<&'static str>,
    next: &'static Node,
}

fn root() -> &'static Node {
    static ROOT: OnceLock<Node> = OnceLock::new();
    ROOT.get_or_init(|| {
        let mut root = Node::default();
        for path in ROUTES.iter().map(|route| route.path).chain(FEED.iter().copied()) {
            root.insert(path);
        }
        root
    })
}

impl Node {
    fn insert(&mut self, path: &'static str) {
        let mut node = self;
        for word in path.split('/').filter(|word| !word.is_empty()) {
            node = if word.starts_with('{') { node.value.get_or_insert_default() } else { node.literal(word) };
        }
    }

    fn literal(&mut self, word: &'static str) -> &mut Self {
        let index = self.literals.iter().position(|(known, _)| *known == word).unwrap_or_else(|| {
            self.literals.push((word, Self::default()));
            self.literals.len() - 1
        });
        &mut self.literals[index].1
    }

    fn step(&'static self, word: &str) -> Option<Step> {
        let literal = self.literals.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        match (literal, &self.value) {
            (Some((known, next)), _) => Some(Step { literal: Some(known), next }),
            (None, Some(next)) => Some(Step { literal: None, next }),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::Method;
    use utoipa::openapi::OpenApi;

    use super::{Access, ROUTES, Route, canonical, find};

    #[test]
    fn fixed_words_match_in_any_case_and_values_stay() {
        assert_eq!(canonical("/API/v1/Donor-Queries/General/"), "/api/v1/donor-queries/general");
        assert_eq!(
            canonical("/api/v1/donor-queries/USER/Ada@Example.org"),
            "/api/v1/donor-queries/user/Ada@Example.org"
        );
        assert_eq!(canonical("/api/v1/donor-queries/17/Accept"), "/api/v1/donor-queries/17/accept");
        assert_eq!(canonical("/api/v1/donor-queries/donor/General"), "/api/v1/donor-queries/donor/General");
        assert_eq!(canonical("/Health/"), "/health");
        assert_eq!(canonical("/api/v1/Events/Stream/"), "/api/v1/events/stream");
        assert_eq!(canonical("//"), "/");
        assert_eq!(canonical("/API/docs/"), "/api/docs/");
        assert_eq!(canonical("/elsewhere/About/"), "/elsewhere/About/");
    }

    #[test]
    fn head_goes_where_get_goes() {
        assert_eq!(find(&Method::HEAD, "/health/ping").map(|route| route.access), Some(Access::Public));
        assert!(find(&Method::PUT, "/health/ping").is_none());
    }

    #[test]
    fn the_table_and_the_router_have_the_same_routes() {
        let document = serde_json::to_value(crate::http::openapi(OpenApi::default())).expect("plain data");
        let paths = document["paths"].as_object().expect("paths");
        let served: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |(method, _)| (path, method)))
            .map(|(path, method)| format!("{} {path}", method.to_uppercase()))
            .collect();
        let listed = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(served, listed);
    }

    #[test]
    fn no_route_is_listed_twice() {
        for (index, route) in ROUTES.iter().enumerate() {
            let again =
                ROUTES[index + 1..].iter().any(|other| other.method == route.method && other.path == route.path);
            assert!(!again, "{} {} is listed twice", route.method, route.path);
        }
    }

    #[test]
    fn only_super_admins_delete_what_stays_deleted() {
        // A room is deleted when its call is over, by whoever may end it.
        let is_room = |route: &&Route| route.path.starts_with("/api/v1/communication/call/");
        let mut deletions = ROUTES.iter().filter(|route| route.method == Method::DELETE && !is_room(route));
        assert!(deletions.all(|route| route.access == Access::SuperAdmin));
    }
}
