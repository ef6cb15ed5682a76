//! How far each read model has come, per partition. The checkpoint is the fence between two projectors: it only moves
//! from where its mover believes it to be, in the transaction that writes the rows.

use aggregates::recorded::{PARTITIONS, Partition, Position};
use sqlx::{PgConnection, Row};

use crate::Projection;

/// The position every partition has been applied up to; the index is the partition.
pub async fn load(conn: &mut PgConnection, projection: Projection) -> Result<Vec<Position>, sqlx::Error> {
    let rows = sqlx::query("select partition, position from public.projection_checkpoints where projection = $1")
        .bind(projection.name())
        .fetch_all(conn)
        .await?;
    let mut positions = vec![Position::START; usize::from(PARTITIONS)];
    for row in rows {
        let partition: i16 = row.try_get("partition")?;
        if let Some(position) = usize::try_from(partition).ok().and_then(|index| positions.get_mut(index)) {
            *position = Position(row.try_get("position")?);
        }
    }
    Ok(positions)
}

/// Moves checkpoints from an old to a new position, in one statement.
///
/// `false` if any of them was not at its old position: another projector was faster, and the caller rolls back.
pub async fn advance(
    conn: &mut PgConnection,
    moves: &[(Projection, Partition, Position, Position)],
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "update public.projection_checkpoints as c
         set position = m.new_position, updated_at = now()
         from unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[])
             as m (projection, partition, old_position, new_position)
         where c.projection = m.projection
           and c.partition = m.partition
           and c.position = m.old_position",
    )
    .bind(moves.iter().map(|(projection, ..)| projection.name()).collect::<Vec<_>>())
    .bind(moves.iter().map(|(_, partition, ..)| partition.0.cast_signed()).collect::<Vec<_>>())
    .bind(moves.iter().map(|(.., old, _)| old.0).collect::<Vec<_>>())
    .bind(moves.iter().map(|(.., new)| new.0).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == moves.len() as u64)
}
