//! Who is signed in, as far as the app may know: by the grant from which the session came, as long as that stands.

use carnet_model::grant::{GrantState, Place};
use carnet_model::{Code, ConnectorRef, Fault, Id, Scopes, SecretString, Subject, kind};
use carnet_store::gateway::{self, Person, Session};
use carnet_store::grants;
use serde_json::{Map, Value};

use super::Asker;
use super::signing::audience;
use crate::broker::Broker;
use crate::faults;
use crate::sealing::Facts;

/// Somebody whose sign-in holds.
pub(crate) struct Standing {
    pub(crate) person: Person,
    pub(crate) granted: Option<Scopes>,
    facts: Facts,
}

/// Who has signed in (OpenID Connect Core §5.3.2).
#[derive(Clone, Debug)]
pub struct GatewayPerson {
    /// `sub`: the same for this person at this connector, and at no other.
    pub id: Id<kind::GatewayPerson>,
    /// `name`, `email`, `email_verified` and `picture`, those that the provider gave and the scopes let see.
    pub claims: Map<String, Value>,
}

impl Standing {
    /// What the scopes let see (OpenID Connect Core §5.4).
    pub(crate) fn claims(&self, scope: &Scopes) -> Map<String, Value> {
        let mut known = self.facts.profile.claims.clone();
        if let (None, Some(name)) = (known.get("name"), &self.facts.name) {
            known.insert("name".to_owned(), name.as_str().into());
        }
        known.retain(|name, _| match name.as_str() {
            "email" | "email_verified" => scope.contains("email"),
            _ => scope.contains("profile"),
        });
        known
    }
}

impl Broker {
    /// Who an access token is about.
    pub async fn gateway_person(&self, token: &SecretString) -> Result<GatewayPerson, Fault> {
        let inner = &self.inner;
        self.is_open()?;
        inner.fresh_keys().await.map_err(faults::store)?;
        let over = || {
            Fault::new(
                Code::Unauthorized,
                "The access token is none of a sign-in that lasts: it has ended, or the person, the app or the team has \
                 ended what it came from.",
            )
        };
        let verified = self.verified_access_token(token).ok_or_else(over)?;
        // The team is what the token says, which we signed; and the session must be the one of that audience.
        let team =
            verified.audience.split(':').next().and_then(|team| Id::parse(team).ok()).ok_or_else(over)?;
        let session = gateway::find(&inner.db, team, verified.session).await.map_err(faults::store)?;
        let lasts = |session: &Session| {
            session.ended_at.is_none()
                && session.redeemed_at.is_some()
                && session.expires_at > inner.env.now()
                && audience(session) == verified.audience
        };
        let session = session.filter(lasts).ok_or_else(over)?;
        self.gateway_pace(Asker::Apps(session.connector)).await?;
        let reference = ConnectorRef::Id(session.connector);
        let entry = inner.entry(team, &reference).await.map_err(faults::store)?.ok_or_else(over)?;
        let linked =
            entry.linked(Some(session.project)).is_some_and(|all| all.contains(&session.environment));
        if !linked || self.is_offered(&entry).is_err() {
            return Err(over());
        }
        let standing = self.gateway_standing(&session).await?.ok_or_else(over)?;
        Ok(GatewayPerson { id: standing.person.id, claims: standing.claims(&verified.scope) })
    }

    /// The person of a session, if the grant from which it came stands and is still that person's.
    pub(crate) async fn gateway_standing(&self, session: &Session) -> Result<Option<Standing>, Fault> {
        let inner = &self.inner;
        let person = gateway::person(&inner.db, session.team, session.person).await.map_err(faults::store)?;
        let Some(person) = person else { return Ok(None) };
        let subject = Subject::User { id: person.id.to_string(), issuer: None };
        let place = Place {
            team: session.team,
            connector: session.connector,
            project: Some(session.project),
            environment: session.environment,
            subject: subject.key().unwrap_or_default(),
            installation: session.installation,
        };
        let row = grants::at(&inner.db, &place).await.map_err(faults::store)?;
        // Somebody may have put another account's grant there, by a consent for the user of this identifier.
        let own = |row: &grants::GrantRow| {
            row.grant.state == GrantState::Active
                && row.grant.external_subject.as_deref() == Some(person.account.as_str())
        };
        let Some(row) = row.filter(own) else { return Ok(None) };
        inner.load_team_keys(session.team).await.map_err(faults::store)?;
        let secret = inner.open_grant(&row.grant, &row.held).map_err(faults::internal)?;
        Ok(Some(Standing { person, granted: row.grant.scopes, facts: secret.facts }))
    }
}
