//! The server behind a connector: what was found out about it once, and what it says now.
//!
//! Issuer and endpoints are pinned when a connector is made. A server that moves them is not followed by itself: whoever
//! can change a metadata document could lead people and secrets elsewhere. A person looks at the difference and takes
//! exactly what was shown. Whoever names another server has that one found, and pinned in its place.

use carnet_model::audit::Action;
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, kind};
use carnet_providers::{BadConfiguration, Inspection, is_same_resource};
use serde_json::{Map, Value};

use super::upkeep::ServiceSync;
use super::{ConnectorChange, ConnectorView, bad_configuration};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::consent::hex;
use crate::directory::Entry;

/// What a server says, beside what is pinned.
#[derive(Clone, Debug)]
pub struct ServerCheck {
    /// The connector.
    pub connector: ConnectorView,
    /// The members that differ, by name.
    pub differences: Vec<Difference>,
    /// Names what was shown: taking it takes this and nothing else.
    pub digest: String,
}

/// A member of the metadata that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name in the RFCs.
    pub member: String,
    /// As pinned; `None` if it was not there.
    pub pinned: Option<Value>,
    /// As it is now; `None` if it is gone.
    pub present: Option<Value>,
}

impl Broker {
    /// Asks the server of a connector what it says about itself now. Nothing is changed.
    pub async fn check_server(&self, caller: &Caller, name: &str) -> Result<ServerCheck, Fault> {
        let entry = self.managed(caller, name, Right::ConnectorCheck).await?;
        self.is_offered(&entry)?;
        let found = self.inspect(&entry).await?;
        Ok(ServerCheck {
            connector: entry.view(),
            differences: differences(&found),
            digest: digest(&found.present),
        })
    }

    /// Takes what the server says now in the place of what is pinned, if it still is what `shown` names. A registration
    /// is told anew, so that a server can give a new secret in the place of one that ended.
    pub async fn accept_server(
        &self,
        caller: &Caller,
        name: &str,
        shown: &str,
        request: Id<kind::Request>,
    ) -> Result<(ConnectorView, Option<ServiceSync>), Fault> {
        let entry = self.managed(caller, name, Right::ConnectorUpdate).await?;
        self.is_offered(&entry)?;
        let found = self.inspect(&entry).await?;
        if digest(&found.present) != shown {
            return Err(Fault::new(
                Code::Conflict,
                format!("The server of {} says something else than what was shown.", entry.row.connector.uid),
            )
            .with("field", "digest")
            .next(format!("carnet check {}", entry.row.connector.uid), "to see what it says now"));
        }
        let changed: Vec<String> = differences(&found).into_iter().map(|found| found.member).collect();
        let change = ConnectorChange {
            data: Some(if changed.is_empty() { Map::new() } else { found.change }),
            ..ConnectorChange::default()
        };
        let event =
            super::change::Told { action: Action::ConnectorServerAccept, members: changed, renew: true };
        let done = self.change_connector(caller, name, change, request, event).await?;
        Ok((done.connector, done.sync))
    }

    async fn inspect(&self, entry: &Entry) -> Result<Inspection, Fault> {
        let secrets = self.inner.secrets(entry).map_err(crate::faults::internal)?;
        let at = self.inner.at(entry, &secrets);
        entry.driver().inspect(&at).await.map_err(bad_configuration)?.ok_or_else(|| {
            Fault::new(
                Code::InvalidConnector,
                format!("{} has no server that says anything about itself.", entry.row.connector.uid),
            )
        })
    }
}

/// Where a change names another server than the one `before`, and describes none: takes what is pinned out of the changed
/// `data`, so that the other one is found.
pub(super) fn unpin(
    before: &Map<String, Value>,
    changed: &Map<String, Value>,
    data: &mut Map<String, Value>,
) -> Result<(), Fault> {
    let names_another = |name: &str| {
        changed
            .get(name)
            .filter(|value| !value.is_null())
            .is_some_and(|value| before.get(name) != Some(value))
    };
    let Some(field) = [DISCOVERY_URL, SERVER_URL].into_iter().find(|name| names_another(name)) else {
        return Ok(());
    };
    if changed.contains_key("serverConfig") || !before.contains_key("serverConfig") {
        return Ok(());
    }
    if data.contains_key("clientRegistration") {
        let why = "names another server than the one at which the client was registered, and what is registered at one is \
                   worth nothing at another; make a connector for the other server, or give null for clientId, \
                   clientSecret and clientRegistration in the same change, to have a client registered there";
        return Err(bad_configuration(BadConfiguration { field: field.to_owned(), why: why.to_owned() }));
    }
    data.remove("serverConfig");
    if field == SERVER_URL {
        data.remove(DISCOVERY_URL);
    }
    // What the address before said that it is for, the next one says anew.
    let text = |name: &str| before.get(name).and_then(Value::as_str);
    let is_its_own =
        text(SERVER_URL).zip(text("resource")).is_some_and(|(url, own)| is_same_resource(url, own));
    if is_its_own && !changed.contains_key("resource") {
        data.remove("resource");
    }
    Ok(())
}

const SERVER_URL: &str = "serverUrl";
const DISCOVERY_URL: &str = "discoveryServerUrl";

fn differences(found: &Inspection) -> Vec<Difference> {
    let Inspection { pinned, present, .. } = found;
    let mut members: Vec<&String> = pinned.keys().chain(present.keys()).collect();
    members.sort_unstable();
    members.dedup();
    let differs = |member: &&String| pinned.get(*member) != present.get(*member);
    let told = |member: &String| Difference {
        member: member.clone(),
        pinned: pinned.get(member).cloned(),
        present: present.get(member).cloned(),
    };
    members.into_iter().filter(differs).map(told).collect()
}

fn digest(present: &Map<String, Value>) -> String {
    hex(&sha256(&serde_json::to_vec(present).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_came_went_and_changed_is_told_and_nothing_else() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let found = Inspection {
            pinned: object(json!({"issuer": "https://a", "token_endpoint": "https://a/t", "gone": true})),
            present: object(json!({"issuer": "https://a", "token_endpoint": "https://a/t2", "new": [1]})),
            change: Map::new(),
        };
        let told = |member: &str, pinned: Option<Value>, present: Option<Value>| Difference {
            member: member.to_owned(),
            pinned,
            present,
        };
        assert_eq!(
            differences(&found),
            [
                told("gone", Some(json!(true)), None),
                told("new", None, Some(json!([1]))),
                told("token_endpoint", Some(json!("https://a/t")), Some(json!("https://a/t2"))),
            ]
        );
    }
}
