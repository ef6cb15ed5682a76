//! What only an import does to the log besides appending: choosing ids, and settling which query holds its donor's claim.

use aggregates::ids::{DonorId, QueryId};
use aggregates::policy::Claim;
use sqlx::PgPool;

use super::{Log, LogError};

impl Log {
    /// Never hands out the ids up to these, of queries, messages, calls and requests. `owner` is a pool of the schema's
    /// owner; blocks that nodes hold already are not touched.
    pub async fn skip_ids(&self, owner: &PgPool, highest: [i64; 4]) -> Result<(), LogError> {
        let sequences = ["query_ids", "message_ids", "call_ids", "call_request_ids"];
        for (sequence, highest) in sequences.into_iter().zip(highest) {
            sqlx::query(&format!("select setval('{sequence}', greatest(last_value, $1)) from {sequence}"))
                .bind(highest.max(1))
                .execute(owner)
                .await?;
        }
        Ok(())
    }

    /// Lets go of the claims of imported queries that are no longer to hold one. A query that went on here keeps its own.
    pub async fn release_imported_claims(
        &self,
        owner: &PgPool,
        claimants: &[(QueryId, DonorId)],
    ) -> Result<(), LogError> {
        sqlx::query(
            "delete from claims c
             where c.aggregate_type = 'DonorQuery'
             and c.aggregate_id <> all ($1)
             and not exists (
                 select from events e
                 where e.query_id = c.aggregate_id::bigint
                 and e.aggregate_type <> 'StaffChat'
                 and e.metadata ->> 'imported_from' is null
             )",
        )
        .bind(claimants.iter().map(|(query, _)| query.to_string()).collect::<Vec<_>>())
        .execute(owner)
        .await?;
        Ok(())
    }

    /// Has imported queries hold their donors' claims, where nobody else does.
    pub async fn take_imported_claims(&self, owner: &PgPool, claimants: &[(QueryId, DonorId)]) -> Result<(), LogError> {
        let (queries, keys): (Vec<_>, Vec<_>) =
            claimants.iter().map(|(query, donor)| (query.get(), Claim::OpenQueryOf(donor.clone()).key())).unzip();
        sqlx::query(
            "insert into claims (key, aggregate_type, aggregate_id)
             select wanted.key, 'DonorQuery', wanted.query::text
             from unnest($1::bigint[], $2::text[]) as wanted (query, key)
             where exists (select from events e where e.query_id = wanted.query)
             and not exists (
                 select from events e
                 where e.query_id = wanted.query
                 and e.aggregate_type <> 'StaffChat'
                 and e.metadata ->> 'imported_from' is null
             )
             on conflict (key) do nothing",
        )
        .bind(queries)
        .bind(keys)
        .execute(owner)
        .await?;
        Ok(())
    }
}
