//! From what went wrong to what the caller is told.

use std::collections::BTreeSet;

use carnet_identity::KeysUnavailable;
use carnet_model::access::Denied;
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Environment, Fault, Id, Time, kind};
use carnet_providers::{DriverError, Standing};
use carnet_store::DbError;
use carnet_store::installations::Installation;

use crate::breaker::LONGEST_NAMED;

/// The store failed under a verb.
pub(crate) fn store(error: DbError) -> Fault {
    match error {
        DbError::Unavailable(_) => Fault::new(
            Code::StoreUnavailable,
            "The store does not answer, and nothing is done that cannot be recorded.",
        )
        .retry_after(2)
        .because(error),
        DbError::Conflict | DbError::Unmet(_) | DbError::Stale(_) => Fault::new(
            Code::Conflict,
            "It was changed by somebody else at the same moment. Read it again, then try again.",
        )
        .because(error),
        // A quota that a verb does not tell of itself is a mistake of ours.
        DbError::Spent(_) | DbError::Corrupt { .. } | DbError::Refused(_) => internal(error),
    }
}

/// Something that should not be possible.
pub(crate) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::new(
        Code::Internal,
        "Something went wrong inside; the server's log has it under this request's identifier.",
    )
    .because(error)
}

/// There are no keys to verify a token with; `whose` they are. A sentence of what is wrong with them is told, in which is
/// nothing that the other side wrote.
pub(crate) fn no_keys(whose: &str, error: KeysUnavailable, now: Time) -> Fault {
    let verb = if error.why.is_of_content() { "used" } else { "fetched" };
    Fault::new(Code::Unavailable, format!("The keys of {whose} cannot be {verb}: {}.", error.why))
        .retry_after(now.until(error.retry_at).as_secs().max(1))
        .because(error)
}

/// There is no such thing, or not for this caller: the same words for both.
pub(crate) fn not_found(what: &str, name: &str) -> Fault {
    let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    Fault::new(Code::NotFound, format!("There is no {what} {name:?} in this team."))
}

/// No team of this name, or none that the credential is good for.
pub(crate) fn no_team(name: &str) -> Fault {
    let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    Fault::new(Code::NotFound, format!("There is no team {name:?} for this credential."))
        .next("carnet whoami", "to see which team it is for")
}

/// No connector of this name.
pub(crate) fn no_connector(name: &str) -> Fault {
    not_found("connector", name).next("carnet list --all-projects", "to see the connectors of the team")
}

/// The command that lets a project ask in this environment too: it names all that are right afterwards, because the
/// environments of a link are replaced.
pub(crate) fn attach(
    connector: &str,
    project: Id<kind::Project>,
    linked: &[Environment],
    environment: Environment,
) -> String {
    let mut all: BTreeSet<Environment> = linked.iter().copied().collect();
    all.insert(environment);
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    format!("carnet attach {connector} -p {project} -e {}", all.join(","))
}

