//! Whether the store takes writes: seen by writing.
//!
//! A store that can be read is not one that can be written: a disk is full, a file is held, a database is a standby.

use carnet_model::Time;

use crate::row::args;
use crate::write::Step;

/// Writes the one row that is there for it. That it commits is the answer.
pub fn beat(now: Time) -> Step {
    Step::one("update pulse set beat_at = $1 where one = 1", args![now])
}
