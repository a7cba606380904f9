//! When keys are known to somebody: all of them are turned, and what only people can do is listed.
//!
//! New keys end what a thief can read from now on. What was read already is ended at the providers alone: client
//! secrets and keys are changed there by people; grants are renewed ahead of time, so that a provider that rotates
//! refresh tokens stops taking the copied ones, and revoked where that is not enough. Nothing here claims to have ended
//! a leak.

use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::connector::Connector;
use carnet_model::{Fault, Id, kind};
use carnet_store::{Write, connectors, grants, keys, people};
use carnet_vault::{KeyRole, Purpose};
use serde::Serialize;

use super::rotate::{KeyKind, Rotated};
use crate::broker::Broker;
use crate::faults;

/// What is left to people about one thing.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunbookEntry {
    /// The thing: a connector's UID, or the deployment.
    pub about: String,
    /// How many grants are concerned.
    pub grants: usize,
    /// What to do, one after the other.
    pub steps: Vec<RunbookStep>,
}

/// One thing to do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunbookStep {
    /// What and why.
    pub what: String,
    /// The command, where there is one.
    pub command: Option<String>,
}

impl Broker {
    /// New root, team, purpose and signing keys, and what is left to people.
    pub(super) async fn turn_everything(
        &self,
        caller: &Caller,
        request: Id<kind::Request>,
    ) -> Result<Rotated, Fault> {
        let inner = &self.inner;
        let root = self.turn_root(caller, request).await?;
        let teams = people::teams(&inner.db).await.map_err(faults::store)?;
        let roles = teams.iter().map(|team| KeyRole::Team(team.id));
        let roles = roles.chain(Purpose::ALL.map(KeyRole::Purpose)).collect();
        let others = self.turn_roles(caller, KeyKind::Compromised, roles, request).await?;
        let signing = self.turn_signing(caller, true, request).await?;
        let now = inner.env.now();
        let event = AuditEvent::of(caller, now, Action::KeyRotate, Some(request)).with("role", "compromised");
        let write = Write::new().step(grants::hurry(now)).step(keys::turn()).event(&inner.env, &event);
        inner.db.write(write).await.map_err(faults::store)?;
        let made = [root.made, others.made, signing.made].concat();
        let runbook = self.runbook(caller.team(), teams.len()).await?;
        Ok(Rotated { kind: KeyKind::Compromised, activates_at: others.activates_at, made, runbook })
    }

    async fn runbook(&self, team: Id<kind::Team>, teams: usize) -> Result<Vec<RunbookEntry>, Fault> {
        let db = &self.inner.db;
        let mut entries = vec![deployment(teams)];
        let mut after = Vec::new();
        loop {
            let page = connectors::sealed(db, None, after, PAGE).await.map_err(faults::store)?;
            let Some(last) = page.last() else { break };
            after = last.connector.id.bytes().to_vec();
            for row in page.iter().filter(|row| row.connector.team == team) {
                let id = row.connector.id;
                let held = grants::of_connector(db, team, id, None, MANY).await.map_err(faults::store)?;
                entries.push(connector(&row.connector, held.len()));
            }
        }
        Ok(entries)
    }
}

fn deployment(teams: usize) -> RunbookEntry {
    let step = |what: &str, command: Option<&str>| RunbookStep {
        what: what.to_owned(),
        command: command.map(str::to_owned),
    };
    let mut steps = vec![
        step(
            "If the root-key provider's own key may be known (the key file, the passphrase, access to the key service), \
             replace it: name the new one as next_root_key, restart, then begin and finish.",
            Some("carnet keys rotate kek"),
        ),
        step(
            "Wait until nothing is sealed by the old keys any more. They are dropped a day after that.",
            Some("carnet keys status"),
        ),
        step(
            "Withdraw access tokens that may have been seen, and make new ones. Tokens in use go on working: only their \
             hashes were stored.",
            None,
        ),
        step(
            "Destroy or re-encrypt backups made until now: they open with the old keys.",
            Some("carnet backup DIR"),
        ),
        step(
            "Identity tokens signed until now are refused here at once. Elsewhere they are refused when the verifier reads \
             the published keys again, within an hour at most verifiers.",
            None,
        ),
    ];
    if teams > 1 {
        steps.push(step("Tell the other teams: each has connectors of its own to see to.", None));
    }
    RunbookEntry { about: "this deployment".to_owned(), grants: 0, steps }
}

fn connector(connector: &Connector, held: usize) -> RunbookEntry {
    let uid = connector.uid.to_string();
    let mut steps = Vec::new();
    if connector.r#type.as_str() == "api-key" {
        steps.push(RunbookStep {
            what: "Make new keys at the service, give them to the connector or ask the people who pasted theirs, and delete \
                   the old ones at the service."
                .to_owned(),
            command: Some(format!("carnet show {uid}")),
        });
    } else {
        steps.push(RunbookStep {
            what: "Make a new client secret or signing key at the provider, put it into the connector, and delete the old \
                   one at the provider."
                .to_owned(),
            command: Some(format!("carnet show {uid}")),
        });
    }
    if held > 0 {
        steps.push(RunbookStep {
            what: "Every grant is renewed as fast as the pace of its connector lets it, whether anybody uses it or not. A \
                   provider that rotates refresh tokens then refuses the copied ones; any other takes them until they are \
                   revoked, and access tokens live until they end. Revoke to be sure; people must consent again."
                .to_owned(),
            command: Some(format!("carnet revoke-tokens {uid} --all-tokens")),
        });
    }
    RunbookEntry { about: uid, grants: held, steps }
}

const PAGE: i64 = 200;
/// More than that is told as that many.
const MANY: i64 = 100_000;
