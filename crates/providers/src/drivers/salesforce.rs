//! Salesforce: people by the web server flow with PKCE, the application by client credentials or by a JWT for one user,
//! asserted identities by JWT.
//!
//! The protocol is [`Oauth`]'s; here is what differs. Where a token may be used is said with it in `instance_url`, which
//! can change with every refresh. No answer says when a token ends: that is a setting of the organization ("Session
//! Settings"), so a token is taken to end as `sessionSeconds` says; else as Salesforce tells an app with a secret that asks
//! about the token ("OpenID Connect Token Introspection"); else after a quarter of an hour. That a refresh gives less where
//! `scope` asks for less is documented nowhere, so nothing is narrowed. A refresh token that works once and comes a second
//! time ends the one before and every access token (help.salesforce.com, article 005316711).

mod settings;

use std::collections::BTreeSet;
use std::time::Duration;

use carnet_model::connector::Connector;
use carnet_model::{SecretString, SubjectKind};
use serde_json::{Map, Value};
use url::Url;

use super::oauth::Oauth;
use crate::driver::ability::{Abilities, Resources};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{DriverError, NotAccepted};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{Asserted, MintAsk, Minted, Revocation};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::signer::{CannotSign, Signer, SigningAlgorithm};
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::private_key::PrivateKey;
use settings::Settings;

/// The driver of `salesforce` connectors.
pub(super) struct Salesforce;

impl Driver for Salesforce {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>> {
        Box::pin(async move { Ok(settings::accept(ask).await?) })
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        let Ok(settings) = Settings::of(connector) else { return Abilities::NONE };
        let mut abilities = Oauth.abilities(&settings.as_oauth(connector));
        if settings.app_username.is_some() {
            abilities.app = abilities.asserted.clone();
        }
        if !settings.asserts {
            abilities.asserted = None;
        }
        let of_kind = |kind: &SubjectKind| match kind {
            SubjectKind::App => abilities.app.is_some(),
            SubjectKind::User => abilities.user.is_some(),
            SubjectKind::JwtBearer => abilities.asserted.is_some(),
            SubjectKind::Token => false,
        };
        abilities.subjects = [SubjectKind::App, SubjectKind::User, SubjectKind::JwtBearer]
            .into_iter()
            .filter(of_kind)
            .collect();
        for tokens in [&mut abilities.app, &mut abilities.user, &mut abilities.asserted].into_iter().flatten()
        {
            tokens.refinement = false;
            tokens.resources = Resources::Unknown;
            tokens.audience = false;
        }
        // The key is the connected app's, and came with the configuration.
        abilities.signs = None;
        abilities
    }

    fn idle(&self, connector: &Connector) -> Option<Duration> {
        Oauth.idle(&Settings::of(connector).ok()?.as_oauth(connector))
    }

    fn recipients(&self, connector: &Connector) -> BTreeSet<String> {
        Settings::of(connector)
            .map_or_else(|_| BTreeSet::new(), |settings| [format!("https://{}", settings.login_host)].into())
    }

    fn way(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        let view = View::of(at)?;
        refuse_targets(&ask.resources, &ask.audience, &ask.details)?;
        Oauth.way(&view.at(at), ask)
    }

    fn begin<'a>(&'a self, at: &'a At<'_>, ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(async move {
            let view = View::of(at)?;
            refuse_targets(&ask.resources, &ask.audience, &ask.details)?;
            Oauth.begin(&view.at(at), ask).await
        })
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(async move {
            let view = View::of(at)?;
            let mut granted = Oauth.finish(&view.at(at), back, kept).await?;
            match Place::read(&granted.metadata) {
                Ok(place) => {
                    granted.external_subject.clone_from(&place.user);
                    if let Some(tokens) = granted.held.tokens_mut() {
                        tokens.external_subject.clone_from(&place.user);
                    }
                    granted.metadata = place.told();
                    Ok(granted)
                }
                Err(why) => {
                    let _ = Oauth.revoke(&view.at(at), &granted.held).await;
                    Err(DriverError::Stray(why))
                }
            }
        })
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        let view = View::of(at)?;
        Oauth.import(&view.at(at), import)
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            let view = View::of(at)?;
            let (scopes, resources, audience, details) = match ask {
                MintAsk::Refresh { scopes, resources, audience, details }
                | MintAsk::App { scopes, resources, audience, details, .. }
                | MintAsk::Asserted { scopes, resources, audience, details, .. } => {
                    (scopes, resources, audience, details)
                }
                MintAsk::Exchanged { .. } => return Err(unsupported("Salesforce exchanges no tokens")),
            };
            refuse_targets(resources, audience, details)?;
            if scopes.as_ref().is_some_and(|scopes| !scopes.is_empty()) {
                return Err(unsupported(CANNOT_BE_NARROWED));
            }
            let by_jwt = view.settings.app_username.as_ref().filter(|_| matches!(ask, MintAsk::App { .. }));
            let as_user = by_jwt.map(|username| MintAsk::Asserted {
                who: Asserted { sub: username.clone(), iss: None, aud: None, claims: Map::new() },
                scopes: None,
                resources: Vec::new(),
                audience: Vec::new(),
                details: Vec::new(),
            });
            if as_user.is_none() && matches!(ask, MintAsk::Asserted { .. }) && !view.settings.asserts {
                return Err(unsupported("this connector asserts nobody: assertableUsernames is empty"));
            }
            let mut minted = Oauth.mint(&view.at(at), held, as_user.as_ref().unwrap_or(ask)).await?;
            if minted.flawed {
                return Ok(minted);
            }
            let before = held.and_then(Held::external_subject);
            match Place::read(&minted.metadata) {
                Ok(place) if before.is_some() && place.user.as_deref() != before => {
                    // A refresh never changes the account; what it brought may be the only token that works.
                    minted.stray = Some("it is another user's".to_owned());
                }
                Ok(place) => {
                    minted.external_subject.clone_from(&place.user);
                    minted.metadata = place.told();
                }
                // What was found wrong before says more.
                Err(why) => minted.stray = minted.stray.or(Some(why)),
            }
            if minted.stray.is_some() {
                minted.metadata = Map::new();
                if let Some(tokens) = minted.held.as_mut().and_then(Held::tokens_mut) {
                    tokens.access = None;
                }
            }
            Ok(minted)
        })
    }

    fn revoke<'a>(&'a self, at: &'a At<'_>, held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(async move {
            let view = View::of(at)?;
            Oauth.revoke(&view.at(at), held).await
        })
    }
}

