//! What a text is found in: a query's test, stage and device, or its donor's name and id.
//!
//! A search has two steps. The first asks the indexes of texts for the terms and donors that match; the second asks for
//! queries with those. So the planner knows what it looks for, and need not guess how often a text occurs.

use sqlx::{PgPool, Postgres, QueryBuilder};

/// How many matches of a kind are named. Names tell the planner how many rows there are, and cost it what they weigh.
const NAMED: usize = 5_000;

/// What matches a text.
pub(super) struct Matches {
    pattern: String,
    /// Tests, stages and devices.
    terms: Named<String>,
    /// Queries whose donors match.
    queries: Named<i64>,
}

/// Matches by name. If there are more, whether something matches has to be looked up when its turn comes.
struct Named<T> {
    these: Vec<T>,
    has_more: bool,
}

impl Matches {
    /// Asks what contains a text, in any letter case.
    pub(super) async fn of(text: &str, db: &PgPool) -> Result<Self, sqlx::Error> {
        let pattern = containing(text);
        let donors = if is_indexed(text) { "search like $1" } else { "search || '' like $1 order by query_id desc" };
        let (terms, queries) = sqlx::query_as(&format!(
            "select array(select term from query_terms where search like $1 limit $2),
                    array(select query_id from query_details where {donors} limit $2)"
        ))
        .bind(&pattern)
        .bind(i64::try_from(NAMED + 1).unwrap_or(i64::MAX))
        // Planned for this text, as some occur in every donor's name.
        .persistent(false)
        .fetch_one(db)
        .await?;
        Ok(Self { pattern, terms: Named::new(terms), queries: Named::new(queries) })
    }

    /// Whether there are more than are named.
    pub(super) fn has_more(&self) -> bool {
        self.terms.has_more || self.queries.has_more
    }

    /// Those that are named, as if there were no more.
    pub(super) fn named(&self) -> Self {
        Self { pattern: self.pattern.clone(), terms: self.terms.alone(), queries: self.queries.alone() }
    }

    /// Appends the condition that a row of `queries` matches.
    pub(super) fn push<'a>(&'a self, sql: &mut QueryBuilder<'a, Postgres>) {
        sql.push("(");
        for column in ["test", "stage", "device"] {
            if self.terms.has_more {
                self.push_look_up(&format!("query_terms where term = queries.{column}"), sql);
                sql.push(" or ");
            } else if !self.terms.these.is_empty() {
                sql.push(column).push(" = any(").push_bind(&self.terms.these).push(") or ");
            }
        }
        if self.queries.has_more {
            self.push_look_up("query_details where query_id = queries.query_id", sql);
        } else {
            sql.push("query_id = any(").push_bind(&self.queries.these).push(")");
        }
        sql.push(")");
    }

    /// One value, so that PostgreSQL looks it up for one query, and does not collect those of all queries first.
    fn push_look_up<'a>(&'a self, of_one: &str, sql: &mut QueryBuilder<'a, Postgres>) {
        sql.push(format!("(select search from {of_one}) like ")).push_bind(&self.pattern);
    }
}

impl<T: Clone> Named<T> {
    fn new(mut these: Vec<T>) -> Self {
        let has_more = these.len() > NAMED;
        these.truncate(NAMED);
        Self { these, has_more }
    }

    fn alone(&self) -> Self {
        Self { these: self.these.clone(), has_more: false }
    }
}

/// Whether an index can find a text: it knows three letters or digits in a row. PostgreSQL would read all of it for less,
/// which takes several times as long as to read the table.
fn is_indexed(text: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric()).any(|word| word.chars().count() >= 3)
}

/// The pattern that matches text containing this one, letter for letter.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
