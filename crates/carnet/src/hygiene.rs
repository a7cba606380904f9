//! What keeps the memory of the server from others on the machine.
//!
//! Promised: no core dump is written, and another process of the same user can neither attach nor read the memory.
//! Not promised: anything against root, swap, or hibernation; memory is not locked.

#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Called once at the start, before any key is read. What the system refuses is said and does not stop the start.
pub(crate) fn keep_memory_to_ourselves() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be forbidden; see that the service manager does (LimitCORE=0)");
    }
    // prctl(2), PR_SET_DUMPABLE: without it, /proc/PID/mem and ptrace are open to the same user.
    #[cfg(target_os = "linux")]
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "other processes of this user cannot be kept from reading this one's memory");
    }
}
