//! Microsoft Entra: people and the application of one directory, without a secret. The client proves itself by a federated
//! credential: a JWT that the connector's own key signs, for an issuer of the connector's own that Entra is told to trust.
//! Where a directory allows no such thing, by a certificate that the application has, or by a secret.
//!
//! The protocol is [`Oauth`]'s, at the addresses of one directory. The directory is named by its identifier: `common` and
//! `organizations` would take people, and refresh tokens, of any. Facts are from learn.microsoft.com ("Microsoft identity
//! platform and the OAuth 2.0 client credentials flow", "Important considerations … for workload identity federation",
//! "Microsoft identity platform application authentication certificate credentials").

mod settings;

use std::collections::BTreeSet;
use std::time::Duration;

use carnet_model::connector::Connector;
use carnet_model::grant::Cause;
use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value};

use super::oauth::Oauth;
use crate::certificate::Certificate;
use crate::driver::ability::{Abilities, Resources};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{DriverError, NotAccepted, Vendor};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::signer::{CannotSign, Signer, SigningAlgorithm};
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::private_key::PrivateKey;
use settings::{GRAPH, LOGIN, Settings};

/// The driver of `microsoft-entra` connectors.
pub(super) struct Entra;

impl Driver for Entra {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>> {
        Box::pin(async move { Ok(settings::accept(ask).await?) })
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        let Ok(settings) = Settings::of(connector) else { return Abilities::NONE };
        let mut abilities = Oauth.abilities(&settings.as_oauth(connector));
        for tokens in [&mut abilities.app, &mut abilities.user].into_iter().flatten() {
            tokens.resources = Resources::Unknown;
            tokens.audience = false;
        }
        if settings.certificate.is_some() {
            // The key is the certificate's, and came with the configuration.
            abilities.signs = None;
        }
        abilities
    }

    fn idle(&self, connector: &Connector) -> Option<Duration> {
        Oauth.idle(&Settings::of(connector).ok()?.as_oauth(connector))
    }

    fn recipients(&self, _connector: &Connector) -> BTreeSet<String> {
        [LOGIN.to_owned()].into()
    }

    /// A code is redeemed for a token of one resource.
    fn asks_together(&self, scopes: &Scopes) -> bool {
        let resources: BTreeSet<&str> = scopes.iter().filter_map(resource).collect();
        resources.len() < 2 && Oauth.asks_together(scopes)
    }

    fn way(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        refuse_targets(&ask.resources, &ask.audience, &ask.details)?;
        Oauth.way(&View::of(at)?.at(at), ask)
    }

    fn begin<'a>(&'a self, at: &'a At<'_>, ask: &'a ConsentAsk<'_>) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(async move {
            refuse_targets(&ask.resources, &ask.audience, &ask.details)?;
            Oauth.begin(&View::of(at)?.at(at), ask).await
        })
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(async move {
            let finished = Oauth.finish(&View::of(at)?.at(at), back, kept).await;
            let mut granted = finished.map_err(meant)?;
            granted.metadata.extend(told(at));
            Ok(granted)
        })
    }

    fn import(&self, at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
        let mut granted = Oauth.import(&View::of(at)?.at(at), import)?;
        granted.metadata.extend(told(at));
        Ok(granted)
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            let (MintAsk::Refresh { resources, audience, details, .. }
            | MintAsk::App { resources, audience, details, .. }) = ask
            else {
                return Err(DriverError::Unsupported(
                    "this connector has tokens of the application and of people".to_owned(),
                ));
            };
            refuse_targets(resources, audience, details)?;
            let minted = Oauth.mint(&View::of(at)?.at(at), held, ask).await;
            let mut minted = minted.map_err(meant)?;
            minted.metadata.extend(told(at));
            Ok(minted)
        })
    }

    /// Entra has no address to end a token at.
    fn revoke<'a>(&'a self, _at: &'a At<'_>, _held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(std::future::ready(Ok(Revocation::NotSupported)))
    }
}

