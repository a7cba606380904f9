//! A Google service account: the application as the account itself, and people of a Workspace domain that has delegated
//! its authority to it.
//!
//! Each token is asked for with a JWT that the account's key signs ("Using OAuth 2.0 for Server to Server Applications",
//! developers.google.com). What may be done is said in the JWT, so every request is narrowed to the scopes it names; Google
//! answers without naming them, and refuses what the account was not given. No refresh token, nothing to revoke: a token
//! ends within an hour.

use std::collections::BTreeSet;

use carnet_egress::Purpose;
use carnet_model::connector::Connector;
use carnet_model::grant::Rotation;
use carnet_model::{Env, Id, Scopes, SecretString, SubjectKind, Time, kind};
use serde_json::{Map, Value, json};

use crate::driver::ability::{Abilities, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step, Way};
use crate::driver::failure::{BadConfiguration, DriverError, NotAccepted, Vendor};
use crate::driver::held::Held;
use crate::driver::import::Import;
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::fields::Fields;
use crate::oauth::client::{Client, Form};
use crate::oauth::client_auth::Proof;
use crate::oauth::failure::Phase;
use crate::private_key::PrivateKey;

/// The driver of `google-service-account` connectors.
pub(super) struct Google;

impl Driver for Google {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, NotAccepted>> {
        Box::pin(async move { Ok(accept(ask).await?) })
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        let Ok((settings, _)) = Settings::read(connector.data.clone()) else { return Abilities::NONE };
        let tokens = TokenAbilities {
            scopes: settings.scopes.clone(),
            refinement: true,
            bounded: true,
            ..TokenAbilities::default()
        };
        let asserted = (!settings.assertable.is_empty()).then(|| tokens.clone());
        let mut subjects = vec![SubjectKind::App];
        subjects.extend(asserted.as_ref().map(|_| SubjectKind::JwtBearer));
        Abilities { subjects, app: Some(tokens), asserted, rotation: Rotation::None, ..Abilities::NONE }
    }

    fn recipients(&self, _connector: &Connector) -> BTreeSet<String> {
        ["https://oauth2.googleapis.com".to_owned()].into()
    }

    fn way(&self, _at: &At<'_>, _ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
        Err(no_people())
    }

    fn begin<'a>(
        &'a self,
        _at: &'a At<'_>,
        _ask: &'a ConsentAsk<'_>,
    ) -> Boxed<'a, Result<Step, DriverError>> {
        Box::pin(std::future::ready(Err(no_people())))
    }

    fn finish<'a>(
        &'a self,
        _at: &'a At<'_>,
        _back: &'a Callback,
        _kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(std::future::ready(Err(no_people())))
    }

    fn import(&self, _at: &At<'_>, _import: Import) -> Result<Granted, DriverError> {
        Err(no_people())
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        _held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(mint(at, ask))
    }

    fn revoke<'a>(&'a self, _at: &'a At<'_>, _held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(std::future::ready(Ok(Revocation::NotSupported)))
    }
}

/// What is known about the account, without its key.
struct Settings {
    email: String,
    key_id: Option<String>,
    project: Option<String>,
    scopes: Scopes,
    /// People who may be asserted: addresses, `*` at the beginning for anybody of a domain.
    assertable: Vec<String>,
}