/// A rule said no to a caller whose project may ask in these environments.
pub(crate) fn denied(denied: Denied, connector: &str, caller: &Caller, linked: &[Environment]) -> Fault {
    let attach = match caller {
        Caller::Workload(w) => attach(connector, w.project, linked, w.environment),
        Caller::Member(_) => format!("carnet attach {connector}"),
    };
    match denied {
        Denied::OtherTeam | Denied::OtherProject => no_connector(connector),
        // The words "connector is not linked to this project" are read by an official client.
        Denied::NotLinked => Fault::new(
            Code::Forbidden,
            format!("The connector is not linked to this project: {connector} cannot be asked from here."),
        )
        .next(attach, "to let the project ask in this environment"),
        Denied::EnvironmentNotLinked => Fault::new(
            Code::EnvironmentNotLinked,
            format!(
                "The project may ask {connector}, but not in the environment {}.",
                caller.environment()
            ),
        )
        .next(attach, "to let the project ask in this environment too"),
        Denied::SubjectKindNotTrusted(kind) => Fault::new(
            Code::Forbidden,
            format!("The trust rule that recognised this workload does not let it ask for the subject {}.", kind.as_str()),
        )
        .next("carnet projects trust --help", "to change what the rule allows"),
        Denied::ForeignUser => Fault::new(
            Code::Forbidden,
            "Token subject is not accessible to this requester: an access token may act for its own user only. \
             Workloads may ask for any user of their project.",
        )
        .next("carnet env pull", "to get a development workload identity"),
        Denied::SubjectKindNotForPeople(kind) => Fault::new(
            Code::Forbidden,
            format!(
                "Token subject is not accessible to this requester: {} is for workloads, and this is an access token.",
                kind.as_str()
            ),
        )
        .next("carnet env pull", "to get a development workload identity"),
        Denied::WorkloadCannotManage(right) => Fault::new(
            Code::Forbidden,
            "A workload may ask for tokens and give back its own; managing needs a person's access token.",
        )
        .with("right", right.as_str())
        .next("carnet whoami", "to see who you are to the server")
        .next("unset CARNET_OIDC_TOKEN", "to act as yourself, if this shell was given the identity of a workload"),
        Denied::RoleTooLow(role, right) => Fault::new(
            Code::Forbidden,
            format!(
                "A {} of this team does not have the right {}: {}",
                role.as_str(),
                right.as_str(),
                in_words(right)
            ),
        )
        .with("right", right.as_str())
        .next("carnet members list", "to see who owns the team, and can do it or change a role"),
        Denied::ConnectorsAreStrict(right) => Fault::new(
            Code::Forbidden,
            format!(
                "This team keeps connectors to its owners and connector managers, so a member does not have the right {}: {}",
                right.as_str(),
                in_words(right)
            ),
        )
        .with("right", right.as_str())
        .next("carnet members list", "to see who manages connectors here"),
        Denied::TokenTooNarrow(right) => Fault::new(
            Code::Forbidden,
            format!("The access token does not carry the right {}: {}", right.as_str(), in_words(right)),
        )
        .with("right", right.as_str())
        .next("carnet tokens create --help", "to make one that does"),
        Denied::TokenOfOneProject(right) => Fault::new(
            Code::Forbidden,
            format!(
                "The access token is limited to one project, and the right {} is about the whole team: {}",
                right.as_str(),
                in_words(right)
            ),
        )
        .with("right", right.as_str())
        .next("carnet tokens create --help", "to make one that is not limited"),
    }
}

