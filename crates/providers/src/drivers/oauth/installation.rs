//! Installing the application at a tenant of a server that knows nothing of installations but the same consent: a
//! workspace in which it acts as itself (Linear), a workspace that it may read (Notion), an account that it acts for
//! (Stripe), a server that its bot enters (Discord).
//!
//! What the consent leaves is the application's token at that tenant, kept and renewed like a person's. Where the
//! application has one token for everywhere, such as that of a bot, the consent leaves nothing, and that token is given
//! out. Which tenant it is, is said by the server's own answer and never by the address that the browser came back to.

use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value, json};

use super::super::probe::Probe;
use super::account::Found;
use crate::driver::failure::{BadConfiguration, DriverError};
use crate::driver::installed::Installed;
use crate::driver::mint::Minted;
use crate::fields::Fields;
use crate::oauth::authorization::is_reserved;

/// How the application is installed.
#[derive(Debug)]
pub(super) struct Installation {
    /// What is asked for.
    pub scopes: Scopes,
    /// Further parameters of the request, over those of every request.
    pub params: Vec<(String, String)>,
    /// The parameter that names the tenant where one is asked for.
    pub tenant_param: Option<String>,
    /// Whether the application's own token is stored, and how it is presented, if not as a bearer.
    pub own_token: bool,
    pub scheme: Option<String>,
    /// How that token is tried.
    pub probe: Option<Probe>,
}

impl Installation {
    /// Reads `installation`. The token comes beside it, if it is there.
    pub(super) fn read(
        fields: &mut Fields,
    ) -> Result<(Option<Self>, Option<SecretString>), BadConfiguration> {
        let Some(mut inner) = fields.object("installation")? else { return Ok((None, None)) };
        let enabled = inner.flag("enabled")?.unwrap_or(true);
        let token = inner.secret("token")?;
        if token.as_ref().is_some_and(|token| token.expose().contains(' ')) {
            return Err(inner.bad("token", "has no space; what stands before it is written into scheme"));
        }
        let installation = Self {
            scopes: inner.scopes("scopes")?.unwrap_or_default(),
            params: inner.pairs("authorizationUrlParams")?.unwrap_or_default(),
            tenant_param: inner.text("tenantParam")?,
            own_token: inner.flag("ownToken")?.unwrap_or(token.is_some()),
            scheme: inner.text("scheme")?,
            probe: Probe::read(&mut inner)?,
        };
        let named = installation.params.iter().map(|(name, _)| name).chain(&installation.tenant_param);
        if let Some(name) = named.into_iter().find(|name| is_reserved(name)) {
            return Err(inner.bad(&format!("authorizationUrlParams.{name}"), "is set by the protocol itself"));
        }
        inner.finish()?;
        Ok(if enabled { (Some(installation), token) } else { (None, None) })
    }

    /// As stored and shown: without the token.
    pub(super) fn to_json(&self) -> Value {
        let mut out = json!({"enabled": true, "scopes": self.scopes});
        let Some(object) = out.as_object_mut() else { return out };
        if !self.params.is_empty() {
            let params: Map<_, _> =
                self.params.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
            object.insert("authorizationUrlParams".to_owned(), params.into());
        }
        for (name, text) in [("tenantParam", &self.tenant_param), ("scheme", &self.scheme)] {
            if let Some(text) = text {
                object.insert(name.to_owned(), text.clone().into());
            }
        }
        if self.own_token {
            object.insert("ownToken".to_owned(), true.into());
        }
        if let Some(probe) = &self.probe {
            object.insert("probe".to_owned(), probe.to_json());
        }
        out
    }

    /// The application's own token, at an installation of it.
    pub(super) fn token(
        &self,
        token: Option<&SecretString>,
        place: Option<&Installed>,
    ) -> Result<Minted, DriverError> {
        let token = token.ok_or_else(|| {
            DriverError::Misconfigured("installation.token".to_owned(), "is missing".to_owned())
        })?;
        let mut metadata = Map::new();
        if let Some(scheme) = &self.scheme {
            metadata.insert("tokenType".to_owned(), scheme.clone().into());
        }
        if let Some(tenant) = place.and_then(|place| place.tenant_id.clone()) {
            metadata.insert("tenantId".to_owned(), tenant.into());
        }
        Ok(Minted {
            token: token.duplicate(),
            expires_at: None,
            scopes: None,
            held: None,
            refresh_expires_at: None,
            metadata,
            claims: Map::new(),
            external_subject: place.and_then(|place| place.name.clone()),
            stray: None,
            flawed: false,
        })
    }
}

/// The tenant that was found; `None` if the server did not say.
pub(super) fn place(found: &Found) -> Option<Installed> {
    let tenant = found.tenant.clone()?;
    Some(Installed {
        external_id: Some(tenant.clone()),
        tenant_id: Some(tenant),
        name: found.tenant_name.clone(),
    })
}

/// Where the token stands in `data`.
pub(super) const TOKEN: &str = "/installation/token";
