//! How many feeds may be open at a time: in all, per address, and per donor's session.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aggregates::ids::DonorId;
use aggregates::people::DonorSession;

use super::error::PushError;
use super::feed::Audience;
use crate::accounts::DonorPrincipal;
use crate::network;

/// How many feeds may be open at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatLimits {
    /// On this node.
    pub total: usize,
    /// From one address; an office behind one address shares it.
    pub per_address: usize,
    /// Of one donor's session; of one donor's name, where a name is enough.
    pub per_donor: usize,
}

impl Default for SeatLimits {
    fn default() -> Self {
        Self { total: 20_000, per_address: 5_000, per_donor: 32 }
    }
}

/// Hands out seats. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    limits: SeatLimits,
    taken: Arc<Mutex<Taken>>,
}

/// The right to keep one feed open; given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    address: IpAddr,
    donor: Option<Sitter>,
}

/// Whom a donor's seat counts for. Anybody may begin a session in the name of any donor, so a session answers for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Sitter {
    Session(DonorSession),
    Named(DonorId),
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    addresses: HashMap<IpAddr, usize>,
    donors: HashMap<Sitter, usize>,
}

impl Seats {
    pub(super) fn new(limits: SeatLimits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// Takes a seat before it is known who sits there.
    pub(super) fn at_address(&self, address: IpAddr) -> Result<Seat, PushError> {
        let address = network::household(address);
        let mut taken = self.lock();
        if taken.total >= self.limits.total {
            return Err(PushError::Full);
        }
        take(&mut taken.addresses, &address, self.limits.per_address)?;
        taken.total += 1;
        Ok(Seat { seats: self.clone(), address, donor: None })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Counters are changed one at a time, so a panic elsewhere does not spoil them.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts the seat for who sits there, and no longer for who sat there before.
    pub(super) fn of(&mut self, audience: &Audience) -> Result<(), PushError> {
        let mut taken = self.seats.lock();
        if let Some(before) = self.donor.take() {
            give_back(&mut taken.donors, &before);
        }
        if let Audience::Donor(donor) = audience {
            let sitter = Sitter::of(donor);
            take(&mut taken.donors, &sitter, self.seats.limits.per_donor)?;
            self.donor = Some(sitter);
        }
        Ok(())
    }
}

impl Sitter {
    fn of(donor: &DonorPrincipal) -> Self {
        donor.session.map_or_else(|| Self::Named(donor.donor_id.clone()), Self::Session)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.total -= 1;
        give_back(&mut taken.addresses, &self.address);
        if let Some(donor) = &self.donor {
            give_back(&mut taken.donors, donor);
        }
    }
}

fn take<K: Clone + Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K, limit: usize) -> Result<(), PushError> {
    let count = counts.entry(key.clone()).or_default();
    if *count >= limit {
        return Err(PushError::TooMany);
    }
    *count += 1;
    Ok(())
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use uuid::Uuid;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_seat_given_up_can_be_taken_again() {
        let seats = Seats::new(SeatLimits { total: 5, per_address: 1, per_donor: 1 });
        let seat = seats.at_address(HERE).ok();
        assert!(matches!(seats.at_address(HERE), Err(PushError::TooMany)));
        drop(seat);
        assert!(seats.at_address(HERE).is_ok());
    }

    fn dora(session: Option<u128>) -> Audience {
        let session = session.map(|session| DonorSession(Uuid::from_u128(session)));
        Audience::Donor(DonorPrincipal { donor_id: DonorId::new("d-1"), session })
    }

    #[test]
    fn nobody_takes_the_seats_of_a_donor_by_using_the_name() {
        let seats = Seats::new(SeatLimits { total: 5, per_address: 5, per_donor: 1 });
        let sit = |who: Audience| {
            let mut seat = seats.at_address(HERE).expect("five are enough for all");
            seat.of(&who).map(|()| seat)
        };
        let _stranger = sit(dora(Some(1)));
        let _nameless = sit(dora(None));
        let donor = sit(dora(Some(2)));
        assert!(donor.is_ok());
        assert!(matches!(sit(dora(Some(2))), Err(PushError::TooMany)));
    }

    #[test]
    fn a_donor_cannot_sit_everywhere() {
        for donor in [dora(None), dora(Some(1))] {
            cannot_sit_everywhere(&donor);
        }
    }

    fn cannot_sit_everywhere(donor: &Audience) {
        let seats = Seats::new(SeatLimits { total: 5, per_address: 5, per_donor: 1 });
        let mut first = seats.at_address(HERE).expect("the room is empty");
        let mut second = seats.at_address(HERE).expect("four seats are left");
        assert!(first.of(donor).is_ok());
        assert!(matches!(second.of(donor), Err(PushError::TooMany)));
        drop(first);
        assert!(second.of(donor).is_ok());
    }

    #[test]
    fn who_sits_down_again_is_counted_once() {
        let seats = Seats::new(SeatLimits { total: 5, per_address: 5, per_donor: 1 });
        let donor = dora(None);
        let mut seat = seats.at_address(HERE).expect("the room is empty");
        assert!(seat.of(&donor).is_ok() && seat.of(&donor).is_ok());
        drop(seat);
        assert!(seats.lock().donors.is_empty());
    }

    #[test]
    fn a_full_node_turns_everybody_away() {
        let seats = Seats::new(SeatLimits { total: 1, per_address: 5, per_donor: 1 });
        let _seat = seats.at_address(HERE).ok();
        assert!(matches!(seats.at_address(HERE), Err(PushError::Full)));
    }
}
