//! Typed values in and out of columns.

use sqlx::postgres::PgRow;
use sqlx::{Encode, FromRow, Postgres, QueryBuilder, Row, Type};

use crate::Each;

/// An id.
pub(crate) fn id<T>(row: &PgRow, column: &str, wrap: fn(i64) -> T) -> Result<T, sqlx::Error> {
    row.try_get(column).map(wrap)
}

/// An id that may be absent.
pub(crate) fn optional_id<T>(row: &PgRow, column: &str, wrap: fn(i64) -> T) -> Result<Option<T>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(wrap))
}

/// Rows, each understood on its own, with one of their ids.
pub(crate) fn each<I, T>(rows: &[PgRow], column: &str, wrap: fn(i64) -> I) -> Result<Each<I, T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    rows.iter().map(|row| Ok((id(row, column, wrap)?, T::from_row(row)))).collect()
}

/// One of the words of the wire contract.
pub(crate) fn word<T>(row: &PgRow, column: &str, parse: fn(&str) -> Option<T>) -> Result<T, sqlx::Error> {
    let word: &str = row.try_get(column)?;
    parse(word).ok_or_else(|| unknown(column, word))
}

/// One of the words of the wire contract, or none.
pub(crate) fn optional_word<T>(
    row: &PgRow,
    column: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, sqlx::Error> {
    let word: Option<&str> = row.try_get(column)?;
    word.map(|word| parse(word).ok_or_else(|| unknown(column, word))).transpose()
}

fn unknown(column: &str, word: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: format!("unknown word {word:?}").into() }
}

/// Narrows a list by a condition on a value, if there is a value.
pub(crate) fn push<'a, T>(sql: &mut QueryBuilder<'a, Postgres>, condition: &str, value: Option<T>)
where
    T: 'a + Encode<'a, Postgres> + Type<Postgres>,
{
    if let Some(value) = value {
        sql.push(condition).push_bind(value);
    }
}
