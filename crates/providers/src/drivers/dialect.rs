//! Providers that speak plain OAuth 2.0 to people, at addresses and with habits that follow from a few facts.
//!
//! A [`Dialect`] says what `data` holds, what that is for the driver of plain OAuth, and what differs before and after
//! its steps. [`Speaks`] is the driver that comes of it. A provider with another way to a token is a driver of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use carnet_egress::Purpose;
use carnet_model::connector::Connector;
use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value};
use url::Url;

use super::oauth::Oauth;
use crate::driver::ability::{Abilities, Resources};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, DriverError, NotAccepted, Vendor};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::fields::Fields;
use crate::oauth::client::Client;
use crate::oauth::client_auth::Proof;
use crate::oauth::probe::{self, By, Known};

/// How one provider differs.
pub(super) trait Dialect: Send + Sync {
    /// What the provider is called in sentences.
    const NAME: &'static str;
    /// What is known about a connector, without its secret.
    type Facts: Send + Sync;

    /// Reads `data`. `secret` reads what only new data has, where it stands among the rest.
    fn read<S>(fields: Fields, secret: ReadSecret<'_, S>) -> Result<(Self::Facts, S), BadConfiguration>
    where
        Self: Sized;

    /// Asks the provider about it.
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>>;

    /// The same as the `data` of a connector of the type `oauth`.
    fn plain(&self, facts: &Self::Facts, connector: &Connector) -> Map<String, Value>;

    /// Where else tokens are sent.
    fn confidants(&self, _facts: &Self::Facts) -> Vec<String> {
        Vec::new()
    }

    /// Whether fewer scopes than were granted can be asked for, and others than the connector's at consent.
    fn narrows(&self) -> bool {
        false
    }

    /// What is asked of a person, as this provider is asked; refuses what it cannot be asked.
    fn asked<'a>(&self, _facts: &Self::Facts, ask: &ConsentAsk<'a>) -> Result<ConsentAsk<'a>, DriverError> {
        Ok(ask.clone())
    }

    /// What has to be known or put right about a new grant. A grant that is refused is told to the provider, if it can
    /// be told.
    fn granted<'a>(
        &'a self,
        _at: &'a At<'_>,
        _facts: &'a Self::Facts,
        granted: Granted,
    ) -> Boxed<'a, Result<Granted, (Granted, DriverError)>> {
        Box::pin(std::future::ready(Ok(granted)))
    }

    /// The same about a grant that somebody brings along.
    fn imported(&self, _facts: &Self::Facts, granted: Granted) -> Granted {
        granted
    }

    /// The same about a new token. What has to be kept is in it: nothing may be lost here.
    fn minted<'a>(
        &'a self,
        _at: &'a At<'_>,
        _facts: &'a Self::Facts,
        _held: Option<&'a Held>,
        minted: Minted,
    ) -> Boxed<'a, Minted> {
        Box::pin(std::future::ready(minted))
    }

    /// The access token that came with an earlier renewal and was put aside ([`Held::is_aside`]), looked at again; `None`
    /// where there is none, and the grant is to be renewed.
    fn aside<'a>(
        &'a self,
        _at: &'a At<'_>,
        _facts: &'a Self::Facts,
        _held: Option<&'a Held>,
    ) -> Boxed<'a, Option<Result<Minted, DriverError>>> {
        Box::pin(std::future::ready(None))
    }

    /// What a failure means here. `refreshes` says that a grant was to be renewed.
    fn failed(&self, error: DriverError, _refreshes: bool) -> DriverError {
        error
    }
}

/// The driver of a dialect.
pub(super) struct Speaks<D>(pub D);

impl<D: Dialect> Speaks<D> {
    fn inner(&self, at: &At<'_>) -> Result<(D::Facts, Connector), DriverError> {
        let facts = stored::<D>(&at.connector.data)?;
        let inner = self.view(&facts, at.connector);
        Ok((facts, inner))
    }

