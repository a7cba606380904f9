//! What is sealed, and for which place: one function pair per sealed column.
//!
//! The associated data names every column that a decision about the secret depends on, so a row that was moved, or a
//! column that was changed behind our back, no longer opens.

use carnet_model::connector::Connector;
use carnet_model::grant::{Grant, Place};
use carnet_model::{Id, Scopes, Secret, SecretBytes, SecretString, Time, kind};
use carnet_providers::{ConnectorSecrets, Held, Kept, Profile};
use carnet_store::connector_keys::ConnectorKeyRow;
use carnet_store::consents::Consent;
use carnet_store::health::Notice;
use carnet_store::managed_apps::ManagedAppRow;
use carnet_store::minted::MintedRow;
use carnet_store::trigger_events::TriggerEvent;
use carnet_store::triggers::TriggerSetting;
use carnet_vault::{Aad, StretchedPassphrase};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::broker::Inner;
use crate::cache::{Parts, id_bytes};
use crate::consent::{hex, place};

/// A sealed column does not open, or what is inside is not what belongs there.
#[derive(Debug, thiserror::Error)]
#[error("a sealed value of {0} does not open at its place")]
pub(crate) struct Unsealable(pub(crate) &'static str);

/// What is kept for a grant: the driver's part, and what callers are told beside the token.
pub(crate) struct GrantSecret {
    pub(crate) facts: Facts,
    pub(crate) held: Held,
}

/// What callers are told beside a token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// `stk_…` of the access token that is held; a new one with every new token.
    pub(crate) token_id: Option<Id<kind::Token>>,
    /// What the person was asked for. Some providers answer with other names for the same scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<Scopes>,
    /// What of that callers named, rather than the connector.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    pub(crate) named: Scopes,
    /// The resources (RFC 8707) that the person was asked for, besides the connector's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<String>,
    /// The audiences that the person was asked for, besides the connector's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) audience: Vec<String>,
    /// The authorization details (RFC 9396) that the person was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<Value>,
    /// The request for consent from which it came; none if it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given_by: Option<Id<kind::AuthorizationRequest>>,
    pub(crate) name: Option<String>,
    pub(crate) external_subject: Option<String>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    /// For apps that sign people in; nobody else is told.
    #[serde(default, skip_serializing_if = "Profile::is_empty")]
    pub(crate) profile: Profile,
}

/// A token that was made for a request.
pub(crate) struct MadeToken {
    pub(crate) token: SecretString,
    pub(crate) facts: Facts,
    pub(crate) expires_at: Option<Time>,
}

impl Inner {
    pub(crate) fn seal_connector(
        &self,
        connector: &Connector,
        secrets: &ConnectorSecrets,
    ) -> Result<Vec<u8>, Unsealable> {
        self.seal(&self.connector_aad(connector, &led_by(connector)), secrets.to_json())
    }

    pub(crate) fn open_connector(
        &self,
        connector: &Connector,
        sealed: &[u8],
    ) -> Result<ConnectorSecrets, Unsealable> {
        let plain = self.open(&self.connector_aad(connector, &led_by(connector)), sealed)?;
        ConnectorSecrets::from_json(plain.expose()).map_err(|_| Unsealable("connectors"))
    }

    /// The members with secrets of an application of the operator's.
    pub(crate) fn seal_app(
        &self,
        app: &ManagedAppRow,
        secrets: &Map<String, Value>,
    ) -> Result<Vec<u8>, Unsealable> {
        let plain = serde_json::to_vec(secrets).map_err(|_| Unsealable("managed_apps"))?;
        self.seal(&self.app_aad(app, &offered_as(app)), Secret::new(plain))
    }

    pub(crate) fn open_app(&self, app: &ManagedAppRow) -> Result<Map<String, Value>, Unsealable> {
        let plain = self.open(&self.app_aad(app, &offered_as(app)), &app.secrets)?;
        serde_json::from_slice(plain.expose()).map_err(|_| Unsealable("managed_apps"))
    }

    pub(crate) fn seal_grant(&self, grant: &Grant, secret: &GrantSecret) -> Result<Vec<u8>, Unsealable> {
        let whose = whose(&grant.place, grant.scopes.as_ref());
        let aad = self.grant_aad("grants", grant.id.bytes(), &grant.place, &whose, grant.version);
        self.seal(&aad, secret.pack())
    }

    pub(crate) fn open_grant(&self, grant: &Grant, sealed: &[u8]) -> Result<GrantSecret, Unsealable> {
        let whose = whose(&grant.place, grant.scopes.as_ref());
        let aad = self.grant_aad("grants", grant.id.bytes(), &grant.place, &whose, grant.version);
        let plain = self.open(&aad, sealed)?;
        GrantSecret::unpack(plain.expose()).ok_or(Unsealable("grants"))
    }

