//! What holds for every history.

use proptest::prelude::*;

use crate::donor_query::{DonorQuery, DonorQueryEvent};
use crate::policy::{ClaimChange, claim_change};
use crate::testing::{donor_id, given, random_history};

proptest! {
    #[test]
    fn a_snapshot_and_the_tail_lead_where_a_full_replay_leads(
        seed: u64,
        len in 1_usize..300,
        cut in any::<prop::sample::Index>(),
    ) {
        let past = random_history(seed, len);
        let (head, tail) = past.split_at(cut.index(len + 1));
        let stored = serde_json::to_string(&given(head.to_vec()).state()).expect("a state is plain data");
        let snapshot: DonorQuery = serde_json::from_str(&stored).expect("it was written a moment ago");
        let resumed = tail.iter().cloned().fold(snapshot, DonorQuery::evolve);
        prop_assert_eq!(resumed, given(past).state());
    }

    #[test]
    fn calls_come_one_at_a_time_and_end_before_a_query_closes_or_changes_hands(seed: u64) {
        let mut live = None;
        for fact in random_history(seed, 300) {
            let ends_calls = matches!(
                fact,
                DonorQueryEvent::QueryTransferred { .. }
                    | DonorQueryEvent::QueryResolved { .. }
                    | DonorQueryEvent::QueryClosedByDonor { .. }
            );
            if let DonorQueryEvent::CallAttached { call, .. } = fact {
                prop_assert_eq!(live.replace(call), None);
            } else if let DonorQueryEvent::CallDetached { call, .. } = fact {
                prop_assert_eq!(live.take(), Some(call));
            } else if ends_calls {
                prop_assert_eq!(live, None);
            }
        }
    }

    #[test]
    fn a_query_takes_its_donors_only_place_and_lets_go_of_it_in_turns(seed: u64) {
        let mut taken = false;
        for fact in random_history(seed, 300) {
            match claim_change(&fact, &donor_id()) {
                Some(ClaimChange::Take(_)) => prop_assert!(!std::mem::replace(&mut taken, true)),
                Some(ClaimChange::Release(_)) => prop_assert!(std::mem::replace(&mut taken, false)),
                None => {}
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_history(seed: u64, len in 0_usize..300) {
        let past = random_history(seed, len);
        prop_assert_eq!(past.len(), len);
        prop_assert_eq!(past, random_history(seed, len));
    }
}

#[test]
fn random_histories_come_by_every_fact_but_a_deletion() {
    let mut met: Vec<_> = (0..50).flat_map(|seed| random_history(seed, 200)).map(|fact| fact.name()).collect();
    met.sort_unstable();
    met.dedup();
    assert_eq!(met.len(), 18, "{met:?}");
}
