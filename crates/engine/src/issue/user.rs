//! Tokens of people, and those of the application that an installation left: from the grant at the place of the request.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::grant::{Cause, GrantState};
use carnet_model::{Code, Fault, ScopeRequest, Scopes, Subject, Time};
use carnet_providers::MintAsk;
use carnet_store::grants::{self, GrantRow};

use super::{Found, Plan, Source, Wanted};
use crate::broker::Broker;
use crate::directory::Entry;
use crate::explain::consent;
use crate::faults;
use crate::refresh::{RenewFailure, Urgency, ahead_of_time, due};
use crate::sealing::{Facts, GrantSecret, MadeToken};

/// A grant that gives what is wanted, as far as can be known without its provider.
pub(crate) struct Given {
    pub(crate) row: GrantRow,
    pub(crate) secret: GrantSecret,
    /// Another token has to be made, with just these scopes.
    pub(crate) narrowed: Option<Scopes>,
}

/// No grant gives what is wanted.
pub(crate) struct Unmet {
    /// By which of [`GRANT_RULES`]; none where nothing was decided, because the store does not answer.
    pub(crate) rule: Option<&'static str>,
    pub(crate) fault: Fault,
}

/// What is asked of a grant, in this order. For `explain`.
pub(crate) const GRANT_RULES: [&str; 4] = ["grant-given", "grant-active", "grant-resources", "grant-scopes"];

impl Broker {
    /// `renewed` says that this very request has had the grant renewed, and begins again under the rules that are new
    /// since.
    pub(crate) async fn user_token(
        &self,
        entry: &Arc<Entry>,
        wanted: &Wanted,
        renewed: bool,
    ) -> Result<Found, Fault> {
        let Given { row, secret, narrowed } = self.given(entry, wanted).await.map_err(|unmet| unmet.fault)?;
        let mut found = match narrowed {
            None => self.granted_token(entry, wanted, row.clone(), secret, renewed).await?,
            Some(scopes) => self.narrowed_token(entry, wanted, &row, &secret.facts, scopes).await?,
        };
        let now = self.inner.env.now();
        if now.millis() - row.last_used_at.millis() > HOUR_MS {
            // By the row as it was read: a refresh that came in between has set its own time.
            let due = due(&row.grant, entry.idle());
            found.changes.push(grants::used(wanted.place.team, row.grant.id, now, due));
        }
        Ok(found)
    }

    /// The grant at the place of the request, if it is there, works, and has what is wanted.
    pub(crate) async fn given(&self, entry: &Entry, wanted: &Wanted) -> Result<Given, Unmet> {
        let failed = |fault| Unmet { rule: None, fault };
        let unmet = |rule, fault| Unmet { rule: Some(rule), fault };
        let row =
            grants::at(&self.inner.db, &wanted.place).await.map_err(|error| failed(faults::store(error)))?;
        let row = row.ok_or_else(|| unmet("grant-given", consent_required(entry, wanted, None)))?;
        match row.grant.state {
            GrantState::Active => {}
            GrantState::NeedsConsent { cause, .. } => {
                return Err(unmet("grant-active", consent_required(entry, wanted, Some(cause))));
            }
            GrantState::Withdrawn { .. } => {
                return Err(unmet("grant-given", consent_required(entry, wanted, None)));
            }
        }
        let secret = self.inner.open_grant(&row.grant, &row.held).map_err(|error| {
            tracing::error!(grant = %row.grant.id, connector = %row.grant.place.connector, "{error}");
            unmet("grant-active", unreadable(entry, wanted))
        })?;
        // RFC 8707 §2.2: of what was consented to.
        if let Some(unasked) = wanted.to_consent.beyond(&secret.facts) {
            return Err(unmet("grant-resources", unasked.fault(entry, wanted)));
        }
        let narrowed = match wanted.plan_of(&row, &secret) {
            Plan::Missing(missing) => {
                return Err(unmet("grant-scopes", more_consent_required(entry, wanted, &missing)));
            }
            Plan::AsGranted => None,
            Plan::Narrow(scopes) => Some(scopes),
        };
        Ok(Given { row, secret, narrowed })
    }

