//! One call of `append_batch`: jobs to arrays, rows to verdicts.

use aggregates::recorded::{Position, StreamId};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::{ClaimRow, Job, Verdict, Written};
use crate::log::AppendError;

/// What a batch did.
pub(super) struct Outcome {
    /// One verdict per job, in order.
    pub(super) verdicts: Vec<Verdict>,
    /// The last position written, if anything was.
    pub(super) last: Option<Position>,
}

const SQL: &str = "select command, status, first_position, last_position, other_type, other_id, at from append_batch(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, \
    $26, $27, $28)";

type Reply = (i32, String, Option<i64>, Option<i64>, Option<String>, Option<String>, Option<DateTime<Utc>>);

/// Writes the jobs. Nothing of them is written on an error.
pub(super) async fn append(connection: &mut PgConnection, jobs: &[Job]) -> Result<Outcome, sqlx::Error> {
    let arrays = Arrays::of(jobs);
    let replies: Vec<Reply> = sqlx::query_as(SQL)
        .bind(arrays.check_command)
        .bind(arrays.check_type)
        .bind(arrays.check_id)
        .bind(arrays.check_expected)
        .bind(arrays.event_command)
        .bind(arrays.event_aggregate_type)
        .bind(arrays.event_aggregate_id)
        .bind(arrays.event_sequence)
        .bind(arrays.event_type)
        .bind(arrays.event_version)
        .bind(arrays.event_payload)
        .bind(arrays.event_metadata)
        .bind(arrays.event_id)
        .bind(arrays.event_query)
        .bind(arrays.event_digest)
        .bind(arrays.claim_command)
        .bind(arrays.claim_key)
        .bind(arrays.claim_type)
        .bind(arrays.claim_id)
        .bind(arrays.claim_take)
        .bind(arrays.key_command)
        .bind(arrays.key_scope)
        .bind(arrays.key_key)
        .bind(arrays.key_hash)
        .bind(arrays.donor_key_command)
        .bind(arrays.donor_key_id)
        .bind(arrays.donor_key_donor)
        .bind(arrays.donor_key_wrapped)
        .fetch_all(connection)
        .await?;
    verdicts(jobs, replies)
}

/// The arguments of `append_batch`, borrowed from the jobs.
#[derive(Default)]
struct Arrays<'a> {
    check_command: Vec<i32>,
    check_type: Vec<&'a str>,
    check_id: Vec<String>,
    check_expected: Vec<i64>,
    event_command: Vec<i32>,
    event_aggregate_type: Vec<&'a str>,
    event_aggregate_id: Vec<&'a str>,
    event_sequence: Vec<i64>,
    event_type: Vec<&'a str>,
    event_version: Vec<&'a str>,
    event_payload: Vec<&'a str>,
    event_metadata: Vec<&'a str>,
    event_id: Vec<Uuid>,
    event_query: Vec<i64>,
    event_digest: Vec<&'a [u8]>,
    claim_command: Vec<i32>,
    claim_key: Vec<&'a str>,
    claim_type: Vec<&'a str>,
    claim_id: Vec<String>,
    claim_take: Vec<bool>,
    key_command: Vec<i32>,
    key_scope: Vec<&'a str>,
    key_key: Vec<&'a str>,
    key_hash: Vec<&'a [u8]>,
    donor_key_command: Vec<i32>,
    donor_key_id: Vec<Uuid>,
    donor_key_donor: Vec<&'a str>,
    donor_key_wrapped: Vec<&'a [u8]>,
}

impl<'a> Arrays<'a> {
    fn of(jobs: &'a [Job]) -> Self {
        let mut arrays = Self::default();
        for (job, command) in jobs.iter().zip(0..) {
            arrays.add(job, command);
        }
        arrays
    }

    fn add(&mut self, job: &'a Job, command: i32) {
        for (stream, expected) in &job.checks {
            self.check_command.push(command);
            self.check_type.push(stream.aggregate_type());
            self.check_id.push(stream.aggregate_id());
            self.check_expected.push(*expected);
        }
        for row in &job.rows {
            self.event_command.push(command);
            self.event_aggregate_type.push(&row.event.aggregate_type);
            self.event_aggregate_id.push(&row.event.aggregate_id);
            self.event_sequence.push(row.event.sequence);
            self.event_type.push(&row.event.event_type);
            self.event_version.push(&row.event.event_version);
            self.event_payload.push(row.event.payload.get());
            self.event_metadata.push(row.event.metadata.get());
            self.event_id.push(row.event.event_id);
            self.event_query.push(row.event.query.get());
            self.event_digest.push(&row.digest);
        }
        for ClaimRow { key, take, stream } in &job.claims {
            self.claim_command.push(command);
            self.claim_key.push(key);
            self.claim_type.push(stream.aggregate_type());
            self.claim_id.push(stream.aggregate_id());
            self.claim_take.push(*take);
        }
        if let Some(key) = &job.key {
            self.key_command.push(command);
            self.key_scope.push(&key.scope);
            self.key_key.push(&key.key);
            self.key_hash.push(&key.request_hash);
        }
        if let Some(key) = &job.new_key {
            self.donor_key_command.push(command);
            self.donor_key_id.push(key.id);
            self.donor_key_donor.push(key.donor.as_str());
            self.donor_key_wrapped.push(&key.wrapped);
        }
    }
}

/// Refused commands are named in the reply; the others stand one after the other behind the base.
fn verdicts(jobs: &[Job], replies: Vec<Reply>) -> Result<Outcome, sqlx::Error> {
    let malformed = || sqlx::Error::Protocol("append_batch gave a reply this version does not know".to_owned());
    let mut refusals: Vec<Option<Verdict>> = jobs.iter().map(|_| None).collect();
    let mut base = None;
    for (command, status, first, last, other_type, other_id, at) in replies {
        if command < 0 {
            base = first.zip(at);
            continue;
        }
        let other = other_type.zip(other_id).and_then(|(kind, id)| StreamId::parse(&kind, &id));
        let refusal = match (status.as_str(), first.zip(last), other) {
            ("replayed", Some((first, last)), _) => {
                Ok(Written::Replayed { first: Position(first), last: Position(last) })
            }
            ("key_reused", _, _) => Err(AppendError::KeyReused),
            ("conflict", _, Some(stream)) => Err(AppendError::Conflict(stream)),
            (claimed, _, Some(holder)) if claimed.starts_with("claimed:") => {
                Err(AppendError::Claimed { key: claimed["claimed:".len()..].to_owned(), holder })
            }
            _ => return Err(malformed()),
        };
        let slot = usize::try_from(command).ok().and_then(|command| refusals.get_mut(command));
        slot.ok_or_else(malformed)?.get_or_insert(refusal);
    }
    let (base, at) = base.ok_or_else(malformed)?;
    let mut next = base + 1;
    let verdicts = jobs
        .iter()
        .zip(refusals)
        .map(|(job, refusal)| {
            refusal.unwrap_or_else(|| {
                let first = Position(next);
                next += i64::try_from(job.rows.len()).unwrap_or_default();
                Ok(Written::Recorded { first, at })
            })
        })
        .collect();
    Ok(Outcome { verdicts, last: (next > base + 1).then_some(Position(next - 1)) })
}
