//! Puts a delivery for each device or person in the place of one for an audience.
//!
//! Nearly every fact is for some audience, and most audiences are of nobody. So whole groups are looked up and recorded at
//! once: a desk where a thousand things happen in a second must not need a thousand statements to find out that nobody
//! wants to hear of them. Nothing is sent here; whatever is lost with a crash is done again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aggregates::ids::{QueryId, UserId};
use aggregates::people::DonorSession;
use aggregates::policy::Audience;
use aggregates::recorded::{Partition, Position};
use metrics::counter;
use projections::queries::{self, QueryRow};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::carry::{ASK_AGAIN, ASK_AGAIN_STOPPED, Carrier, FRESH_WITHIN, prevented, skipped, unknown};
use super::plan::{Matter, Payload};
use super::store::{Delivery, Store, Verdict};
use super::target::Target;
use super::work::{POLL, settle, something_new, word};
use crate::accounts::User;
use crate::clock;

/// How many audiences are looked up at once.
const GROUP: usize = 256;

/// After how long somebody else may take what was taken here.
const LEASE: Duration = Duration::from_mins(1);

/// Spreads deliveries on one node.
pub(super) struct Spreader {
    pub(super) store: Store,
    pub(super) carrier: Carrier,
    pub(super) planned: watch::Sender<()>,
}

/// The devices of everybody whom a group may be for.
struct Devices {
    staff: HashMap<UserId, Vec<i64>>,
    donors: HashMap<DonorSession, Vec<i64>>,
}

/// A delivery whose audience is to be found.
struct Whole<'a> {
    delivery: &'a Delivery,
    to: Audience,
    payload: Payload,
}

