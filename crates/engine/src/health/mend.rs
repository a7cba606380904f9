//! The link that mends a grant: whoever the application sends it to is asked for consent as if the application had asked
//! just now.
//!
//! The link is good for one break, for a week, and for as long as that break lasts; opening it makes a request for
//! consent like any other, with the same page, the same binding to a browser and the same end. It asks for what was
//! asked for before, of the same user, for the same project, which must still be allowed to ask.

use std::time::Duration;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Principal;
use carnet_model::grant::GrantState;
use carnet_model::{ConnectorRef, Id, kind};
use carnet_store::consents::{self, Consent};
use carnet_store::{DbError, Write, grants, health};

use crate::broker::Broker;
use crate::cache::sha256;
use crate::consent::{ConsentEnd, Remembered};
use crate::faults;

impl Broker {
    /// The request for consent to which this link leads.
    pub async fn mend(&self, secret: &str) -> Result<Id<kind::AuthorizationRequest>, ConsentEnd> {
        let inner = &self.inner;
        let now = inner.env.now();
        let notice = health::by_mend(&inner.db, sha256(secret.as_bytes())).await?;
        let notice = notice.ok_or(ConsentEnd::Unknown)?;
        if notice.created_at.plus(GOOD_FOR) <= now {
            return Err(ConsentEnd::Expired);
        }
        let grant = grants::find(&inner.db, notice.team, Id::from_bytes(notice.target)).await?;
        let row = grant.ok_or(ConsentEnd::Used)?;
        let asked = inner.open_grant(&row.grant, &row.held).ok().and_then(|secret| secret.facts.asked);
        let grant = row.grant;
        let lasts = match &grant.state {
            GrantState::NeedsConsent { .. } => true,
            // Of one that works it says when it ends; with another end it is mended.
            GrantState::Active => match notice.what.as_str() {
                "ending" => {
                    let end =
                        if grant.refreshable { grant.refresh_expires_at } else { grant.access_expires_at };
                    end.is_some_and(|end| end.millis() == notice.since)
                }
                "idle" => grant.updated_at.millis() == notice.since,
                _ => false,
            },
            GrantState::Withdrawn { .. } => false,
        };
        if !lasts {
            return Err(ConsentEnd::Used);
        }
        let reference = ConnectorRef::Id(grant.place.connector);
        let entry = inner.entry(notice.team, &reference).await?.ok_or(ConsentEnd::Unknown)?;
        let (Some(project), environment) = (grant.place.project, grant.place.environment) else {
            return Err(ConsentEnd::Unknown);
        };
        let may_ask = entry.linked(Some(project)).is_some_and(|linked| linked.contains(&environment));
        if !may_ask || entry.consent_rules.require_completion {
            return Err(ConsentEnd::Unknown);
        }
        // A browser that loads the page twice, or a program that looks at links, makes no second request.
        let digest = sha256(format!("{secret}/{}", now.secs() / AGAIN).as_bytes());
        if let Some(found) = consents::by_code(&inner.db, notice.team, digest).await? {
            return Ok(found.id);
        }
        let remembered = Remembered {
            // By the names that were asked for: a provider may answer with others, and with more.
            scopes: asked.or(grant.scopes).map(|scopes| scopes.iter().map(str::to_owned).collect()),
            ..Remembered::default()
        };
        let asked = serde_json::to_value(&remembered).map_err(faults::internal)?;
        let by = Principal::Project { id: project, environment };
        let consent = Consent::pending(inner.env.id(), grant.place.clone(), by, asked, now, now.plus(LIFE));
        let event = AuditEvent::of_system(now, Action::AuthorizationStart)
            .in_team(notice.team)
            .on(consent.connector)
            .with("connector", entry.row.connector.uid.as_str())
            .with("subject", consent.subject.clone())
            .with("environment", environment.to_string())
            .with("request", consent.id.to_string())
            .with("mends", grant.id.to_string());
        let write = Write::new().step(consents::insert(&consent, digest, None)).event(&inner.env, &event);
        match inner.db.write(write).await {
            Ok(_) => Ok(consent.id),
            // Opened twice at the same moment.
            Err(DbError::Conflict) => {
                let found = consents::by_code(&inner.db, notice.team, digest).await?;
                found.map(|found| found.id).ok_or(ConsentEnd::Unknown)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// How long the link can be opened: a holiday.
const GOOD_FOR: Duration = Duration::from_hours(7 * 24);
/// How long the request that it makes can be used.
const LIFE: Duration = Duration::from_mins(10);
/// In seconds: opened again within so long, it leads to the same request.
const AGAIN: i64 = 60;