    fn view(&self, facts: &D::Facts, connector: &Connector) -> Connector {
        Connector { data: self.0.plain(facts, connector), ..connector.clone() }
    }

    fn of(&self, connector: &Connector) -> Option<(D::Facts, Connector)> {
        let facts = stored::<D>(&connector.data).ok()?;
        let inner = self.view(&facts, connector);
        Some((facts, inner))
    }
}

impl<D: Dialect> Driver for Speaks<D> {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>> {
        Box::pin(async move { Ok(self.0.accept(ask).await?) })
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        let Some((_, inner)) = self.of(connector) else { return Abilities::NONE };
        let mut abilities = Oauth.abilities(&inner);
        for tokens in [&mut abilities.app, &mut abilities.user].into_iter().flatten() {
            tokens.resources = Resources::Unknown;
            tokens.audience = false;
            tokens.refinement &= self.0.narrows();
        }
        abilities
    }

    fn idle(&self, connector: &Connector) -> Option<Duration> {
        Oauth.idle(&self.of(connector)?.1)
    }

    fn recipients(&self, connector: &Connector) -> BTreeSet<String> {
        let Some((facts, inner)) = self.of(connector) else { return BTreeSet::new() };
        let mut recipients = Oauth.recipients(&inner);
        recipients.extend(self.0.confidants(&facts));
        recipients
    }

    fn way(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        let (facts, inner) = self.inner(at)?;
        refuse_targets::<D>(&ask.resources, &ask.audience, &ask.details)?;
        Oauth.way(&At { connector: &inner, ..*at }, &self.0.asked(&facts, ask)?)
    }

    fn begin<'a>(&'a self, at: &'a At<'_>, ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(async move {
            let (facts, inner) = self.inner(at)?;
            refuse_targets::<D>(&ask.resources, &ask.audience, &ask.details)?;
            Oauth.begin(&At { connector: &inner, ..*at }, &self.0.asked(&facts, ask)?).await
        })
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(async move {
            let (facts, inner) = self.inner(at)?;
            let there = At { connector: &inner, ..*at };
            let granted = Oauth.finish(&there, back, kept).await.map_err(|e| self.0.failed(e, false))?;
            match self.0.granted(at, &facts, granted).await {
                Ok(granted) => Ok(granted),
                Err((granted, why)) => {
                    let _ = Oauth.revoke(&there, &granted.held).await;
                    Err(why)
                }
            }
        })
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        let (facts, inner) = self.inner(at)?;
        let granted = Oauth.import(&At { connector: &inner, ..*at }, import)?;
        Ok(self.0.imported(&facts, granted))
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            let (facts, inner) = self.inner(at)?;
            let (scopes, resources, audience, details, refreshes) = match ask {
                MintAsk::Refresh { scopes, resources, audience, details } => {
                    (scopes, resources, audience, details, true)
                }
                MintAsk::App { scopes, resources, audience, details, .. } => {
                    (scopes, resources, audience, details, false)
                }
                MintAsk::Asserted { .. } | MintAsk::Exchanged { .. } => {
                    return Err(DriverError::Unsupported(format!(
                        "a connector to {} neither asserts identities nor exchanges tokens",
                        D::NAME
                    )));
                }
            };
            refuse_targets::<D>(resources, audience, details)?;
            let narrowed = scopes.as_ref().is_some_and(|scopes| !scopes.is_empty());
            if refreshes && narrowed && !self.0.narrows() {
                return Err(DriverError::Unsupported(format!(
                    "a token of {} has the scopes that were granted and cannot be narrowed; ask for it without scopes",
                    D::NAME
                )));
            }
            if refreshes && let Some(minted) = self.0.aside(at, &facts, held).await {
                return minted;
            }
            let minted = Oauth.mint(&At { connector: &inner, ..*at }, held, ask).await;
            let minted = minted.map_err(|error| self.0.failed(error, refreshes))?;
            Ok(self.0.minted(at, &facts, held, minted).await)
        })
    }

    fn revoke<'a>(&'a self, at: &'a At<'_>, held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(async move {
            let (_, inner) = self.inner(at)?;
            Oauth.revoke(&At { connector: &inner, ..*at }, held).await
        })
    }
}