impl Settings {
    /// Reads `data`, with or without the key. The account may be given by Google's own file, whole, as `key`: as the object
    /// that it is, or as its text.
    fn read(mut data: Map<String, Value>) -> Result<(Self, Option<SecretString>), BadConfiguration> {
        if let Some(key) = data.get_mut("key")
            && let Some(file) = key.as_str().and_then(|text| serde_json::from_str::<Map<_, _>>(text).ok())
        {
            *key = Value::Object(file);
        }
        let mut fields = Fields::new(data);
        let (mut email, mut key_id, mut project) =
            (fields.text("clientEmail")?, fields.text("privateKeyId")?, fields.text("projectId")?);
        let mut pem = fields.pem("privateKeyPem")?;
        if let Some(mut file) = fields.object("key")? {
            if file.text("type")?.as_deref() != Some("service_account") {
                return Err(file.bad("type", "must be service_account: the key file of a service account"));
            }
            if file.text("token_uri")?.is_some_and(|uri| uri != TOKEN) {
                return Err(file.bad("token_uri", format!("must be {TOKEN}")));
            }
            email = file.text("client_email")?.or(email);
            key_id = file.text("private_key_id")?.or(key_id);
            project = file.text("project_id")?.or(project);
            pem = file.pem("private_key")?.or(pem);
            // The rest of the file says where others find what we know.
        }
        let email = email.ok_or_else(|| fields.bad("clientEmail", "is missing"))?;
        if !email.ends_with(".gserviceaccount.com") || !email.contains('@') {
            return Err(fields
                .bad("clientEmail", "must be a service account's: NAME@PROJECT.iam.gserviceaccount.com"));
        }
        let scopes = fields.scopes("scopes")?.unwrap_or_default();
        if scopes.is_empty() {
            return Err(fields.bad("scopes", "is empty: name what tokens may do, at most"));
        }
        let assertable = fields.texts("assertableUsers")?.unwrap_or_default();
        let is_pattern = |text: &String| {
            let address = text.strip_prefix('*').unwrap_or(text);
            address.contains('@') && !address.contains('*')
        };
        if !assertable.iter().all(is_pattern) {
            return Err(fields.bad("assertableUsers", "holds addresses, or *@DOMAIN for anybody of a domain"));
        }
        fields.finish()?;
        Ok((Self { email, key_id, project, scopes, assertable }, pem))
    }

    fn to_data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("clientEmail".to_owned(), self.email.clone().into());
        data.insert("scopes".to_owned(), json!(self.scopes));
        for (name, text) in [("privateKeyId", &self.key_id), ("projectId", &self.project)] {
            if let Some(text) = text {
                data.insert(name.to_owned(), text.clone().into());
            }
        }
        if !self.assertable.is_empty() {
            data.insert("assertableUsers".to_owned(), self.assertable.clone().into());
        }
        data
    }

    fn lets(&self, user: &str) -> bool {
        self.assertable.iter().any(|pattern| match pattern.strip_prefix('*') {
            Some(domain) => user.len() > domain.len() && user.ends_with(domain),
            None => user == pattern,
        })
    }
}

/// Who asks, and with what.
struct Account<'a> {
    http: &'a carnet_egress::Egress,
    env: &'a Env,
    tenant: Id<kind::Team>,
    settings: &'a Settings,
    key: &'a PrivateKey,
}

impl Account<'_> {
    /// A token of the account, or of a person as whom it may act.
    async fn token(
        &self,
        scopes: &Scopes,
        person: Option<&str>,
    ) -> Result<(SecretString, Time), DriverError> {
        let form = |now: Time| {
            let mut claims = Map::from_iter([
                ("iss".to_owned(), self.settings.email.clone().into()),
                ("scope".to_owned(), scopes.joined(" ").into()),
                ("aud".to_owned(), TOKEN.into()),
                // Google refuses a JWT from the future and takes one of an hour.
                ("iat".to_owned(), (now.secs() - 30).into()),
                ("exp".to_owned(), (now.secs() + 600).into()),
            ]);
            if let Some(person) = person {
                claims.insert("sub".to_owned(), person.into());
            }
            let jwt = self
                .key
                .jwt(self.settings.key_id.as_deref(), &claims)
                .map_err(|error| DriverError::Misconfigured("privateKeyPem".to_owned(), error.to_string()))?;
            let mut form = Form::of("urn:ietf:params:oauth:grant-type:jwt-bearer");
            form.push_secret("assertion", &jwt);
            Ok(form)
        };
        let url = self.http.check(TOKEN, Purpose::ProviderToken);
        let url = url.map_err(|refused| DriverError::Misconfigured("key".to_owned(), refused.to_string()))?;
        let client = Client {
            http: self.http,
            env: self.env,
            tenant: self.tenant,
            id: &self.settings.email,
            proof: Proof::Unsaid,
        };
        let received = client.token_by_clock(&url, Phase::Assertion, form).await?;
        // Google always says; what does not end is not one of its tokens.
        let life =
            received.issued.expires_in.ok_or(DriverError::garbage(true, "its expires_in is missing"))?;
        let within = received.issued.scopes.as_ref().is_none_or(|given| given.is_within(scopes));
        if received.issued.repeats || !within {
            return Err(DriverError::Stray("it may do more than was asked".to_owned()));
        }
        let ends = received.end_of(life);
        Ok((received.issued.access, ends))
    }
}

