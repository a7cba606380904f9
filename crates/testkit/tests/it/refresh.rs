//! Refreshing: one at a time, nothing lost, no grant declared dead that is not.

mod ahead;
mod faults;
mod flight;
mod late;
mod recovery;
mod refusals;