    /// The grant's own token: as held, if it lives long enough; else renewed; else, if renewing fails and says nothing
    /// about the grant, as held while it lives.
    async fn granted_token(
        &self,
        entry: &Arc<Entry>,
        wanted: &Wanted,
        row: GrantRow,
        secret: GrantSecret,
        renewed: bool,
    ) -> Result<Found, Fault> {
        let now = self.inner.env.now();
        let ends = row.grant.access_expires_at;
        if let Some(key) = secret.held.key() {
            // A key has no end unless somebody said so when it was imported.
            if spent(&row, &secret, now) {
                self.grant_over(entry, &row, Cause::Expired).await?;
                return Err(consent_required(entry, wanted, Some(Cause::Expired)));
            }
            let made = MadeToken {
                token: key.duplicate(),
                facts: secret.facts,
                expires_at: row.grant.access_expires_at,
            };
            return Ok(Found::kept(made, Source::Store));
        }
        // Another refresh would give one that lives as long, and may kill this one; and the rules are new after it, so that
        // this very request comes here again.
        let is_new = (entry.abilities.old_access_dies || renewed)
            && row.grant.updated_at.plus(NEW) > now
            && ends.is_some_and(|end| end > now);
        let fits = ends.is_none_or(|end| end > now.plus(wanted.buffer));
        let lives = (fits || is_new) && secret.held.access().is_some();
        if lives {
            return made_from(secret, &row, Source::Store);
        }
        if !is_renewable(&row, now) {
            return if ends.is_some() && !spent(&row, &secret, now) {
                made_from(secret, &row, Source::Store)
            } else {
                self.grant_over(entry, &row, Cause::Expired).await?;
                Err(consent_required(entry, wanted, Some(Cause::Expired)))
            };
        }
        let still_lives = ends.is_some_and(|end| end > now) && !entry.abilities.old_access_dies;
        let urgency = if still_lives { Urgency::Wish } else { Urgency::Now };
        let renewal = self.renew(entry.clone(), &row, now.plus(wanted.buffer), urgency);
        // Who has a living token does not wait long for a better one; the refresh goes on without it.
        let patience = if still_lives { IMPATIENT } else { PATIENT };
        let renewed = tokio::time::timeout(patience, renewal).await.unwrap_or(Err(RenewFailure::Busy));
        match renewed {
            // The provider may have given other scopes than before, or somebody consented anew: what was a fitting
            // token before need not be one now.
            Ok(renewed) => {
                let secret =
                    self.inner.open_grant(&renewed.grant, &renewed.held).map_err(faults::internal)?;
                match wanted.plan_of(&renewed, &secret) {
                    Plan::Missing(missing) => Err(more_consent_required(entry, wanted, &missing)),
                    Plan::Narrow(scopes) => {
                        self.narrowed_token(entry, wanted, &renewed, &secret.facts, scopes).await
                    }
                    // What the provider gave was for something else, and only what it is renewed with was kept.
                    Plan::AsGranted if secret.held.access().is_none() => Err(stray(entry, &secret)),
                    Plan::AsGranted => made_from(secret, &renewed, Source::Provider),
                }
            }
            Err(failure)
                if failure.spares_the_token()
                    && ends.is_some_and(|end| end > self.inner.env.now())
                    && still_lives =>
            {
                made_from(secret, &row, Source::Store)
            }
            Err(failure) => Err(failure.fault(entry, |cause| consent_required(entry, wanted, cause))),
        }
    }

