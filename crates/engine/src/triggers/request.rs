//! What is sent to a destination: the provider's bytes and headers, and an identity for this address and body.
//!
//! Where a destination is reached is looked up for each attempt. So an address that is corrected mends what waits, and
//! what was removed, detached or disabled meanwhile gets nothing more.

use carnet_egress::Purpose;
use carnet_model::{Code, ConnectorRef, Environment, Fault, SecretString};
use carnet_store::deliveries::TriggerDelivery;
use carnet_store::destinations::Destination;
use carnet_store::{DbError, people, project_urls, projects, trigger_events};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use url::Url;

use super::content;
use super::deliver::End;
use crate::broker::Broker;
use crate::directory::Entry;

/// A request that is ready to go.
pub(super) struct Ready {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Broker {
    /// What is sent: the provider's bytes and headers, and a proof for this destination and body.
    pub(super) async fn ready(
        &self,
        delivery: &TriggerDelivery,
        destination: &Destination,
    ) -> Result<Result<Ready, End>, DbError> {
        let inner = &self.inner;
        let (db, team) = (&inner.db, delivery.team);
        let Some(entry) = inner.entry(team, &ConnectorRef::Id(delivery.connector)).await? else {
            return Ok(Err(End::never("the connector was removed")));
        };
        let linked = entry.linked(Some(destination.project)).unwrap_or_default();
        if !linked.contains(&destination.environment) {
            return Ok(Err(End::never("the connector is not attached to the project in this environment")));
        }
        let known = project_urls::find(db, team, destination.project, destination.environment).await?;
        let Some(base) = known else {
            return Ok(Err(End::not_now(format!(
                "no address is set for the environment {} of the project",
                destination.environment
            ))));
        };
        let url = match self.address(&base.url, destination, &entry) {
            Ok(url) => url,
            Err(why) => return Ok(Err(End::not_now(why))),
        };
        let Some(event) = trigger_events::find(db, team, delivery.event).await? else {
            return Ok(Err(End::never("the event is not kept any more")));
        };
        let Ok(opened) = inner.open_trigger_event(&event) else {
            return Ok(Err(End::not_now("the stored event cannot be opened")));
        };
        let Some((mut headers, body)) = content::unpack(opened.expose()) else {
            return Ok(Err(End::never("the stored event is damaged")));
        };
        let proof = match self.proof_for(&entry, delivery, destination, &url, body).await? {
            Ok(proof) => proof,
            Err(end) => return Ok(Err(end)),
        };
        let connector = &entry.row.connector;
        let now = inner.env.now();
        for (name, value) in [
            (AUTHORIZATION, format!("Bearer {}", proof.expose())),
            (WEBHOOK_ID, delivery.id.to_string()),
            (WEBHOOK_TIMESTAMP, now.secs().to_string()),
            // What anybody may write; the token is what proves it.
            (TRIGGER_ID, connector.id.to_string()),
            (TRIGGER_UID, connector.uid.to_string()),
            (TRIGGER_TYPE, connector.r#type.as_str().to_owned()),
            (TRIGGER_SERVICE, connector.service.clone()),
        ] {
            let Ok(value) = HeaderValue::from_str(&value) else {
                return Ok(Err(End::never("a header cannot be written")));
            };
            headers.insert(name, value);
        }
        Ok(Ok(Ready { url, headers, body: body.to_vec() }))
    }

    /// Where a destination is reached now.
    fn address(&self, base: &str, destination: &Destination, entry: &Entry) -> Result<Url, String> {
        let base = match &destination.branch {
            Some(branch) => base.replace(BRANCH, &label(branch)),
            None => base.to_owned(),
        };
        if base.contains(BRANCH) {
            return Err(
                "the address of the environment has {branch} in it, and the destination has none".to_owned()
            );
        }
        let path = destination.path.as_deref().unwrap_or(&entry.row.connector.service);
        let text = format!("{}/{}", base.trim_end_matches('/'), path.strip_prefix('/').unwrap_or(path));
        self.destination_url(&text)
    }

    /// An address to which events may be forwarded. Judged again when the call is made: names can lead elsewhere by then.
    pub(crate) fn destination_url(&self, text: &str) -> Result<Url, String> {
        let inner = &self.inner;
        let url = inner
            .egress
            .check(text, Purpose::Forward)
            .map_err(|error| format!("the address cannot be called: {error}"))?;
        if url.scheme() != "https" && !inner.settings.development {
            return Err("the address is not an https address".to_owned());
        }
        if url.origin() == inner.settings.url.origin() {
            return Err("the address is this server's own, and not the application's".to_owned());
        }
        Ok(url)
    }

    /// The token by which the destination knows what it gets: of its own project and environment, with the connector and
    /// the body's digest in it. A new one for each attempt.
    async fn proof_for(
        &self,
        entry: &Entry,
        delivery: &TriggerDelivery,
        destination: &Destination,
        url: &Url,
        body: &[u8],
    ) -> Result<Result<SecretString, End>, DbError> {
        let db = &self.inner.db;
        let (Some(team), Some(project)) = (
            people::team(db, delivery.team).await?,
            projects::find(db, delivery.team, destination.project).await?,
        ) else {
            return Ok(Err(End::never("the project was removed")));
        };
        let runtime = match self.runtime_of(delivery.team, destination.environment).await {
            Ok(runtime) => runtime,
            Err(fault) if fault.code == Code::NotFound => {
                return Ok(Err(End::never("the environment was removed")));
            }
            Err(fault) => return Ok(Err(unsigned(&fault))),
        };
        let connector = &entry.row.connector;
        let trigger = json!({
            "id": connector.id,
            "uid": connector.uid,
            "type": connector.r#type,
            "service": connector.service,
        });
        let token_id = format!("{}.{}", delivery.id, delivery.attempts);
        let proof = self.sign_trigger(&team, &project, runtime, url.as_str(), token_id, body, trigger);
        Ok(proof.map(|proof| proof.token).map_err(|fault| unsigned(&fault)))
    }
}

fn unsigned(fault: &Fault) -> End {
    End::not_now(format!("the identity token could not be made: {}", fault.message))
}

/// A branch as a part of a host name (RFC 1035 §2.3.1): small letters, digits and hyphens, at most 63.
pub(crate) fn label(branch: &str) -> String {
    let mut out = String::new();
    for c in branch.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            _ if !out.is_empty() && !out.ends_with('-') => out.push('-'),
            _ => {}
        }
    }
    let cut: String = out.chars().take(63).collect();
    let cut = cut.trim_end_matches('-');
    if cut.is_empty() { "branch".to_owned() } else { cut.to_owned() }
}

/// Whether an environment's address may have a branch in it.
pub(crate) const fn has_branches(environment: Environment) -> bool {
    matches!(environment, Environment::Preview)
}

/// What stands for the branch in the address of previews.
pub(crate) const BRANCH: &str = "{branch}";
/// As Standard Webhooks names them.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const TRIGGER_ID: HeaderName = HeaderName::from_static("x-trigger-id");
const TRIGGER_UID: HeaderName = HeaderName::from_static("x-trigger-uid");
const TRIGGER_TYPE: HeaderName = HeaderName::from_static("x-trigger-type");
const TRIGGER_SERVICE: HeaderName = HeaderName::from_static("x-trigger-service");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_a_part_of_a_host_name_whatever_it_is_called() {
        for (branch, want) in [
            ("main", "main"),
            ("Feature/ABC-12_x", "feature-abc-12-x"),
            ("--", "branch"),
            ("a.b@c:evil.example/#", "a-b-c-evil-example"),
            ("ümlaut", "mlaut"),
        ] {
            assert_eq!(label(branch), want);
        }
        assert_eq!(label(&"x".repeat(80)).len(), 63);
    }
}
