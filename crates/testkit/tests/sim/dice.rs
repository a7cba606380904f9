//! Dice that fall the same way for the same seed.

use std::sync::Mutex;
use std::time::Duration;

use carnet_model::Random;

/// SplitMix64 (Steele, Lea and Flood 2014): small, and good enough to draw moments.
pub(crate) struct Dice(Mutex<u64>);

impl Dice {
    /// Seeds that are near to each other give dice that have nothing in common.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(mixed(seed)))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(*state)
    }

    /// From 0 up to `limit`, which it never is.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Whether one of `of` comes up.
    pub(crate) fn one_in(&self, of: u64) -> bool {
        self.below(of) == 0
    }

    pub(crate) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_add(0x1656_67b1_9e37_79f9);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random for Dice {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}