    /// Orphans are sealed for their grant and the refresh token that they came from.
    pub(crate) fn seal_orphan(
        &self,
        operation: Id<kind::RefreshOperation>,
        place: &Place,
        rt_version: i64,
        secret: &GrantSecret,
    ) -> Result<Vec<u8>, Unsealable> {
        let whose = whose(place, None);
        let aad = self.grant_aad("refresh_orphans", operation.bytes(), place, &whose, rt_version);
        self.seal(&aad, secret.pack())
    }

    pub(crate) fn open_orphan(
        &self,
        operation: Id<kind::RefreshOperation>,
        place: &Place,
        rt_version: i64,
        sealed: &[u8],
    ) -> Result<GrantSecret, Unsealable> {
        let whose = whose(place, None);
        let aad = self.grant_aad("refresh_orphans", operation.bytes(), place, &whose, rt_version);
        let plain = self.open(&aad, sealed)?;
        GrantSecret::unpack(plain.expose()).ok_or(Unsealable("refresh_orphans"))
    }

    pub(crate) fn seal_minted(&self, row: &MintedRow, made: &MadeToken) -> Result<Vec<u8>, Unsealable> {
        self.seal(&self.minted_aad(row), made.pack())
    }

    pub(crate) fn open_minted(&self, row: &MintedRow) -> Result<MadeToken, Unsealable> {
        let plain = self.open(&self.minted_aad(row), &row.sealed)?;
        MadeToken::unpack(plain.expose(), row.expires_at).ok_or(Unsealable("minted_tokens"))
    }

    pub(crate) fn seal_kept(&self, consent: &Consent, kept: &Kept) -> Result<Vec<u8>, Unsealable> {
        self.seal(&self.kept_aad(consent, &whose(&place(consent), None)), kept.to_json())
    }

    pub(crate) fn open_kept(&self, consent: &Consent, sealed: &[u8]) -> Result<Kept, Unsealable> {
        let plain = self.open(&self.kept_aad(consent, &whose(&place(consent), None)), sealed)?;
        Kept::from_json(plain.expose()).map_err(|_| Unsealable("consents"))
    }

    /// What waits to be confirmed.
    pub(crate) fn seal_parked(&self, consent: &Consent, secret: &GrantSecret) -> Result<Vec<u8>, Unsealable> {
        let whose = whose(&place(consent), None);
        self.seal(&Aad { column: "parked", ..self.kept_aad(consent, &whose) }, secret.pack())
    }

    pub(crate) fn open_parked(&self, consent: &Consent, sealed: &[u8]) -> Result<GrantSecret, Unsealable> {
        let whose = whose(&place(consent), None);
        let plain = self.open(&Aad { column: "parked", ..self.kept_aad(consent, &whose) }, sealed)?;
        GrantSecret::unpack(plain.expose()).ok_or(Unsealable("consents"))
    }

    /// The link that mends what a project is told of.
    pub(crate) fn seal_mend(&self, notice: &Notice, link: &SecretString) -> Result<Vec<u8>, Unsealable> {
        let plain = Secret::new(link.expose().as_bytes().to_vec());
        self.seal(&self.mend_aad(notice, &broken(notice)), plain)
    }

    pub(crate) fn open_mend(&self, notice: &Notice, sealed: &[u8]) -> Result<SecretString, Unsealable> {
        let plain = self.open(&self.mend_aad(notice, &broken(notice)), sealed)?;
        let text = str::from_utf8(plain.expose()).map_err(|_| Unsealable("health_notices"))?;
        Ok(text.to_owned().into())
    }

    pub(crate) fn seal_passphrase(
        &self,
        user: Id<kind::User>,
        passphrase: &StretchedPassphrase,
    ) -> Result<Vec<u8>, Unsealable> {
        let plain = Secret::new(passphrase.expose().as_bytes().to_vec());
        self.seal(&self.passphrase_aad(user.bytes()), plain)
    }

    pub(crate) fn open_passphrase(
        &self,
        user: Id<kind::User>,
        sealed: &[u8],
    ) -> Result<StretchedPassphrase, Unsealable> {
        let plain = self.open(&self.passphrase_aad(user.bytes()), sealed)?;
        let text = str::from_utf8(plain.expose()).map_err(|_| Unsealable("passphrases"))?;
        Ok(StretchedPassphrase::read(text.to_owned().into()))
    }

    pub(crate) fn seal_signing_key(&self, kid: &str, pkcs8: SecretBytes) -> Result<Vec<u8>, Unsealable> {
        self.seal(&self.signing_aad(kid), pkcs8)
    }

    pub(crate) fn open_signing_key(&self, kid: &str, sealed: &[u8]) -> Result<SecretBytes, Unsealable> {
        self.open(&self.signing_aad(kid), sealed)
    }

    pub(crate) fn seal_connector_key(
        &self,
        row: &ConnectorKeyRow,
        pkcs8: SecretBytes,
    ) -> Result<Vec<u8>, Unsealable> {
        self.seal(&self.connector_key_aad(row), pkcs8)
    }