    /// A token with less than was granted, or bound to a target: by a refresh that asks for just that.
    async fn narrowed_token(
        &self,
        entry: &Arc<Entry>,
        wanted: &Wanted,
        row: &GrantRow,
        facts: &Facts,
        scopes: Scopes,
    ) -> Result<Found, Fault> {
        let turn = self.turn(&wanted.key).lock_owned().await;
        if let Some(made) = self.stored_token(wanted).await? {
            return Ok(Found::kept(made, Source::Store));
        }
        if !row.grant.refreshable {
            return Err(only_as_granted(entry, wanted, row, &scopes));
        }
        let now = self.inner.env.now();
        if !is_renewable(row, now) {
            if row.grant.access_expires_at.is_none_or(|end| end <= now) {
                self.grant_over(entry, row, Cause::Expired).await?;
            }
            return Err(consent_required(entry, wanted, Some(Cause::Expired)));
        }
        // It lives, and not as long as somebody would like: another one is had for that only so often.
        let living = self.stored_beyond(wanted, self.inner.env.now()).await?;
        let vain = self.unnarrowed(entry, wanted, facts, &scopes);
        if let Some(made) = living
            && (vain.is_some() || self.may_begin(row.grant.id, &Urgency::Wish).is_err())
        {
            return Ok(Found::kept(made, Source::Store));
        }
        if let Some(fault) = vain {
            return Err(fault);
        }
        let need = MintAsk::Refresh {
            scopes: Some(scopes.clone()).filter(|scopes| !scopes.is_empty()),
            resources: wanted.resources.clone(),
            audience: wanted.audience.clone(),
            details: wanted.details.clone(),
        };
        let minted = tokio::time::timeout(PATIENT, self.narrow(entry.clone(), row, need))
            .await
            .unwrap_or(Err(RenewFailure::Busy))
            .map_err(|failure| failure.fault(entry, |cause| consent_required(entry, wanted, cause)))?;
        super::made::check_target(entry, &minted)?;
        let is_bounded = !scopes.is_empty();
        // Bound to a target, and to no scopes in particular.
        let any_scopes = match &wanted.scopes {
            ScopeRequest::Unscoped => true,
            ScopeRequest::Defaults => wanted.defaults.is_empty(),
            ScopeRequest::Exactly(_) => false,
        };
        if !any_scopes || is_bounded {
            self.check_narrowed(entry, wanted, facts, &scopes, minted.scopes.as_ref())?;
        }
        let (made, row) = self.keep_made(wanted, minted, Some(row.grant.id))?;
        let changes = vec![carnet_store::minted::put(&row)];
        Ok(Found { changes, turn: Some(turn), ..Found::kept(made, Source::Provider) })
    }
}

fn made_from(secret: GrantSecret, row: &GrantRow, source: Source) -> Result<Found, Fault> {
    let access = secret.held.access().ok_or_else(|| faults::internal(NoToken))?;
    let made = MadeToken {
        token: access.token.duplicate(),
        facts: secret.facts,
        expires_at: row.grant.access_expires_at,
    };
    // The time of renewal as it was set when this token came.
    let until = ahead_of_time(row.grant.id, row.grant.updated_at, row.grant.access_expires_at);
    Ok(Found { until, grant: Some(row.grant.id), ..Found::kept(made, source) })
}

/// Whether there is something to have another token made with, and its end, if one is known, is to come.
fn is_renewable(row: &GrantRow, now: Time) -> bool {
    row.grant.refreshable && row.grant.refresh_expires_at.is_none_or(|end| end > now)
}

/// Whether what is held has ended, and there is nothing to have another made with.
pub(crate) fn spent(row: &GrantRow, secret: &GrantSecret, now: Time) -> bool {
    let renewable = is_renewable(row, now) && secret.held.key().is_none();
    !renewable && row.grant.access_expires_at.is_some_and(|end| end <= now)
}

