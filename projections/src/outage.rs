//! Tells a question that has no answer from a database that cannot answer anything at the moment.

/// What sqlx 0.8 says of a server that closes a new connection without a word, as a proxy does whose own server is away.
const CLOSED_AT_ONCE: &str = "unexpected response from SSLRequest: 0x00";

/// What PostgreSQL says of a statement that it gave up: it took too long, or an operator wanted it to end.
const GIVEN_UP: &str = "57014";

/// Whether PostgreSQL gave the question up because the answer took too long. That passes, too.
pub fn is_given_up(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code == GIVEN_UP))
}

/// Whether an error has nothing to do with what was asked, so that waiting may help.
pub fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Protocol(text) => text.starts_with(CLOSED_AT_ONCE),
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing_code(&code)),
        _ => false,
    }
}

/// Connections (08), a transaction that stood still for too long (25P03), authorization while roles change (28), rollbacks
/// by deadlock or serialization (40), resources (53), locks not available (55P03), cancelled statements and shutdowns (57),
/// system errors (58).
fn is_passing_code(code: &str) -> bool {
    ["25P03", "55P03"].contains(&code)
        || ["08", "28", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_lock_passes_and_a_broken_rule_does_not() {
        assert!(is_passing_code("40P01"));
        assert!(is_passing_code("57P01"));
        assert!(is_passing_code("25P03"), "a frozen node comes back");
        assert!(!is_passing_code("25P02"), "what was asked failed before");
        assert!(!is_passing_code("23505"));
        assert!(!is_passing_code("22003"));
    }

    #[test]
    fn a_proxy_without_its_server_passes() {
        // Whether sqlx still says so is seen by the test that cuts a node off from PostgreSQL.
        let text = format!("{CLOSED_AT_ONCE} (sqlx_postgres::connection::tls:95)");
        assert!(is_passing(&sqlx::Error::Protocol(text)));
    }

    #[test]
    fn a_fact_without_its_beginning_is_not_a_passing_error() {
        assert!(!is_passing(&sqlx::Error::Protocol("came before what it changes".to_owned())));
        assert!(is_passing(&sqlx::Error::PoolTimedOut));
    }
}