/// What a failure means by its number ("Microsoft Entra authentication and authorization error codes").
///
/// A federated credential is known everywhere only minutes after it was made; until then Entra says AADSTS70021 or
/// AADSTS700211, and asking again is all there is to do. AADSTS70008 and AADSTS700082 are refresh tokens that ended by
/// themselves.
fn meant(error: DriverError) -> DriverError {
    match error {
        DriverError::ClientRejected { vendor } | DriverError::Refused { vendor }
            if matches!(code_of(&vendor), Some(70_021 | 700_211 | 700_212 | 700_213)) =>
        {
            DriverError::Later { retry_after: Some(60), in_doubt: false }
        }
        DriverError::Gone { vendor: Some(vendor), .. }
            if matches!(code_of(&vendor), Some(70_008 | 700_082)) =>
        {
            DriverError::Gone { cause: Cause::Expired, vendor: Some(vendor) }
        }
        error => error,
    }
}

/// The number in "AADSTS70021: …".
fn code_of(vendor: &Vendor) -> Option<u32> {
    let rest = vendor.description.as_deref()?.strip_prefix("AADSTS")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// In which directory a token is good.
fn told(at: &At<'_>) -> Option<(String, Value)> {
    Some(("tenantId".to_owned(), Settings::of(at.connector).ok()?.tenant.into()))
}

/// The connector as [`Oauth`] reads it.
struct View {
    connector: Connector,
    proof: Option<Proven>,
}

impl View {
    fn of(at: &At<'_>) -> Result<Self, DriverError> {
        let settings = Settings::of(at.connector)?;
        let connector = settings.as_oauth(at.connector);
        let proof = match settings.certificate {
            None => None,
            Some(certificate) => {
                let wrong = |why: String| DriverError::Misconfigured("privateKeyPem".to_owned(), why);
                let pem =
                    at.secrets.at(settings::PRIVATE_KEY).ok_or_else(|| wrong("is missing".to_owned()))?;
                let key = PrivateKey::parse(pem).map_err(|why| wrong(why.to_string()))?;
                Some(Proven { key, certificate })
            }
        };
        Ok(Self { connector, proof })
    }

    fn at<'a>(&'a self, at: &At<'a>) -> At<'a> {
        let signer = self.proof.as_ref().map(|proof| proof as &dyn Signer).or(at.signer);
        At { connector: &self.connector, signer, ..*at }
    }
}

/// A key whose certificate the application has at Entra.
struct Proven {
    key: PrivateKey,
    certificate: Certificate,
}

impl Signer for Proven {
    fn kid(&self) -> &'static str {
        ""
    }

    fn algorithm(&self) -> SigningAlgorithm {
        SigningAlgorithm::Ps256
    }

    /// "Assertion format": the header names the certificate, and the claims say from when on.
    fn sign(&self, _typ: &str, claims: &Map<String, Value>) -> Result<SecretString, CannotSign> {
        let mut claims = claims.clone();
        if let Some(made) = claims.get("iat").cloned() {
            claims.insert("nbf".to_owned(), made);
        }
        self.key.jwt_of(&self.certificate, &claims)
    }
}

fn refuse_targets(resources: &[String], audience: &[String], details: &[Value]) -> Result<(), DriverError> {
    if resources.is_empty() && audience.is_empty() && details.is_empty() {
        return Ok(());
    }
    Err(DriverError::Unsupported(
        "at Entra the resource is said by the scopes, RESOURCE/.default or RESOURCE/SCOPE; resources, audiences and \
         authorization details are not known there"
            .to_owned(),
    ))
}

/// Whose scope it is: Graph's, where it says no other. The standard ones are nobody's.
fn resource(scope: &str) -> Option<&str> {
    let of_graph = GRAPH.rsplit_once('/')?.0;
    match scope.rsplit_once('/') {
        Some((resource, _)) if resource.contains(':') => Some(resource),
        _ if ["openid", "profile", "email", "offline_access"].contains(&scope) => None,
        _ => Some(of_graph),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_one_resource_are_asked_for_together() {
        for (scopes, together) in [
            ("Mail.Read User.Read openid offline_access", true),
            ("Mail.Read https://graph.microsoft.com/User.Read", true),
            ("Mail.Read api://orders/Orders.Read", false),
            ("api://orders/Orders.Read api://orders/Orders.Write email", true),
            ("https://graph.microsoft.com/.default offline_access", true),
            ("https://graph.microsoft.com/.default Mail.Read", false),
        ] {
            let scopes = Scopes::parse_joined(scopes).unwrap();
            assert_eq!(Entra.asks_together(&scopes), together, "{scopes}");
        }
        let roles = |names: &str| Oauth.asks_together(&Scopes::parse_joined(names).unwrap());
        assert!(
            roles("session:role:ANALYST refresh_token") && !roles("session:role:ANALYST session:role:PUBLIC")
        );
    }
}