/// Less is to be handed out than was granted, and there is nothing to have less made with. `left` is what may be.
///
/// A provider may add up what a person ever allowed the application, wherever that was, and say so once it is asked for
/// less. Where only the person's word here is missing for the connector's defaults, it is asked for: afterwards the token
/// is what was consented to.
pub(crate) fn only_as_granted(entry: &Entry, wanted: &Wanted, row: &GrantRow, left: &Scopes) -> Fault {
    let targets = !(wanted.resources.is_empty() && wanted.audience.is_empty() && wanted.details.is_empty());
    let granted = row.grant.scopes.clone().unwrap_or_default();
    let rest = granted.without(left).without(&super::wanted::ambient());
    let is_default = matches!(wanted.scopes, ScopeRequest::Defaults);
    if is_default && !targets && !rest.is_empty() && rest.is_within(&wanted.defaults) {
        return more_consent_required(entry, wanted, &rest);
    }
    let uid = &entry.row.connector.uid;
    let excess: Vec<_> = rest.iter().map(str::to_owned).collect();
    let fault = Fault::new(
        Code::InvalidScope,
        format!(
            "The grant of {uid} allows more than was asked for, and the provider gave nothing to make a narrower \
             token with. Ask for the granted scopes, or for consent to fewer.",
        ),
    )
    .with("granted", row.grant.scopes.as_ref().map(ToString::to_string))
    .next(format!("carnet grants {uid}"), "to see what was granted to whom");
    if !is_default || excess.is_empty() {
        return fault;
    }
    fault
        .with("excess", excess)
        .next(format!("carnet update {uid} --data @FILE"), super::made::TO_ASK_FOR_THEM)
}

/// A renewal that worked, and left no token that may be handed out.
pub(crate) fn stray(entry: &Entry, secret: &GrantSecret) -> Fault {
    if secret.held.is_aside() {
        let why = format!(
            "The provider of {} gave a token and does not say whether it is good for what the connector is for; it is kept, \
             and asked about again.",
            entry.row.connector.uid
        );
        return Fault::new(Code::ProviderUnavailable, why).retry_after(5);
    }
    let why = "only what the grant is renewed with was kept".to_owned();
    faults::driver(&carnet_providers::DriverError::Stray(why), entry.row.connector.uid.as_str())
}

/// A grant holds neither an access token nor anything to get one with.
#[derive(Debug, thiserror::Error)]
#[error("the grant holds no token")]
struct NoToken;

/// The person has not consented, or must again.
pub(crate) fn consent_required(entry: &Entry, wanted: &Wanted, cause: Option<Cause>) -> Fault {
    let uid = &entry.row.connector.uid;
    let subject = &wanted.place.subject;
    if matches!(wanted.subject, Subject::App) {
        return installation_required(entry, cause);
    }
    let fault = match cause {
        None => Fault::new(
            Code::UserAuthorizationRequired,
            format!(
                "User authorization required: {subject} has not given {uid} consent in {}.",
                super::ask::in_environment(wanted.place.environment)
            ),
        ),
        Some(cause) => Fault::new(
            Code::UserAuthorizationRequired,
            format!("Reauthorization required for {subject} at {uid}: {}.", sentence(entry, cause)),
        )
        .with("reason", "reauthorization_required")
        .with("cause", cause.as_str()),
    };
    let (command, when) = consent(uid.as_str(), wanted.place.project.is_some(), subject);
    fault.next(command, when)
}

/// What is kept for the subject does not open: whoever has the row as it was puts it back, and anybody else consents anew.
fn unreadable(entry: &Entry, wanted: &Wanted) -> Fault {
    let (uid, subject) = (&entry.row.connector.uid, &wanted.place.subject);
    let code = if matches!(wanted.subject, Subject::App) {
        Code::InstallationRequired
    } else {
        Code::UserAuthorizationRequired
    };
    let (command, when) = consent(uid.as_str(), wanted.place.project.is_some(), subject);
    Fault::new(
        code,
        format!(
            "What is kept of the consent of {subject} at {uid} does not open: its row in the database was changed or \
             damaged. Consent replaces it, and so does the row as it was, from a backup."
        ),
    )
    .with("reason", "grant_unreadable")
    .next(command, when)
}

/// Why consent is needed again. Where a setting of the connector is behind it, that is named: the next consent ends the
/// same way.
fn sentence(entry: &Entry, cause: Cause) -> &'static str {
    match cause {
        Cause::Expired if entry.abilities.keeps_no_refresh => {
            "the access has ended, and the connector keeps nothing to renew it with (its refreshTokens.enabled is false)"
        }
        cause => cause.sentence(),
    }
}

