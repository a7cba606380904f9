//! What is granted, for those who may see it. Never a secret.

use carnet_model::caller::Caller;
use carnet_model::grant::Grant;
use carnet_model::{Fault, Id, kind};
use carnet_store::grants::{self, GrantRow};

use crate::broker::Broker;
use crate::faults;

/// A grant as it may be seen.
#[derive(Clone, Debug)]
pub struct GrantView {
    /// Everything but what is held.
    pub grant: Grant,
    /// When tokens were last asked for, to the hour.
    pub last_used_at: carnet_model::Time,
}

impl Broker {
    /// The grants of a connector, from the one after `after`.
    pub async fn grants(
        &self,
        caller: &Caller,
        connector: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<GrantView>, Fault> {
        let entry = self.managed(caller, connector).await?;
        let after = after
            .map(Id::parse)
            .transpose()
            .map_err(|_| faults::not_found("grant", after.unwrap_or_default()))?;
        let limit = i64::from(limit.clamp(1, 100));
        let rows =
            grants::of_connector(&self.inner.db, caller.team(), entry.row.connector.id, after, limit).await;
        let view = |row: GrantRow| GrantView { grant: row.grant, last_used_at: row.last_used_at };
        Ok(rows.map_err(faults::store)?.into_iter().map(view).collect())
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
