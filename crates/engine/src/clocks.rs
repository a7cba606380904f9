//! Clocks that differ: two of them look the same as a token that is old, and only the figure tells.
//!
//! Told to whoever presents a token, once its signature was found good: the times of a forged one are nobody's.

use carnet_identity::{JwtError, Presented};
use carnet_model::Time;

/// The times that a token claims.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    issued: Time,
    expires: Time,
    not_before: Option<Time>,
}

/// How far a token is from being accepted.
pub(crate) struct Off {
    pub(crate) seconds: u64,
    /// By whose clock, what, and whose clocks may differ: a sentence.
    pub(crate) sentence: String,
}

impl Times {
    pub(crate) fn of(token: &Presented<'_>) -> Self {
        let (issued, expires) = token.times();
        Self { issued, expires, not_before: token.not_before() }
    }

    /// By how much it is refused for `error`, where that is a matter of time.
    pub(crate) fn off(self, error: JwtError, now: Time) -> Option<Off> {
        let (what, by, direction) = match error {
            JwtError::Expired => ("it ended", self.expires.until(now), "ago"),
            JwtError::TooOld => ("it was issued", self.issued.until(now), "ago"),
            JwtError::NotYet => ("it begins", now.until(self.not_before?), "from now"),
            JwtError::IssuedInFuture => ("it is issued", now.until(self.issued), "in the future"),
            _ => return None,
        };
        let seconds = by.as_secs();
        let sentence = format!(
            "By this server's clock {what} {seconds} seconds {direction}; if it is fresh, the issuer's clock and this \
             server's are that far apart."
        );
        Some(Off { seconds, sentence })
    }
}