/// The installation has left nothing, or nothing that still works.
pub(super) fn installation_required(entry: &Entry, cause: Option<Cause>) -> Fault {
    let uid = &entry.row.connector.uid;
    let fault = match cause {
        None => Fault::new(
            Code::InstallationRequired,
            format!("{uid} has no grant of this installation; install it once more."),
        ),
        Some(cause) => Fault::new(
            Code::InstallationRequired,
            format!("{uid} has to be installed once more: {}.", sentence(entry, cause)),
        )
        .with("reason", "reinstallation_required")
        .with("cause", cause.as_str()),
    };
    fault.next(format!("carnet token {uid} --subject app --yes"), "to install it, in a browser")
}

fn more_consent_required(entry: &Entry, wanted: &Wanted, missing: &Scopes) -> Fault {
    let asked = missing.iter().all(|scope| wanted.defaults.contains(scope));
    let missing: Vec<String> = missing.iter().map(str::to_owned).collect();
    if matches!(wanted.subject, Subject::App) {
        let fault = Fault::new(
            Code::InstallationRequired,
            format!(
                "{} was installed with fewer scopes; missing: {}.",
                entry.row.connector.uid,
                missing.join(" ")
            ),
        )
        .with("reason", "insufficient_scope")
        .with("missing", missing);
        let uid = &entry.row.connector.uid;
        // What the connector does not ask for, no installation gives.
        let fault = if asked {
            fault
        } else {
            fault
                .next(format!("carnet update {uid} --data @FILE"), "to have the connector ask for them first")
        };
        return fault.next(
            format!("carnet token {uid} --subject app --yes"),
            "to install it once more, with all that the connector asks for",
        );
    }
    let uid = &entry.row.connector.uid;
    let fault = Fault::new(
        Code::UserAuthorizationRequired,
        format!(
            "User authorization required: {} consented to less at {uid}; missing: {}. Only a new consent gives them.",
            wanted.place.subject,
            missing.join(" ")
        ),
    )
    .with("reason", "insufficient_scope")
    .with("missing", missing);
    if wanted.place.project.is_some() {
        let (command, when) = consent(uid.as_str(), true, &wanted.place.subject);
        return match &wanted.scopes {
            ScopeRequest::Exactly(scopes) if scopes.iter().all(is_plain) => {
                let command = command.trim_end_matches(" --yes");
                fault.next(format!("{command} --scopes {} --yes", scopes.joined(",")), when)
            }
            ScopeRequest::Exactly(_) => fault,
            _ => fault.next(command, when),
        };
    }
    match &wanted.scopes {
        // The consent asks for what the request names, whatever the connector's own are; a name that a shell would read
        // otherwise is not put into a command.
        ScopeRequest::Exactly(scopes) if scopes.iter().all(is_plain) => fault.next(
            format!("carnet token {uid} --subject user --scopes {} --yes", scopes.joined(",")),
            "to consent to them yourself, in a browser; an app starts a consent request for the person with these scopes",
        ),
        ScopeRequest::Exactly(_) => fault,
        _ => fault.next(
            format!("carnet token {uid} --subject user --yes"),
            "to consent yourself to what the connector asks for now, in a browser; an app starts a consent request for the \
             person",
        ),
    }
}

/// Whether a scope can stand in a command as it is, among others.
fn is_plain(scope: &str) -> bool {
    scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+@=".contains(&byte))
}

/// A token that came within this time lives about as long as any that could be had.
const NEW: Duration = Duration::from_mins(1);
const HOUR_MS: i64 = 3600 * 1000;
/// How long a caller waits for a refresh while its token still lives.
const IMPATIENT: Duration = Duration::from_secs(2);
/// How long a caller waits for a refresh that it needs: the provider's time and a takeover.
pub(crate) const PATIENT: Duration = Duration::from_secs(14);
