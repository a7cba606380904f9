//! The place that a value is sealed for: its row, and every column that a decision about the secret depends on.

use carnet_model::Scopes;
use carnet_model::connector::Connector;
use carnet_model::grant::Place;
use carnet_store::connector_keys::ConnectorKeyRow;
use carnet_store::consents::Consent;
use carnet_store::health::Notice;
use carnet_store::managed_apps::ManagedAppRow;
use carnet_store::minted::MintedRow;
use carnet_store::trigger_events::TriggerEvent;
use carnet_store::triggers::TriggerSetting;
use carnet_vault::Aad;

use crate::broker::Inner;
use crate::cache::{Parts, id_bytes};
use crate::consent::hex;

impl Inner {
    pub(crate) fn connector_aad<'a>(&self, connector: &'a Connector, led_by: &'a str) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: Some(connector.team),
            table: "connectors",
            column: "secrets",
            row: connector.id.bytes(),
            project: None,
            environment: None,
            connector: Some(connector.id),
            subject: Some(led_by),
            version: connector.version.unsigned_abs(),
        }
    }

    pub(crate) fn grant_aad<'a>(
        &self,
        table: &'a str,
        row: &'a [u8; 16],
        place: &'a Place,
        whose: &'a str,
        version: i64,
    ) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: Some(place.team),
            table,
            column: "held",
            row,
            project: place.project,
            environment: Some(place.environment),
            connector: Some(place.connector),
            subject: Some(whose),
            version: version.unsigned_abs(),
        }
    }

    pub(crate) fn minted_aad<'a>(&self, row: &'a MintedRow) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: Some(row.team),
            table: "minted_tokens",
            column: "sealed",
            row: &row.place,
            project: row.project,
            environment: Some(row.environment),
            connector: Some(row.connector),
            subject: Some(&row.subject),
            // When it ends is decided by this column alone.
            version: row.expires_at.map_or(u64::MAX, |at| at.millis().unsigned_abs()),
        }
    }

    pub(crate) fn kept_aad<'a>(&self, consent: &'a Consent, whose: &'a str) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: Some(consent.team),
            table: "consents",
            column: "kept",
            row: consent.id.bytes(),
            project: consent.project,
            environment: Some(consent.environment),
            connector: Some(consent.connector),
            subject: Some(whose),
            version: 0,
        }
    }

    pub(crate) fn mend_aad<'a>(&self, notice: &'a Notice, broken: &'a str) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: Some(notice.team),
            table: "health_notices",
            column: "mend",
            row: notice.id.bytes(),
            project: Some(notice.project),
            environment: Some(notice.environment),
            connector: Some(notice.connector),
            subject: Some(broken),
            version: 0,
        }
    }

    pub(crate) fn connector_key_aad<'a>(&self, row: &'a ConnectorKeyRow) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: Some(row.team),
            table: "connector_keys",
            column: "sealed",
            row: row.kid.as_bytes(),
            project: None,
            environment: None,
            connector: Some(row.connector),
            subject: Some(&row.algorithm),
            version: row.version.unsigned_abs(),
        }
    }

    pub(crate) fn trigger_secrets_aad<'a>(&self, setting: &'a TriggerSetting) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: Some(setting.team),
            table: "trigger_settings",
            column: "secrets",
            row: setting.connector.bytes(),
            project: None,
            environment: None,
            connector: Some(setting.connector),
            subject: None,
            version: setting.version.unsigned_abs(),
        }
    }

    /// To whom an event goes follows from its connector.
    pub(crate) fn trigger_event_aad<'a>(&self, event: &'a TriggerEvent) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: Some(event.team),
            table: "trigger_events",
            column: "content",
            row: event.id.bytes(),
            project: None,
            environment: None,
            connector: Some(event.connector),
            subject: None,
            version: 0,
        }
    }

    pub(crate) fn app_aad<'a>(&self, app: &'a ManagedAppRow, offered_as: &'a str) -> Aad<'a> {
        Aad {
            table: "managed_apps",
            column: "secrets",
            row: app.service.as_bytes(),
            subject: Some(offered_as),
            version: app.version.unsigned_abs(),
            ..self.signing_aad("")
        }
    }

    pub(crate) fn passphrase_aad<'a>(&self, user: &'a [u8; 16]) -> Aad<'a> {
        Aad { table: "passphrases", row: user, ..self.signing_aad("") }
    }

    pub(crate) fn account_aad<'a>(&self, directory: &'a str) -> Aad<'a> {
        Aad { table: "acme_accounts", row: directory.as_bytes(), ..self.signing_aad("") }
    }

    pub(crate) fn certificate_aad<'a>(&self, place: &'a str, version: i64) -> Aad<'a> {
        Aad {
            table: "certificates",
            row: place.as_bytes(),
            version: version.unsigned_abs(),
            ..self.signing_aad("")
        }
    }

    pub(crate) fn signing_aad<'a>(&self, kid: &'a str) -> Aad<'a> {
        Aad {
            deployment: self.deployment,
            team: None,
            table: "signing_keys",
            column: "sealed",
            row: kid.as_bytes(),
            project: None,
            environment: None,
            connector: None,
            subject: None,
            version: 0,
        }
    }
}