impl Spreader {
    /// Spreads what is due until the stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut planned = self.planned.subscribe();
        while !stop.is_cancelled() {
            let taken = self.store.take_whole(GROUP, LEASE).await.unwrap_or_else(|error| {
                warn!(error = &error as &dyn std::error::Error, "Cannot read the deliveries");
                Vec::new()
            });
            if !taken.is_empty()
                && let Err(error) = self.spread(&taken).await
            {
                warn!(error = &error as &dyn std::error::Error, "Cannot find out who is to be told; tried again later");
            }
            if taken.len() < GROUP {
                stop.run_until_cancelled(something_new(&mut planned, POLL)).await;
            }
        }
    }

    async fn spread(&self, deliveries: &[Delivery]) -> Result<(), sqlx::Error> {
        let verdicts = self.verdicts(deliveries).await?;
        let settle = |(delivery, verdict): (_, _)| (delivery, settle(delivery, verdict));
        let settled: Vec<(&Delivery, Verdict)> = deliveries.iter().zip(verdicts).map(settle).collect();
        for (delivery, verdict) in &settled {
            let channel = delivery.channel.as_str();
            counter!("deliveries_total", "channel" => channel, "outcome" => word(verdict)).increment(1);
        }
        self.store.record_all(&settled).await?;
        if settled.iter().any(|(_, verdict)| matches!(verdict, Verdict::Each(_))) {
            self.planned.send_replace(());
        }
        Ok(())
    }

    /// What becomes of each delivery.
    async fn verdicts(&self, deliveries: &[Delivery]) -> Result<Vec<Verdict>, sqlx::Error> {
        let late = self.late(deliveries).await;
        let read: Vec<_> = deliveries.iter().map(|delivery| whole(delivery, &late)).collect();
        let wholes: Vec<&Whole<'_>> = read.iter().flatten().collect();
        let rows = self.rows(&wholes).await?;
        let devices = self.devices(&wholes, &rows).await?;
        let decide = |whole: Whole<'_>| self.targets(&whole, rows.get(&whole.delivery.query), &devices);
        Ok(read.into_iter().map(|read| read.map_or_else(|verdict| verdict, decide)).collect())
    }

    /// The partitions whose read models do not have all of these facts yet, each with the pause before asking again.
    async fn late(&self, deliveries: &[Delivery]) -> BTreeMap<Partition, Duration> {
        let mut newest: BTreeMap<Partition, Position> = BTreeMap::new();
        for delivery in deliveries {
            let position = newest.entry(Partition::of(delivery.query)).or_default();
            *position = delivery.position.max(*position);
        }
        let freshness = &self.carrier.freshness;
        let mut late = BTreeMap::new();
        for (partition, position) in newest {
            if !freshness.reached(partition, position, FRESH_WITHIN).await {
                let is_stopped = freshness.is_stopped(partition);
                late.insert(partition, if is_stopped { ASK_AGAIN_STOPPED } else { ASK_AGAIN });
            }
        }
        late
    }

    async fn rows(&self, wholes: &[&Whole<'_>]) -> Result<HashMap<QueryId, QueryRow>, sqlx::Error> {
        let ids: BTreeSet<QueryId> = wholes.iter().map(|whole| whole.delivery.query).collect();
        let rows = queries::of_ids(&self.carrier.reads, &Vec::from_iter(ids)).await?;
        Ok(rows.into_iter().map(|row| (row.query_id, row)).collect())
    }

    /// The devices of all whom the notes of a group may be for.
    async fn devices(&self, wholes: &[&Whole<'_>], rows: &HashMap<QueryId, QueryRow>) -> Result<Devices, sqlx::Error> {
        let (mut people, mut sessions) = (BTreeSet::new(), BTreeMap::new());
        for whole in wholes.iter().filter(|whole| matches!(whole.payload.matter, Matter::Push(_))) {
            let row = rows.get(&whole.delivery.query);
            match (self.staff_of(whole.to, row), row) {
                (Some(staff), _) => people.extend(staff.iter().map(|person| person.id)),
                (None, Some(row)) => drop(sessions.insert(row.donor_session.0, &row.donor_id)),
                (None, None) => {}
            }
        }
        let mut devices = Devices { staff: HashMap::new(), donors: HashMap::new() };
        if !people.is_empty() {
            for (person, device) in self.carrier.devices.of_staff(&Vec::from_iter(people)).await? {
                devices.staff.entry(person).or_default().push(device.id);
            }
        }
        if !sessions.is_empty() {
            let sessions: Vec<_> =
                sessions.into_iter().map(|(session, donor)| (donor, DonorSession(session))).collect();
            for (session, device) in self.carrier.devices.of_donors(&sessions).await? {
                devices.donors.entry(session).or_default().push(device.id);
            }
        }
        Ok(devices)
    }

    /// Whom a delivery is for now, if there is still a reason for it.
    fn targets(&self, whole: &Whole<'_>, row: Option<&QueryRow>, devices: &Devices) -> Verdict {
        if let Some(why) = prevented(&whole.payload.matter, row) {
            return skipped(why);
        }
        let staff = self.staff_of(whole.to, row);
        let targets: Vec<Target> = match (&whole.payload.matter, staff) {
            (Matter::Push(_), Some(staff)) => {
                let of = |person: &Arc<User>| (person.id, devices.staff.get(&person.id).cloned().unwrap_or_default());
                let owned = staff.iter().map(of);
                owned.flat_map(|(id, devices)| devices.into_iter().map(move |d| Target::StaffDevice(id, d))).collect()
            }
            (Matter::Push(_), None) => {
                let own = row.and_then(|row| devices.donors.get(&row.donor_session));
                let own = own.map(Vec::as_slice).unwrap_or_default();
                own.iter().map(|device| Target::DonorDevice(*device)).collect()
            }
            // Donors have no mailbox that the desk knows.
            (Matter::Mail(_), staff) => {
                let staff = staff.unwrap_or_default();
                staff.iter().filter(|p| p.email.is_some()).map(|person| Target::Mailbox(person.id)).collect()
            }
            (Matter::Room(_), _) => return unknown(),
        };
        if targets.is_empty() { skipped("nobody to tell") } else { Verdict::Each(targets) }
    }

    /// The staff members of an audience who are at work; nothing if it is the donor. Without a query, nobody holds it.
    fn staff_of(&self, to: Audience, query: Option<&QueryRow>) -> Option<Vec<Arc<User>>> {
        let carrier = &self.carrier;
        let all = || carrier.accounts.list().values().filter(|user| user.is_active).cloned().collect();
        let one = |id: Option<UserId>| -> Vec<_> { id.and_then(|id| carrier.addressee(id)).into_iter().collect() };
        let holder = query.and_then(|query| query.standing.assigned_to_id);
        match to {
            Audience::AllStaff => Some(all()),
            Audience::Staff(id) => Some(one(Some(id))),
            Audience::Holder => Some(one(holder)),
            // A holder whose account was switched off is as good as none.
            Audience::HolderOrAllStaff => Some(one(holder)).filter(|holder| !holder.is_empty()).or_else(|| Some(all())),
            Audience::Donor => None,
        }
    }
}

/// Reads a row whose audience can be looked up now; for any other, what becomes of it.
fn whole<'a>(delivery: &'a Delivery, late: &BTreeMap<Partition, Duration>) -> Result<Whole<'a>, Verdict> {
    if delivery.expires_at.is_some_and(|end| end <= clock::now()) {
        return Err(skipped("too late"));
    }
    let Some(Target::Audience(to)) = Target::parse(&delivery.target) else { return Err(unknown()) };
    let payload = serde_json::from_value(delivery.payload.clone()).map_err(|_| unknown())?;
    match late.get(&Partition::of(delivery.query)) {
        Some(after) => Err(Verdict::NotYet { after: *after }),
        None => Ok(Whole { delivery, to, payload }),
    }
}