    pub(crate) fn open_connector_key(&self, row: &ConnectorKeyRow) -> Result<SecretBytes, Unsealable> {
        self.open(&self.connector_key_aad(row), &row.sealed)
    }

    /// With what a connector's events are signed.
    pub(crate) fn seal_trigger_secrets(
        &self,
        setting: &TriggerSetting,
        plain: SecretBytes,
    ) -> Result<Vec<u8>, Unsealable> {
        self.seal(&self.trigger_secrets_aad(setting), plain)
    }

    pub(crate) fn open_trigger_secrets(&self, setting: &TriggerSetting) -> Result<SecretBytes, Unsealable> {
        self.open(&self.trigger_secrets_aad(setting), &setting.secrets)
    }

    /// Headers and body of an event.
    pub(crate) fn seal_trigger_event(
        &self,
        event: &TriggerEvent,
        plain: SecretBytes,
    ) -> Result<Vec<u8>, Unsealable> {
        self.seal(&self.trigger_event_aad(event), plain)
    }

    pub(crate) fn open_trigger_event(&self, event: &TriggerEvent) -> Result<SecretBytes, Unsealable> {
        self.open(&self.trigger_event_aad(event), &event.content)
    }

    /// The key of a certificate of the server's own, PKCS #8.
    pub(crate) fn seal_certificate(
        &self,
        place: &str,
        version: i64,
        pkcs8: SecretBytes,
    ) -> Result<Vec<u8>, Unsealable> {
        self.seal(&self.certificate_aad(place, version), pkcs8)
    }

    pub(crate) fn open_certificate(
        &self,
        place: &str,
        version: i64,
        sealed: &[u8],
    ) -> Result<SecretBytes, Unsealable> {
        self.open(&self.certificate_aad(place, version), sealed)
    }

    /// The account at a certificate authority: its key and its address, as JSON.
    pub(crate) fn seal_account(&self, directory: &str, account: SecretBytes) -> Result<Vec<u8>, Unsealable> {
        self.seal(&self.account_aad(directory), account)
    }

    pub(crate) fn open_account(&self, directory: &str, sealed: &[u8]) -> Result<SecretBytes, Unsealable> {
        self.open(&self.account_aad(directory), sealed)
    }

    fn seal(&self, aad: &Aad<'_>, plain: SecretBytes) -> Result<Vec<u8>, Unsealable> {
        self.keyring
            .seal(&self.env, aad, plain.expose())
            .map_err(|_| Unsealable("any table, for want of a key"))
    }

    fn open(&self, aad: &Aad<'_>, sealed: &[u8]) -> Result<SecretBytes, Unsealable> {
        self.keyring.open(aad, sealed).map_err(|_| match aad.table {
            "connectors" => Unsealable("connectors"),
            "grants" => Unsealable("grants"),
            "health_notices" => Unsealable("health_notices"),
            "managed_apps" => Unsealable("managed_apps"),
            "refresh_orphans" => Unsealable("refresh_orphans"),
            "minted_tokens" => Unsealable("minted_tokens"),
            "consents" => Unsealable("consents"),
            "connector_keys" => Unsealable("connector_keys"),
            "passphrases" => Unsealable("passphrases"),
            "trigger_events" => Unsealable("trigger_events"),
            "trigger_settings" => Unsealable("trigger_settings"),
            "acme_accounts" => Unsealable("acme_accounts"),
            "certificates" => Unsealable("certificates"),
            _ => Unsealable("signing_keys"),
        })
    }

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

impl GrantSecret {
    /// Facts behind their length, then the driver's part.
    fn pack(&self) -> SecretBytes {
        pack(&self.facts, self.held.to_json().expose())
    }

    fn unpack(bytes: &[u8]) -> Option<Self> {
        let (facts, rest) = unpack(bytes)?;
        Some(Self { facts, held: Held::from_json(rest).ok()? })
    }
}

impl MadeToken {
    pub(crate) fn pack(&self) -> SecretBytes {
        pack(&self.facts, self.token.expose().as_bytes())
    }

    pub(crate) fn unpack(bytes: &[u8], expires_at: Option<Time>) -> Option<Self> {
        let (facts, rest) = unpack(bytes)?;
        Some(Self { token: Secret::new(str::from_utf8(rest).ok()?.to_owned()), facts, expires_at })
    }
}

fn pack(facts: &Facts, secret: &[u8]) -> SecretBytes {
    let facts = serde_json::to_vec(facts).unwrap_or_default();
    let mut out = Vec::with_capacity(4 + facts.len() + secret.len());
    out.extend_from_slice(&u32::try_from(facts.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&facts);
    out.extend_from_slice(secret);
    Secret::new(out)
}

fn unpack(bytes: &[u8]) -> Option<(Facts, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (facts, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((serde_json::from_slice(facts).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use carnet_model::Environment;

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