/// What a right lets people do, as the end of a sentence.
fn in_words(right: Right) -> String {
    let what = right.what();
    let mut letters = what.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// The provider or the driver said no, or nothing.
pub(crate) fn driver(error: &DriverError, connector: &str) -> Fault {
    match error {
        DriverError::Gone { cause, vendor } => {
            let fault = Fault::new(
                Code::NoToken,
                format!("{connector} holds a grant from which no token can be had: {}.", cause.sentence()),
            )
            .with("cause", cause.as_str());
            with_vendor(fault, vendor.as_ref())
        }
        DriverError::ClientRejected { vendor } => with_vendor(
            Fault::new(
                Code::ConnectorCredentialsRejected,
                format!("The provider refuses the client credentials of {connector}. No user's grant is affected."),
            ),
            Some(vendor),
        )
        .next(format!("carnet show {connector}"), "to see the client it uses; correct its id or secret"),
        DriverError::Later { .. } | DriverError::Lost => {
            let wait = if let DriverError::Later { retry_after, .. } = error { *retry_after } else { None };
            Fault::new(
                Code::ProviderUnavailable,
                format!("The provider of {connector} does not answer, or asks to wait. No grant was harmed."),
            )
            // Nobody here waits longer, whatever the provider says.
            .retry_after(wait.unwrap_or(5).clamp(1, LONGEST_NAMED.as_secs()))
        }
        DriverError::Garbage { what, .. } => Fault::new(
            Code::ProviderAnswerInvalid,
            format!(
                "The provider of {connector} answered with something that is not a token answer: {what}. No grant was harmed."
            ),
        )
        .with("flaw", *what)
        .next(format!("carnet show {connector}"), "to see which endpoint was asked, and its latest failures")
        .retry_after(5),
        DriverError::Refused { vendor } => {
            let code = match vendor.error.as_str() {
                "invalid_scope" | "insufficient_scope" => Code::InvalidScope,
                "invalid_target" | "invalid_resource" | "invalid_authorization_details" => Code::InvalidTarget,
                _ => Code::ProviderRefused,
            };
            let sentence = match code {
                Code::InvalidScope => format!("The provider of {connector} does not give these scopes."),
                Code::InvalidTarget => {
                    format!("The provider of {connector} does not give tokens for this resource, audience or detail.")
                }
                _ => format!("The provider of {connector} refused the request; its reason is in vendor."),
            };
            with_vendor(Fault::new(code, sentence), Some(vendor))
        }
        DriverError::Stray(why) => Fault::new(
            Code::InvalidTarget,
            format!("The provider of {connector} gave a token that is not what was asked, and it is not handed out: {why}."),
        ),
        DriverError::SecretEnded { at } => Fault::new(
            Code::ConnectorCredentialsRejected,
            format!("The client secret that the provider registered for {connector} has ended. No user's grant is affected."),
        )
        .with("endedAt", at.millis())
        .next(format!("carnet check {connector} --accept"), "to ask the provider for a new one"),
        DriverError::NotInstalled { vendor } => with_vendor(
            Fault::new(
                Code::InstallationRequired,
                format!("The provider of {connector} knows no such installation, or not any more."),
            ),
            Some(vendor),
        )
        .next(format!("carnet token {connector} --subject app --yes"), "to install it, in a browser"),
        DriverError::Unsupported(what) => Fault::new(Code::UnresolvedToken, format!("{connector}: {what}.")),
        DriverError::Forbidden(why) => {
            Fault::new(Code::Forbidden, format!("{connector} refuses: {why}."))
                .next(format!("carnet show {connector} --json"), "to see what its configuration allows")
        }
        // The sealed credentials themselves: what is written into data mends nothing there.
        DriverError::Misconfigured(field, why) if field == "data" => {
            Fault::new(Code::InvalidConnector, format!("The configuration of {connector} cannot work: {field}: {why}."))
                .with("field", field.clone())
        }
        DriverError::Misconfigured(field, why) => {
            let field = format!("data.{field}");
            let message = format!("The configuration of {connector} cannot work: {field}: {why}.");
            Fault::new(Code::InvalidConnector, message)
                .with("field", field)
                .next(format!("carnet update {connector} --data @FILE"), "to mend it")
        }
        DriverError::Denied | DriverError::Pending { .. } | DriverError::Callback(_) => {
            Fault::new(Code::Internal, format!("{connector} answered a token request as if it were a consent."))
        }
    }
}

/// The same about a token of an installation, of which the provider has said how it stands.
pub(crate) fn of_installation(
    error: &DriverError,
    connector: &str,
    installation: &Installation,
    standing: Standing,
) -> Fault {
    let vendor = match error {
        DriverError::NotInstalled { vendor } | DriverError::Refused { vendor } => Some(vendor),
        _ => None,
    };
    let place = installation.name.as_deref().or(installation.external_id.as_deref()).unwrap_or("its tenant");
    let fault = match standing {
        Standing::Suspended => Fault::new(
            Code::ProviderRefused,
            format!("The installation of {connector} at {place:?} is suspended at the provider: no token of it works."),
        )
        .with("reason", "installation_suspended")
        .with("cause", "suspended")
        .next(
            format!("carnet check {connector}"),
            "to ask again, once an administrator at the provider has ended the suspension",
        ),
        Standing::Gone => Fault::new(
            Code::InstallationRequired,
            format!("{connector} was uninstalled at {place:?}, and has to be installed there once more."),
        )
        .with("reason", "reinstallation_required")
        .with("cause", "uninstalled")
        .next(format!("carnet token {connector} --subject app --yes"), "to install it, in a browser"),
        Standing::Holds | Standing::Unsaid => return driver(error, connector),
    };
    with_vendor(fault, vendor)
}

fn with_vendor(fault: Fault, vendor: Option<&carnet_providers::Vendor>) -> Fault {
    match vendor.and_then(|vendor| serde_json::to_value(vendor).ok()) {
        Some(vendor) => fault.with("vendor", vendor),
        None => fault,
    }
}