/// The connector as [`Oauth`] reads it.
struct View {
    settings: Settings,
    connector: Connector,
    secrets: ConnectorSecrets,
    key: Option<Pem>,
}

impl View {
    fn of(at: &At<'_>) -> Result<Self, DriverError> {
        let settings = Settings::of(at.connector)?;
        let mut secrets = ConnectorSecrets::default();
        if let Some(secret) = at.secrets.at(settings::CONSUMER_SECRET) {
            secrets.insert("/clientSecret".to_owned(), secret.duplicate());
        }
        let key = match at.secrets.at(settings::PRIVATE_KEY) {
            None => None,
            Some(pem) => Some(Pem(PrivateKey::parse(pem)
                .map_err(|why| DriverError::Misconfigured("privateKeyPem".to_owned(), why.to_string()))?)),
        };
        Ok(Self { connector: settings.as_oauth(at.connector), settings, secrets, key })
    }

    fn at<'a>(&'a self, at: &At<'a>) -> At<'a> {
        let signer = self.key.as_ref().map(|key| key as &dyn Signer);
        At { connector: &self.connector, secrets: &self.secrets, signer, ..*at }
    }
}

/// A key that the connected app has the certificate of. It has no name there.
struct Pem(PrivateKey);

impl Signer for Pem {
    fn kid(&self) -> &'static str {
        ""
    }

    fn algorithm(&self) -> SigningAlgorithm {
        SigningAlgorithm::Rs256
    }

    fn sign(&self, _typ: &str, claims: &Map<String, Value>) -> Result<SecretString, CannotSign> {
        self.0.jwt(None, claims)
    }
}

/// Where a token is good, and whose it is.
struct Place {
    instance: String,
    organization: Option<String>,
    user: Option<String>,
}

impl Place {
    /// Reads it in an answer. A token is sent where this says, so it is an address of Salesforce's or none.
    fn read(answer: &Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let instance = text("instance_url").and_then(|text| Url::parse(text).ok());
        let instance = instance.filter(|url| {
            let host = url.host_str().unwrap_or_default();
            url.scheme() == "https"
                && DOMAINS.iter().any(|domain| host.ends_with(domain))
                && url.port().is_none()
        });
        let instance = instance.ok_or("it does not say at which host of Salesforce it is good")?;
        // `https://login.salesforce.com/id/ORGANIZATION/USER` ("Identity URLs").
        let identity = text("id").and_then(|text| Url::parse(text).ok());
        let steps: Vec<String> = identity
            .and_then(|url| Some(url.path_segments()?.map(str::to_owned).collect()))
            .unwrap_or_default();
        let (organization, user) = match steps.as_slice() {
            [id, organization, user] if id == "id" => (Some(organization.clone()), Some(user.clone())),
            _ => (None, None),
        };
        Ok(Self { instance: instance.origin().ascii_serialization(), organization, user })
    }

    fn told(self) -> Map<String, Value> {
        let more = [("organizationId", self.organization), ("userId", self.user)];
        let more = more.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?))));
        [("instanceUrl".to_owned(), Value::from(self.instance))].into_iter().chain(more).collect()
    }
}

fn refuse_targets(resources: &[String], audience: &[String], details: &[Value]) -> Result<(), DriverError> {
    if resources.is_empty() && audience.is_empty() && details.is_empty() {
        return Ok(());
    }
    Err(unsupported("a token of Salesforce cannot be bound to resources, audiences or authorization details"))
}

fn unsupported(why: &str) -> DriverError {
    DriverError::Unsupported(why.to_owned())
}

const CANNOT_BE_NARROWED: &str = "a token of Salesforce has the scopes that were granted and cannot be narrowed; ask for it without scopes";
/// "My Domain" and the hosts of instances.
const DOMAINS: [&str; 2] = [".salesforce.com", ".force.com"];
