//! Refreshing: one at a time, nothing lost, no grant declared dead that is not.

mod ahead;
mod brake;
mod deadline;
mod early;
mod faults;
mod flight;
mod late;
mod masses;
mod recovery;
mod refusals;
mod restored;