async fn mint(at: &At<'_>, ask: &MintAsk) -> Result<Minted, DriverError> {
    let (settings, _) = Settings::read(at.connector.data.clone())?;
    let (scopes, resources, audience, details, person) = match ask {
        MintAsk::App { scopes, resources, audience, details, .. } => {
            (scopes, resources, audience, details, None)
        }
        MintAsk::Asserted { who, scopes, resources, audience, details } => {
            if who.iss.is_some() || who.aud.is_some() || !who.claims.is_empty() {
                return Err(DriverError::Forbidden(
                    "subject: of an asserted person Google takes sub and nothing else".to_owned(),
                ));
            }
            if !settings.lets(&who.sub) {
                return Err(DriverError::Forbidden(
                    "subject.sub: assertableUsers does not name this person".to_owned(),
                ));
            }
            (scopes, resources, audience, details, Some(who.sub.as_str()))
        }
        MintAsk::Refresh { .. } | MintAsk::Exchanged { .. } => return Err(no_people()),
    };
    if !(resources.is_empty() && audience.is_empty() && details.is_empty()) {
        return Err(DriverError::Unsupported(
            "a token of a service account cannot be bound to resources, audiences or authorization details; narrow it by \
             scopes"
                .to_owned(),
        ));
    }
    // No scopes mean all that the connector has: Google gives no token without any.
    let asked = scopes.as_ref().filter(|scopes| !scopes.is_empty()).unwrap_or(&settings.scopes);
    if !asked.is_within(&settings.scopes) {
        return Err(DriverError::Forbidden("scopes go beyond the connector's own".to_owned()));
    }
    let misconfigured = |why: String| DriverError::Misconfigured("privateKeyPem".to_owned(), why);
    let pem = at.secrets.at(PRIVATE_KEY).ok_or_else(|| misconfigured("is missing".to_owned()))?;
    let key = PrivateKey::parse(pem).map_err(|why| misconfigured(why.to_string()))?;
    let account =
        Account { http: at.http, env: at.env, tenant: at.connector.team, settings: &settings, key: &key };
    let (token, ends) = account.token(asked, person).await?;
    let project = settings.project.as_ref().map(|project| ("projectId".to_owned(), project.clone().into()));
    Ok(Minted {
        token,
        expires_at: Some(ends),
        scopes: Some(asked.clone()),
        held: None,
        refresh_expires_at: None,
        metadata: project.into_iter().collect(),
        claims: Map::new(),
        external_subject: Some(person.map_or_else(|| settings.email.clone(), str::to_owned)),
        stray: None,
        flawed: false,
    })
}

/// Reads the configuration and has a token made, so that a wrong key, account or scope is told now.
async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let (settings, pem) = Settings::read(std::mem::take(&mut ask.data))?;
    let bad = |field: &str, why: String| BadConfiguration { field: field.to_owned(), why };
    let pem = pem.ok_or_else(|| {
        bad("privateKeyPem", "is missing: the private key of the account's key file".into())
    })?;
    let key = PrivateKey::parse(&pem).map_err(|why| bad("privateKeyPem", why.to_string()))?;
    let account =
        Account { http: ask.http, env: ask.env, tenant: ask.tenant, settings: &settings, key: &key };
    match account.token(&settings.scopes, None).await {
        Ok(_) => {}
        Err(DriverError::Refused { vendor } | DriverError::ClientRejected { vendor }) => {
            let words = vendor.description.clone().unwrap_or_default();
            // "Invalid JWT Signature.", "Invalid grant: account not found".
            let field = match vendor.error.as_str() {
                "invalid_scope" => "scopes",
                _ if words.contains("account not found") => "clientEmail",
                _ => "privateKeyPem",
            };
            return Err(bad(field, refused(&vendor)));
        }
        Err(error) => {
            return Err(bad("clientEmail", format!("Google could not be asked for a token: {error}")));
        }
    }
    let mut secrets = ConnectorSecrets::default();
    secrets.insert(PRIVATE_KEY.to_owned(), pem);
    Ok(Accepted { data: settings.to_data(), secrets, redirect_uri: None })
}

fn refused(vendor: &Vendor) -> String {
    let words = vendor.description.as_deref().unwrap_or(&vendor.error);
    format!("Google refuses a token of the account: \u{201c}{words}\u{201d}")
}

fn no_people() -> DriverError {
    DriverError::Unsupported(
        "a service account asks nobody for consent; people consent to a connector of type oauth".to_owned(),
    )
}

const TOKEN: &str = "https://oauth2.googleapis.com/token";
const PRIVATE_KEY: &str = "/privateKeyPem";
