//! What is granted, for those who may see it. Never a secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::grant::Grant;
use carnet_model::rights::Right;
use carnet_model::{Code, ConnectorRef, Fault, Id, Subject, kind};
use carnet_store::grants::{self, GrantRow};
use carnet_store::{Write, connectors, minted};

use crate::broker::Broker;
use crate::directory::Entry;
use crate::faults;
use crate::revoke::Revoked;

/// A grant as it may be seen.
#[derive(Clone, Debug)]
pub struct GrantView {
    /// Everything but what is held.
    pub grant: Grant,
    /// When tokens were last asked for, to the hour.
    pub last_used_at: carnet_model::Time,
}

/// How everything that is granted stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// How many connectors the team has; one where one was asked about.
    pub connectors: i64,
    /// How many grants stand alike.
    pub counts: Vec<grants::Standing>,
    /// Those that wait for a person, the latest first and no more than a hundred, each with the UID of its connector.
    pub waiting: Vec<(String, GrantView)>,
}

impl Broker {
    /// How the grants of the caller's team stand, or those of one connector: counted, and not read one by one.
    pub async fn standing(&self, caller: &Caller, connector: Option<&str>) -> Result<Standing, Fault> {
        let (db, team) = (&self.inner.db, caller.team());
        let connector = match connector {
            Some(name) => Some(self.managed(caller, name, Right::GrantRead).await?.row.connector.id),
            None => self.may(caller, Right::GrantRead).map(|_| None)?,
        };
        let connectors = match connector {
            Some(_) => 1,
            None => connectors::count(db, team).await.map_err(faults::store)?,
        };
        let counts = grants::standing(db, team, connector).await.map_err(faults::store)?;
        let rows = grants::waiting(db, team, connector, SHOWN).await.map_err(faults::store)?;
        let mut waiting = Vec::with_capacity(rows.len());
        for row in rows {
            let reference = ConnectorRef::Id(row.grant.place.connector);
            // A connector that was removed at this moment has nothing that waits.
            if let Some(entry) = self.inner.entry(team, &reference).await.map_err(faults::store)? {
                let view = GrantView { grant: row.grant, last_used_at: row.last_used_at };
                waiting.push((entry.row.connector.uid.to_string(), view));
            }
        }
        Ok(Standing { connectors, counts, waiting })
    }

    /// The grants of a connector, or of one user there, from the one after `after`; and the cursor of the next page.
    pub async fn grants(
        &self,
        caller: &Caller,
        connector: &str,
        user: Option<&Subject>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<GrantView>, Option<String>), Fault> {
        let entry = self.managed(caller, connector, Right::GrantRead).await?;
        let after = after.map(Id::parse).transpose().map_err(|_| {
            Fault::new(Code::InvalidRequest, "cursor is not one that this list gave.").with("field", "cursor")
        })?;
        let limit = limit.clamp(1, 100);
        let (db, team, id) = (&self.inner.db, caller.team(), entry.row.connector.id);
        let one_more = i64::from(limit) + 1;
        let rows = match user.map(|user| self.subject_key(user)) {
            Some(subject) => grants::page_of_subject(db, team, id, &subject, after, one_more).await,
            None => grants::of_connector(db, team, id, after, one_more).await,
        };
        let mut rows = rows.map_err(faults::store)?;
        let most = usize::try_from(limit).unwrap_or(100);
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| more).map(|row| row.grant.id.to_string());
        let view = |row: GrantRow| GrantView { grant: row.grant, last_used_at: row.last_used_at };
        Ok((rows.into_iter().map(view).collect(), next))
    }

    /// How many tokens are kept that hang on no grant, the application's above all: by installation, where there is one.
    pub async fn made_tokens(
        &self,
        caller: &Caller,
        connector: &str,
    ) -> Result<BTreeMap<Option<Id<kind::Installation>>, u64>, Fault> {
        let entry = self.managed(caller, connector, Right::GrantRead).await?;
        let connector = entry.row.connector.id;
        let counted = minted::count_without_grant(&self.inner.db, caller.team(), connector).await;
        let counts = counted.map_err(faults::store)?.into_iter();
        Ok(counts.map(|(installation, count)| (installation, u64::try_from(count).unwrap_or(0))).collect())
    }

    /// A grant of the caller's team.
    pub async fn grant(&self, caller: &Caller, grant: &str) -> Result<GrantView, Fault> {
        let (row, _) = self.managed_grant(caller, grant, Right::GrantRead).await?;
        Ok(GrantView { grant: row.grant, last_used_at: row.last_used_at })
    }

    /// Revokes one grant: here at once, then at its provider.
    pub async fn revoke_grant(
        &self,
        caller: &Caller,
        grant: &str,
        request: Id<kind::Request>,
    ) -> Result<Revoked, Fault> {
        let (row, entry) = self.managed_grant(caller, grant, Right::TokenRevokeAll).await?;
        let inner = &self.inner;
        let now = inner.env.now();
        let event = AuditEvent::of(caller, now, Action::TokenRevoke, Some(request))
            .on(entry.row.connector.id)
            .with("grant", row.grant.id.to_string())
            .with("subject", row.grant.place.subject.clone())
            .with("environment", row.grant.place.environment.to_string());
        let write = Write::new()
            .step(grants::withdraw(caller.team(), row.grant.id, now))
            .event(&inner.env, &event)
            .revises();
        inner.db.write(write).await.map_err(faults::store)?;
        self.tell_of_withdrawn(entry, vec![row]).await
    }

    /// A grant, for a person who may use this right about its connector.
    async fn managed_grant(
        &self,
        caller: &Caller,
        grant: &str,
        right: Right,
    ) -> Result<(GrantRow, Arc<Entry>), Fault> {
        self.may(caller, right)?;
        let none = || faults::not_found("grant", grant);
        let id = Id::parse(grant).map_err(|_| none())?;
        let row = grants::find(&self.inner.db, caller.team(), id).await.map_err(faults::store)?;
        let row = row.ok_or_else(none)?;
        let entry = self.managed(caller, &row.grant.place.connector.to_string(), right).await?;
        Ok((row, entry))
    }

    /// All grants of a connector.
    pub(crate) async fn every_grant(
        &self,
        team: Id<kind::Team>,
        connector: Id<kind::Connector>,
    ) -> Result<Vec<GrantRow>, Fault> {
        const PAGE: i64 = 500;
        let mut all: Vec<GrantRow> = Vec::new();
        loop {
            let after = all.last().map(|row| row.grant.id);
            let page = grants::of_connector(&self.inner.db, team, connector, after, PAGE)
                .await
                .map_err(faults::store)?;
            let last = page.len() < usize::try_from(PAGE).unwrap_or(0);
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }
}

/// Waiting grants that are shown at once.
const SHOWN: i64 = 100;