/// What decides to whom a connector's secrets are sent: its driver and its configuration.
pub(crate) fn led_by(connector: &Connector) -> String {
    let data = serde_json::to_vec(&connector.data).unwrap_or_default();
    hex(&Parts::new("connector/1").add(connector.r#type.as_str().as_bytes()).add(&data).finish())
}

/// What decides to whom an application's secrets are sent and who may use it: driver, way, what is filled into its
/// addresses, configuration and teams. When
/// it was registered tells it from one that was there before.
pub(crate) fn offered_as(app: &ManagedAppRow) -> String {
    let data = serde_json::to_vec(&app.data).unwrap_or_default();
    let teams = app.teams.as_ref().map(|teams| serde_json::to_vec(teams).unwrap_or_default());
    let along: &[u8] = if app.goes_along { b"goes along" } else { b"stays" };
    let parts = Parts::new("managed-app/1")
        .add(app.r#type.as_str().as_bytes())
        .maybe(app.method.as_deref().map(str::as_bytes))
        .add(&data)
        .maybe(teams.as_deref())
        .add(along)
        .add(&app.created_at.millis().to_be_bytes());
    // Nothing is added where nothing is filled in: so it was sealed before anything could be.
    let params = Some(&app.params).filter(|params| !params.is_empty());
    let params = params.map(|params| serde_json::to_vec(params).unwrap_or_default());
    hex(&params.into_iter().fold(parts, |parts, params| parts.add(&params)).finish())
}

/// What a notice tells of, and with it what its link mends: the thing, in which way it breaks, and since when.
pub(crate) fn broken(notice: &Notice) -> String {
    let parts = Parts::new("health-notice/1").add(&notice.target).add(notice.what.as_bytes());
    hex(&parts.add(&notice.since.to_be_bytes()).finish())
}

/// What decides who gets a grant's tokens, besides the columns with a place of their own: the subject, the installation,
/// and the scopes by which it is judged whether a token fits. The `subject` of the associated data of a sealed grant.
pub fn whose(place: &Place, scopes: Option<&Scopes>) -> String {
    let scopes = scopes.map(ToString::to_string);
    let parts =
        Parts::new("grant/1").add(place.subject.as_bytes()).maybe(id_bytes(place.installation.as_ref()));
    hex(&parts.maybe(scopes.as_deref().map(str::as_bytes)).finish())
}

#[cfg(test)]
mod tests {
    use carnet_model::{Environment, Id};

    use super::*;

    #[test]
    fn each_column_that_a_decision_depends_on_is_bound() {
        let place = Place {
            team: Id::from_bytes([1; 16]),
            connector: Id::from_bytes([2; 16]),
            project: None,
            environment: Environment::Production,
            subject: "user:u".to_owned(),
            installation: None,
        };
        let scopes = |text: &str| Scopes::parse_joined(text).unwrap();
        let bound = whose(&place, Some(&scopes("read")));
        for (place, scopes) in [
            (Place { subject: "user:v".to_owned(), ..place.clone() }, Some(scopes("read"))),
            (Place { installation: Some(Id::from_bytes([3; 16])), ..place.clone() }, Some(scopes("read"))),
            (place.clone(), Some(scopes("read write"))),
            (place.clone(), Some(Scopes::empty())),
            (place.clone(), None),
        ] {
            assert_ne!(whose(&place, scopes.as_ref()), bound, "{place:?} {scopes:?}");
        }
        assert_eq!(whose(&place, Some(&scopes("read"))), bound);
    }
}
