//! A token that several trusted issuers recognise.
//!
//! Of several teams the request says which is meant. Within a team, entries that agree on project and environment are one
//! answer, which allows what each of them allows; entries that do not agree are refused by name, because to choose would
//! be to guess what somebody may do.

use carnet_model::caller::{Caller, Workload};
use carnet_model::{Code, Fault, Id, kind};

use super::Recognised;

/// What all of them say together.
pub(super) fn agree(mut first: Recognised, others: &[Recognised]) -> Result<Recognised, Fault> {
    let mine = first.issuer;
    let Caller::Workload(workload) = &mut first.caller else { return Ok(first) };
    for other in others {
        let Caller::Workload(known) = &other.caller else { continue };
        if workload.team != known.team {
            return Err(Fault::new(
                Code::InvalidRequest,
                "More than one team recognises this token. Say which team is meant with teamId.",
            ));
        }
        if !same_place(workload, known) {
            return Err(apart(mine, other.issuer));
        }
        workload.subjects.retain(|kind| known.subjects.contains(kind));
    }
    Ok(first)
}

fn same_place(one: &Workload, other: &Workload) -> bool {
    one.project == other.project && one.environment == other.environment
}

/// The bearer is genuine and of this team, and may know how the entries are called.
fn apart(one: Option<Id<kind::TrustedIssuer>>, other: Option<Id<kind::TrustedIssuer>>) -> Fault {
    let mut names = [one, other].into_iter().flatten().map(|id| id.to_string());
    let (one, other) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    let fault = Fault::new(
        Code::InvalidRequest,
        format!(
            "The trusted issuers {one} and {other} both recognise this token, for different projects or environments. \
             Remove one of them, or give their rules claims that tell the workloads apart."
        ),
    );
    fault
        .next(format!("carnet projects trust show {one}"), "to see the one")
        .next(format!("carnet projects trust show {other}"), "to see the other")
}
