//! `logs*`: what happened at the desk, for super admins, in the shapes of the old system's log files. There are no files:
//! a "file" is a journal's part of one day.

mod files;
mod line;
mod search;
mod stats;

use std::sync::Arc;

use aggregates::ids::UserId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::views::People;
use crate::accounts::User;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(files::list))
        .routes(routes!(files::one))
        .routes(routes!(search::search))
        .routes(routes!(stats::overview))
}

/// Those whose name has a text, in any letter case: lines tell the name that an account has now, if no fact tells another.
fn named(people: &People, text: Option<&str>) -> Vec<UserId> {
    let Some(text) = text.map(str::to_lowercase) else { return Vec::new() };
    let is_named = |user: &User| user.name.to_lowercase().contains(&text);
    people.iter().filter(|(_, user)| is_named(user)).map(|(id, _)| *id).collect()
}

/// A number of bytes for people.
#[allow(clippy::cast_precision_loss, reason = "one decimal of a size is shown")]
fn formatted(bytes: i64) -> String {
    const UNITS: [&str; 4] = ["Bytes", "KB", "MB", "GB"];
    let mut size = bytes as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"");
    while size >= 1024.0
        && let Some(larger) = units.next()
    {
        size /= 1024.0;
        unit = larger;
    }
    let text = format!("{size:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::formatted;

    #[test]
    fn sizes_are_told_in_the_largest_unit_that_fits() {
        assert_eq!(formatted(0), "0 Bytes");
        assert_eq!(formatted(1_023), "1023 Bytes");
        assert_eq!(formatted(1_536), "1.5 KB");
        assert_eq!(formatted(3 << 20), "3 MB");
        assert_eq!(formatted(5 << 40), "5120 GB");
    }
}