/// Asks the provider whether it knows a client by its secret. `which` says by its words whether the identifier is wrong
/// rather than the secret.
pub(super) async fn client_is_known(
    ask: &NewConnector<'_>,
    endpoint: &str,
    id: &str,
    proof: Proof<'_>,
    by: By<'_>,
    which: impl Fn(&Vendor) -> &'static str,
) -> Result<(), BadConfiguration> {
    let bad = |field: &str, why: String| BadConfiguration { field: field.to_owned(), why };
    let url: Url = ask
        .http
        .check(endpoint, Purpose::ProviderToken)
        .map_err(|refused| bad("clientId", refused.to_string()))?;
    if !ask.may_show(&url) {
        return Ok(());
    }
    let client = Client { http: ask.http, env: ask.env, tenant: ask.tenant, id, proof };
    match probe::known(&client, &url, by).await {
        Known::Yes => Ok(()),
        Known::No(vendor) => {
            Err(bad(which(&vendor), format!("is not what the provider knows: {}", vendor.quoted())))
        }
        Known::Unasked(why) => Err(bad("clientId", format!("could not be tried at the provider: {why}"))),
    }
}

/// How the secret of new data is read.
pub(super) type ReadSecret<'a, S> = &'a dyn Fn(&mut Fields) -> Result<S, BadConfiguration>;

/// What is known about a stored connector, whose secrets stand elsewhere.
fn stored<D: Dialect>(data: &Map<String, Value>) -> Result<D::Facts, BadConfiguration> {
    D::read(Fields::new(data.clone()), &|_| Ok(())).map(|(facts, ())| facts)
}

/// Reads new data; there may be a secret.
pub(super) fn taken<D: Dialect>(
    ask: &mut NewConnector<'_>,
) -> Result<(D::Facts, Option<SecretString>), BadConfiguration> {
    D::read(Fields::new(std::mem::take(&mut ask.data)), &secret)
}

/// The same, where there must be one.
pub(super) fn taken_with_secret<D: Dialect>(
    ask: &mut NewConnector<'_>,
) -> Result<(D::Facts, SecretString), BadConfiguration> {
    D::read(Fields::new(std::mem::take(&mut ask.data)), &|fields| {
        secret(fields)?.ok_or_else(|| fields.bad("clientSecret", "is missing"))
    })
}

fn secret(fields: &mut Fields) -> Result<Option<SecretString>, BadConfiguration> {
    fields.secret("clientSecret")
}

/// Where people come back to, which is registered at the provider.
pub(super) fn callback(ask: &NewConnector<'_>) -> String {
    format!("{}/callback/{}", ask.callback_base.trim_end_matches('/'), ask.connector)
}

/// Scopes of people that must be there.
pub(super) fn named(scopes: Option<Scopes>) -> Option<Scopes> {
    scopes.filter(|scopes| !scopes.is_empty())
}

/// A secret at its place.
pub(super) fn kept(secret: SecretString) -> crate::driver::secrets::ConnectorSecrets {
    let mut secrets = crate::driver::secrets::ConnectorSecrets::default();
    secrets.insert("/clientSecret".to_owned(), secret);
    secrets
}

fn refuse_targets<D: Dialect>(
    resources: &[String],
    audience: &[String],
    details: &[Value],
) -> Result<(), DriverError> {
    if resources.is_empty() && audience.is_empty() && details.is_empty() {
        return Ok(());
    }
    Err(DriverError::Unsupported(format!(
        "a token of {} cannot be bound to resources, audiences or authorization details",
        D::NAME
    )))
}
