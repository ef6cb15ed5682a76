//! What the projectors of all nodes share through the database: checkpoints and dead letters.

use aggregates::recorded::{Partition, Position};
use sqlx::{PgPool, Row};

use super::freshness::Mark;

/// How far all read models got, per partition.
pub(super) async fn marks(pool: &PgPool) -> Result<Vec<(Partition, Mark)>, sqlx::Error> {
    let rows = sqlx::query(
        "select c.partition,
            min(c.position) as position,
            exists (
                select from public.projection_dead_letters d
                where d.partition = c.partition
            ) as stopped
         from public.projection_checkpoints c
         group by c.partition",
    )
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            let partition = Partition(row.try_get::<i16, _>("partition")?.cast_unsigned());
            Ok((partition, Mark { applied: Position(row.try_get("position")?), stopped: row.try_get("stopped")? }))
        })
        .collect()
}
