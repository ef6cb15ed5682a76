//! Whom an audience is at the moment: the devices and mailboxes that something is for.
//!
//! Nearly every fact is for some audience, and most audiences are of nobody. So whole groups are looked up at once: a desk
//! where a thousand things happen in a second must not need a thousand statements to find out that nobody wants to hear of
//! them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aggregates::ids::{QueryId, UserId};
use aggregates::people::DonorSession;
use aggregates::policy::Audience;
use aggregates::recorded::{Partition, Position};
use futures_util::future::join_all;
use projections::queries::{self, QueryRow};

use super::carry::{Carrier, skipped, unknown};
use super::plan::{Matter, Payload};
use super::store::Verdict;
use super::target::Target;
use crate::accounts::User;

/// Something that is for an audience.
pub(super) struct Whole<'a> {
    /// The fact it follows from.
    pub(super) position: Position,
    /// The query it is about; the place of a chat.
    pub(super) query: QueryId,
    pub(super) to: Audience,
    pub(super) payload: &'a Payload,
}

/// Looks audiences up.
pub(super) struct Audiences {
    carrier: Carrier,
}

/// The devices of everybody whom a group may be for.
struct Devices {
    staff: HashMap<UserId, Vec<i64>>,
    donors: HashMap<DonorSession, Vec<i64>>,
}

impl Audiences {
    pub(super) const fn new(carrier: Carrier) -> Self {
        Self { carrier }
    }

    /// What becomes of each: whom it is for, that it is for nobody any more, or that the read models do not show its fact
    /// within the given time. One that they show does not wait for others that they do not.
    pub(super) async fn verdicts(&self, wholes: &[Whole<'_>], patience: Duration) -> Result<Vec<Verdict>, sqlx::Error> {
        if wholes.is_empty() {
            return Ok(Vec::new());
        }
        self.wait(wholes, patience).await;
        let rows = self.rows(wholes).await?;
        let devices = self.devices(wholes, &rows).await?;
        Ok(wholes.iter().map(|whole| self.targets(whole, rows.get(&whole.query), &devices)).collect())
    }

    /// Waits for the read models to have all of these facts, but not for long. The rows then tell which facts they have.
    async fn wait(&self, wholes: &[Whole<'_>], patience: Duration) {
        let mut newest: BTreeMap<Partition, Position> = BTreeMap::new();
        for whole in wholes {
            let position = newest.entry(Partition::of(whole.query)).or_default();
            *position = whole.position.max(*position);
        }
        let freshness = &self.carrier.freshness;
        join_all(newest.into_iter().map(|(partition, position)| freshness.reached(partition, position, patience)))
            .await;
    }

    async fn rows(&self, wholes: &[Whole<'_>]) -> Result<HashMap<QueryId, QueryRow>, sqlx::Error> {
        let ids: BTreeSet<QueryId> = wholes.iter().map(|whole| whole.query).collect();
        let rows = queries::of_ids_or_deleted(&self.carrier.reads, &Vec::from_iter(ids)).await?;
        Ok(rows.into_iter().map(|row| (row.query_id, row)).collect())
    }

    /// The devices of all whom the notes of a group may be for.
    async fn devices(&self, wholes: &[Whole<'_>], rows: &HashMap<QueryId, QueryRow>) -> Result<Devices, sqlx::Error> {
        let (mut people, mut sessions) = (BTreeSet::new(), BTreeMap::new());
        for whole in wholes.iter().filter(|whole| matches!(whole.payload.matter, Matter::Push(_))) {
            let row = rows.get(&whole.query);
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
        if let Some(verdict) = self.carrier.prevented(whole.query, whole.position, &whole.payload.matter, row) {
            return verdict;
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
