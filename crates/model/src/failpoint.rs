//! Named points at which a process can be made to fail, so that tests can ask what becomes of it then.
//!
//! Every step after which it matters that the next one comes has a name here, with the ways of failing that can happen
//! there. The code at the point asks [`Env::failing`]; a test hands in an [`Env`] whose [`Failures`] has an answer.
//!
//! Promised: a build without debug assertions, so every release, does not ask. There the answer is a constant, what
//! would follow from another one is not compiled, and the names are not in the binary.

use std::time::Duration;

use crate::env::Env;

/// What decides at the points.
pub trait Failures: Send + Sync + 'static {
    /// What happens at this point, this time. It may also not return.
    fn at(&self, point: Point) -> Option<Failing>;
}

/// What the code at a point is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// Go on as if the step had failed.
    Error,
    /// Stand still for this long, then go on.
    Stall(Duration),
}

/// A way of failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The process is gone.
    Abort,
    /// [`Failing::Error`]
    Error,
    /// [`Failing::Stall`]
    Stall,
}

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, [$($way:ident),+];)*) => {
        /// The points.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Point { $($(#[doc = $doc])+ $name,)* }

        impl Point {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What can happen there.
            pub const fn ways(self) -> &'static [Way] {
                match self { $(Self::$name => &[$(Way::$way),+]),* }
            }
        }
    };
}

points! {
    /// Writes are taken up; nothing of them is in the database.
    StoreBegin = "store.begin", [Abort, Error, Stall];
    /// Everything is in the transaction, which is not committed.
    StoreCommit = "store.commit", [Abort, Error, Stall];
    /// It is committed, and nobody was told. An error: the word of it is lost on the way.
    StoreCommitted = "store.committed", [Abort, Error, Stall];
    /// The store is open, its keys are not.
    StartOpened = "start.opened", [Abort, Error, Stall];
    /// Everything is read, nobody is served.
    StartReady = "start.ready", [Abort, Error, Stall];
    /// A file of spilled tokens was read and not handed to the store.
    SpillReplay = "spill.replay", [Abort, Error, Stall];
    /// The store does not take new tokens, and they are in no file.
    SpillWrite = "spill.write", [Abort, Error, Stall];
    /// They are in a file.
    SpillWritten = "spill.written", [Abort, Stall];
    /// What was left open by others was found, and nothing done about it.
    RecoverJudge = "recover.judge", [Abort, Error, Stall];
    /// A refresh is about to be recorded as sent.
    RefreshIntend = "refresh.intend", [Abort, Error, Stall];
    /// It is recorded as sent, and the provider was not asked.
    RefreshIntended = "refresh.intended", [Abort, Error, Stall];
    /// The provider gave new tokens, and they are nowhere but in memory. An error: the answer is lost.
    RefreshAnswered = "refresh.answered", [Abort, Error, Stall];
    /// The new tokens are durable, and nobody has them.
    RefreshRecorded = "refresh.recorded", [Abort, Stall];
    /// The provider said that the grant is dead, and nothing was recorded.
    RefreshRefused = "refresh.refused", [Abort, Error, Stall];
    /// New tokens came too late for their grant, and are nowhere but in memory.
    OrphanKeep = "orphan.keep", [Abort, Error, Stall];
    /// They are kept, and not used.
    OrphanAdopt = "orphan.adopt", [Abort, Error, Stall];
    /// A consent's answer was taken, and the code not exchanged.
    ConsentTaken = "consent.taken", [Abort, Error, Stall];
    /// The provider gave tokens for the code, and they are nowhere but in memory.
    ConsentExchanged = "consent.exchanged", [Abort, Error, Stall];
    /// The grant is durable, and the browser has no answer.
    ConsentRecorded = "consent.recorded", [Abort, Stall];
    /// A token of the application was made, and is nowhere but in memory.
    MintAnswered = "mint.answered", [Abort, Error, Stall];
    /// A token was found or made, and that it is handed out is not recorded.
    TokenRecord = "token.record", [Abort, Error, Stall];
    /// That it is handed out is recorded, and it was not.
    TokenRecorded = "token.recorded", [Abort, Stall];
    /// Grants are withdrawn here, and the provider was not told.
    RevokeWithdrawn = "revoke.withdrawn", [Abort, Stall];
    /// The provider was told, and the grant is still there.
    RevokeTold = "revoke.told", [Abort, Error, Stall];
}

impl Way {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Error => "error",
            Self::Stall => "stall",
        }
    }
}

impl Env {
    /// What the code at a point is to do: nothing, but in tests.
    #[cfg(debug_assertions)]
    pub fn failing(&self, point: Point) -> Option<Failing> {
        self.failures()?.at(point)
    }

    /// What the code at a point is to do: nothing.
    #[cfg(not(debug_assertions))]
    #[inline]
    pub const fn failing(&self, _: Point) -> Option<Failing> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    struct Always;

    impl Failures for Always {
        fn at(&self, _: Point) -> Option<Failing> {
            Some(Failing::Error)
        }
    }

    #[test]
    fn names_are_distinct_and_each_says_what_can_happen() {
        let mut seen = std::collections::BTreeSet::new();
        for point in Point::ALL {
            assert!(seen.insert(point.as_str()), "{} twice", point.as_str());
            assert!(point.ways().contains(&Way::Abort), "{}: a process can always end", point.as_str());
        }
    }

    #[test]
    fn only_a_build_for_development_fails_on_purpose() {
        let env = Env::system().with_failures(Arc::new(Always));
        let fails = env.failing(Point::StoreBegin).is_some();
        assert_eq!(fails, cfg!(debug_assertions));
        assert_eq!(Env::system().failing(Point::StoreBegin), None);
    }
}
