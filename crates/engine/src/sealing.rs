//! What is sealed, and for which place: one function pair per sealed column.
//!
//! The associated data names every column that a decision about the secret depends on, so a row that was moved, or a
//! column that was changed behind our back, no longer opens.

mod packed;
mod places;

use carnet_model::connector::Connector;
use carnet_model::grant::{Grant, Place};
use carnet_model::{Id, Secret, SecretBytes, SecretString, kind};
use carnet_providers::{ConnectorSecrets, Kept};
use carnet_store::connector_keys::ConnectorKeyRow;
use carnet_store::consents::Consent;
use carnet_store::health::Notice;
use carnet_store::managed_apps::ManagedAppRow;
use carnet_store::minted::MintedRow;
use carnet_store::trigger_events::TriggerEvent;
use carnet_store::triggers::TriggerSetting;
use carnet_vault::{Aad, StretchedPassphrase};
use serde_json::{Map, Value};

use crate::broker::Inner;
use crate::consent::place;

pub(crate) use packed::{Facts, GrantSecret, MadeToken};
pub use places::whose;
pub(crate) use places::{broken, led_by, offered_as};

/// A sealed column does not open, or what is inside is not what belongs there.
#[derive(Debug, thiserror::Error)]
#[error("a sealed value of {0} does not open at its place")]
pub(crate) struct Unsealable(pub(crate) &'static str);

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
}
