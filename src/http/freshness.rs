//! Reads that are as new as the client asks: `?min_position=`, and the position every read is at.

use std::borrow::Cow;

use aggregates::recorded::Position;
use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;

use super::error::{ApiError, Violation};
use super::{Api, layers};

/// Holds a read back until the read models have applied what the client has seen already.
pub(super) async fn fresh_enough(
    api: &Api,
    path: &MatchedPath,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    // What says how the desk is must not wait for it.
    let query = request.uri().query().filter(|_| path.as_str().starts_with("/api/v1/"));
    let wanted = min_position(query.unwrap_or_default())?;
    let losses = api.freshness.losses();
    if let Some(position) = wanted {
        let arrived = api.freshness.reached_all(position, api.config.read_your_writes()).await;
        if !arrived {
            return Err(not_arrived(api, position).await);
        }
    }
    // Taken before the rows are read: the answer is at least this new, unless the database lost some of it.
    let position = HeaderValue::from(api.freshness.applied().0);
    let mut response = next.run(request).await;
    if wanted.is_some() && !api.freshness.held_since(losses).await {
        return Err(ApiError::NotThereYet { current: api.freshness.applied() });
    }
    response.headers_mut().entry(&layers::POSITION).or_insert(position);
    Ok(response)
}

/// Why the read models did not get there: there is no such position, or it takes them longer.
async fn not_arrived(api: &Api, position: Position) -> ApiError {
    match api.log.head().await {
        Ok(head) if head < position => {
            ApiError::Invalid(vec![Violation::new("min_position", "max", "min_position is beyond the last fact")])
        }
        Ok(_) | Err(_) => ApiError::NotThereYet { current: api.freshness.applied() },
    }
}

fn min_position(query: &str) -> Result<Option<Position>, ApiError> {
    let is_asked = |(name, value): &(Cow<str>, Cow<str>)| name == "min_position" && !value.is_empty();
    let Some((_, text)) = form_urlencoded::parse(query.as_bytes()).find(is_asked) else { return Ok(None) };
    let wrong = || ApiError::Invalid(vec![Violation::new("min_position", "isInt", "min_position must be a position")]);
    text.parse().ok().filter(|position| *position >= 0).map(|position| Some(Position(position))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use aggregates::recorded::Position;

    use super::min_position;

    #[test]
    fn a_position_is_a_number() {
        assert_eq!(min_position("page=1&min_position=17").ok(), Some(Some(Position(17))));
        assert_eq!(min_position("page=1").ok(), Some(None));
        assert_eq!(min_position("min_position=").ok(), Some(None));
        assert!(min_position("min_position=soon").is_err());
        assert!(min_position("min_position=-1").is_err());
    }
}
