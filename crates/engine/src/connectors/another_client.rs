//! A connector that becomes another client at its provider: ejected from the operator's hands, or given another
//! `clientId`.
//!
//! A refresh token is bound to the client that it was issued to (RFC 6749 §6), and an installation is one of the
//! application before. So neither is presented as the new client: the grants say at once that reauthorization is required,
//! and why; the installations end, and are in use again once the new application is installed there; the projects are
//! told; and whoever made the change is told how many there were.

use carnet_model::connector::Connector;
use carnet_model::grant::{Cause, GrantState};
use carnet_model::{Fault, Time};
use carnet_store::Step;
use carnet_store::grants::{self, GrantRow};
use carnet_store::installations;

use super::ServiceSync;
use crate::broker::Broker;
use crate::directory::Entry;
use crate::managed::is_same_client;

/// What was given to the client before.
#[derive(Debug, Default)]
pub(super) struct Left {
    is_another: bool,
    rows: Vec<GrantRow>,
    installations: usize,
}

impl Left {
    /// How many grants ended with the client before.
    pub(super) fn grants(&self) -> usize {
        self.rows.len()
    }

    /// Whether people have to consent again.
    pub(super) fn has_people(&self) -> bool {
        self.rows.iter().any(|row| row.grant.place.subject != "app")
    }

    /// Whether the new application has to be installed where the one before was.
    pub(super) const fn is_installed(&self) -> bool {
        self.installations > 0
    }

    /// How many installations ended with it.
    pub(super) const fn installations(&self) -> usize {
        self.installations
    }

    /// What makes the grants need consent again and ends the installations, in the write of the change: those too that were
    /// given since they were counted.
    pub(super) fn steps(&self, entry: &Entry, now: Time) -> Vec<Step> {
        if !self.is_another {
            return Vec::new();
        }
        let Connector { team, id, .. } = entry.row.connector;
        let mut steps = installations::end_all(team, id, now);
        steps.push(grants::needs_consent_of_connector(team, id, Cause::ClientChanged, now));
        steps
    }

    /// The same in sentences, beside what the provider has to be told.
    pub(super) fn said(&self, uid: &str, sync: Option<ServiceSync>) -> Option<ServiceSync> {
        let people = self.rows.iter().filter(|row| row.grant.place.subject != "app").count();
        let mut more = Vec::new();
        if people > 0 {
            more.push(format!(
                "{people} grants were given to the client before and cannot be renewed by this one: reauthorization is \
                 required of those people."
            ));
        }
        if self.is_installed() {
            more.push(format!(
                "{} installations are of the application before: install this one there, with carnet token {uid} \
                 --subject app --yes.",
                self.installations
            ));
        }
        match (more.is_empty(), sync) {
            (true, sync) => sync,
            (false, Some(ServiceSync::Required(mut all))) => {
                all.extend(more);
                Some(ServiceSync::Required(all))
            }
            (false, _) => Some(ServiceSync::Required(more)),
        }
    }
}

impl Broker {
    /// What a change leaves behind, if it makes the connector another client.
    pub(super) async fn left_behind(
        &self,
        entry: &Entry,
        changed: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Left, Fault> {
        let connector = &entry.row.connector;
        if is_same_client(&connector.data, changed) {
            return Ok(Left::default());
        }
        let mut rows = self.every_grant(connector.team, connector.id).await?;
        rows.retain(|row| row.grant.state == GrantState::Active);
        Ok(Left { is_another: true, rows, installations: entry.installations.len() })
    }

    /// Tells the projects whose grants ended.
    pub(super) fn tell_left_behind(&self, entry: &Entry, left: &Left, now: Time) {
        for some in left.rows.chunks(AT_ONCE) {
            let told =
                some.iter().flat_map(|row| self.tell_broken(entry, &row.grant, Cause::ClientChanged, now));
            self.tell_later(told.collect());
        }
    }
}

/// Grants in one write.
const AT_ONCE: usize = 100;
