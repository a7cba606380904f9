//! How many health webhooks are on their way: some for all, fewer for one team.
//!
//! Receivers that do not answer hold a place for as long as a call may take. So no team has more than an eighth of the
//! places, and who has the fewest comes first. Each process keeps this for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use carnet_model::{Id, kind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct Places {
    all: Arc<Semaphore>,
    taken: Taken,
}

/// By whom; who has none is not in it.
type Taken = Arc<Mutex<HashMap<Id<kind::Team>, usize>>>;

/// Whether there is a place.
pub(super) enum Turn {
    Go(Place),
    /// The team has its share.
    Full,
    /// There is none for anybody.
    Busy,
}

/// One attempt that may be made; free again when dropped.
pub(super) struct Place {
    team: Id<kind::Team>,
    taken: Taken,
    _one_of_all: OwnedSemaphorePermit,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), taken: Taken::default() }
    }
}

impl Places {
    pub(super) fn has_room(&self) -> bool {
        self.all.available_permits() > 0
    }

    pub(super) fn taken_by(&self, team: Id<kind::Team>) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get(&team).copied().unwrap_or_default()
    }

    pub(super) fn enter(&self, team: Id<kind::Team>) -> Turn {
        let Ok(permit) = self.all.clone().try_acquire_owned() else { return Turn::Busy };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(team).or_default();
        if *count >= OF_A_TEAM {
            return Turn::Full;
        }
        *count += 1;
        Turn::Go(Place { team, taken: self.taken.clone(), _one_of_all: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.team) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.team);
            }
        }
    }
}

/// At once, in all and of one team.
const AT_ONCE: usize = 64;
const OF_A_TEAM: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn team(number: u8) -> Id<kind::Team> {
        Id::from_bytes([number; 16])
    }

    #[test]
    fn a_team_takes_its_share_and_no_more_and_gives_it_back() {
        let places = Places::default();
        let go = |number| match places.enter(team(number)) {
            Turn::Go(place) => place,
            Turn::Full | Turn::Busy => panic!("there is a place for {number}"),
        };
        let mut held: Vec<_> = (0..8).map(|_| go(1)).collect();
        assert!(matches!(places.enter(team(1)), Turn::Full));
        assert_eq!((places.taken_by(team(1)), places.taken_by(team(2))), (8, 0));
        held.extend((2..=8).flat_map(|number| (0..8).map(move |_| number)).map(go));
        assert!(!places.has_room() && matches!(places.enter(team(9)), Turn::Busy));
        drop(held);
        assert!(places.has_room() && places.taken.lock().unwrap().is_empty());
        go(1);
    }
}
