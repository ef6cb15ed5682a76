//! What the projectors of all nodes share through the database: checkpoints and dead letters.

use aggregates::recorded::{PARTITIONS, Partition, Position, RecordedEvent};
use projections::{Projection, checkpoint};
use sqlx::{PgPool, Row};

use super::freshness::Mark;

/// How far each read model got in each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoints(Vec<Vec<Position>>);

/// A fact that a read model could not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The read model.
    pub projection: Projection,
    /// Where it stopped.
    pub partition: Partition,
    /// The fact's place in the log.
    pub position: Position,
    /// What went wrong.
    pub error: String,
}

/// A checkpoint to be moved: read model, partition, from, to.
pub(super) type Move = (Projection, Partition, Position, Position);

impl Checkpoints {
    pub(super) async fn load(pool: &PgPool) -> Result<Self, sqlx::Error> {
        sqlx::query(
            "insert into public.projection_checkpoints (projection, partition, position)
             select name, number, 0
             from unnest($1::text[]) as projections (name)
             cross join generate_series(0, $2 - 1) as partitions (number)
             on conflict do nothing",
        )
        .bind(Projection::ALL.iter().map(|projection| projection.name()).collect::<Vec<_>>())
        .bind(i32::from(PARTITIONS))
        .execute(pool)
        .await?;
        let mut connection = pool.acquire().await?;
        let mut positions = Vec::new();
        for projection in Projection::ALL {
            positions.push(checkpoint::load(&mut connection, *projection).await?);
        }
        Ok(Self(positions))
    }

    pub(super) fn of(&self, projection: Projection, partition: Partition) -> Position {
        self.0[projection as usize][usize::from(partition.0)]
    }

    pub(super) fn set(&mut self, projection: Projection, partition: Partition, position: Position) {
        self.0[projection as usize][usize::from(partition.0)] = position;
    }

    /// Where the read model that is furthest behind got in a partition.
    pub(super) fn least(&self, partition: Partition) -> Position {
        Projection::ALL.iter().map(|projection| self.of(*projection, partition)).min().unwrap_or_default()
    }
}

/// How far all read models of this version got, per partition.
pub(super) async fn marks(pool: &PgPool) -> Result<Vec<(Partition, Mark)>, sqlx::Error> {
    let rows = sqlx::query(
        "select c.partition,
            min(c.position) as position,
            exists (
                select from public.projection_dead_letters d
                where d.partition = c.partition
            ) as stopped
         from public.projection_checkpoints c
         where c.projection = any($1)
         group by c.partition",
    )
    .bind(Projection::ALL.iter().map(|projection| projection.name()).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            let partition = Partition(row.try_get::<i16, _>("partition")?.cast_unsigned());
            Ok((partition, Mark { applied: Position(row.try_get("position")?), stopped: row.try_get("stopped")? }))
        })
        .collect()
}

/// What could not be applied.
pub(super) async fn dead_letters(pool: &PgPool) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let rows = sqlx::query(
        "select projection, partition, position, error
         from public.projection_dead_letters
         order by projection, partition",
    )
    .fetch_all(pool)
    .await?;
    let mut letters = Vec::new();
    for row in rows {
        // A read model that this version does not know stops nothing.
        if let Some(projection) = Projection::parse(row.try_get("projection")?) {
            letters.push(DeadLetter {
                projection,
                partition: Partition(row.try_get::<i16, _>("partition")?.cast_unsigned()),
                position: Position(row.try_get("position")?),
                error: row.try_get("error")?,
            });
        }
    }
    Ok(letters)
}

/// Parks a fact that a read model could not apply.
pub(super) async fn park(
    pool: &PgPool,
    projection: Projection,
    event: &Parked<'_>,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into public.projection_dead_letters (projection, partition, position, event_id, error)
         values ($1, $2, $3, $4, $5)
         on conflict (projection, partition) do update
         set position = excluded.position, event_id = excluded.event_id, error = excluded.error, at = now()",
    )
    .bind(projection.name())
    .bind(event.partition.0.cast_signed())
    .bind(event.position.0)
    .bind(event.event_id)
    .bind(error)
    .execute(pool)
    .await?;
    Ok(())
}

/// Which fact is parked.
pub(super) struct Parked<'a> {
    pub(super) partition: Partition,
    pub(super) position: Position,
    pub(super) event_id: &'a uuid::Uuid,
}

impl<'a> From<&'a RecordedEvent> for Parked<'a> {
    fn from(event: &'a RecordedEvent) -> Self {
        Self { partition: event.partition(), position: event.position, event_id: &event.event_id }
    }
}

/// Forgets what a read model could not apply: it will be tried again. Returns how many facts that are.
pub(super) async fn resume(pool: &PgPool, projection: Projection) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("delete from public.projection_dead_letters where projection = $1")
        .bind(projection.name())
        .execute(pool)
        .await?;
    Ok(done.rows_affected())
}

/// Forgets what any read model could not apply of some partitions. Returns how many facts that are.
pub(super) async fn retry(pool: &PgPool, partitions: &[Partition]) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("delete from public.projection_dead_letters where partition = any($1)")
        .bind(partitions.iter().map(|partition| partition.0.cast_signed()).collect::<Vec<_>>())
        .execute(pool)
        .await?;
    Ok(done.rows_affected())
}
