//! Any server that speaks OAuth 2.0 or OpenID Connect: tokens of people by authorization code with PKCE, renewed by
//! refresh token; tokens of the application by client credentials.
//!
//! Of a grant it keeps the refresh token and the last access token that was not narrowed. A narrowed token, or one for
//! a resource, is handed out and not kept.

mod settings;

use carnet_egress::{Egress, Purpose};
use carnet_model::connector::Connector;
use carnet_model::grant::Cause;
use carnet_model::{Id, Scopes, SecretString, SubjectKind, Time, kind};
use serde_json::{Map, Value};

use crate::driver::ability::{Abilities, TokenAbilities};
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step};
use crate::driver::failure::{BadConfiguration, CallbackFault, DriverError};
use crate::driver::held::{Access, Held, Tokens};
use crate::driver::mint::{MintAsk, Minted, Revocation};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::{Accepted, At, Boxed, Driver, NewConnector};
use crate::oauth::authorization::{self, fresh, is_reserved, is_target};
use crate::oauth::callback;
use crate::oauth::client::{Client, Form, Received};
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::discovery::discover;
use crate::oauth::failure::Phase;
use crate::oauth::id_token::{self, Expected, Person};
use crate::oauth::metadata::{Document, Server};
use crate::oauth::target::Target;
use settings::{Options, Read, Settings};

/// The driver of `oauth` connectors.
pub(super) struct Oauth;

impl Driver for Oauth {
    fn accept<'a>(&'a self, ask: NewConnector<'a>) -> Boxed<'a, Result<Accepted, BadConfiguration>> {
        Box::pin(accept(ask))
    }

    fn abilities(&self, connector: &Connector) -> Abilities {
        Settings::of(connector).map_or(Abilities::NONE, |settings| abilities(&settings))
    }

    fn begin(&self, at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Step, DriverError> {
        begin(at, ask)
    }

    fn finish<'a>(
        &'a self,
        at: &'a At<'_>,
        back: &'a Callback,
        kept: &'a Kept,
    ) -> Boxed<'a, Result<Granted, DriverError>> {
        Box::pin(finish(at, back, kept))
    }

    fn mint<'a>(
        &'a self,
        at: &'a At<'_>,
        held: Option<&'a Held>,
        ask: &'a MintAsk,
    ) -> Boxed<'a, Result<Minted, DriverError>> {
        Box::pin(async move {
            let settings = Settings::of(at.connector)?;
            let client = client(at, &settings)?;
            match ask {
                MintAsk::Refresh { scopes, resources, audience, details } => {
                    let target = Target::new(&settings.server, resources, audience, None, details)?;
                    let held = held.and_then(Held::tokens);
                    let none = DriverError::Gone { cause: Cause::Expired, vendor: None };
                    refresh(&settings, &client, held.ok_or(none)?, scopes.as_ref(), &target).await
                }
                MintAsk::App { scopes, resources, audience, details } => {
                    if !settings.options.app.is_on() {
                        return Err(unsupported(
                            "this connector has no tokens of the application: clientCredentials is not enabled",
                        ));
                    }
                    let default = settings.options.default_audience.as_deref();
                    let target = Target::new(&settings.server, resources, audience, default, details)?;
                    app(&settings, &client, scopes.as_ref(), &target).await
                }
            }
        })
    }

    fn revoke<'a>(&'a self, at: &'a At<'_>, held: &'a Held) -> Boxed<'a, Result<Revocation, DriverError>> {
        Box::pin(revoke(at, held))
    }
}

async fn accept(ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let NewConnector { service, data, http, tenant, callback_base, connector, .. } = ask;
    let mut read = Read::new(data)?;
    let (document, discovered) = match read.document.take() {
        Some(document) => (document, false),
        None => (find(http, tenant, service, &mut read.options).await?, true),
    };
    let server = Server::new(document, |text| {
        http.check(text, Purpose::ProviderToken).map_err(|refused| refused.to_string())
    })?;
    let (settings, secret) = Settings::complete(read, server, discovered)?;
    let mut secrets = ConnectorSecrets::default();
    if let Some(secret) = secret {
        secrets.insert(CLIENT_SECRET.to_owned(), secret);
    }
    let base = callback_base.trim_end_matches('/');
    let redirect_uri = settings.options.user.is_on().then(|| {
        // A server that names itself cannot be mistaken for another one. For the others, the address tells
        // (RFC 9700 §4.4.2).
        if settings.server.names_itself() {
            format!("{base}/callback")
        } else {
            format!("{base}/callback/{connector}")
        }
    });
    Ok(Accepted { data: settings.to_data(), secrets, redirect_uri })
}

/// The metadata of a server that the configuration names by its issuer.
async fn find(
    http: &Egress,
    tenant: Id<kind::Team>,
    service: &str,
    options: &mut Options,
) -> Result<Document, BadConfiguration> {
    // A service that is named by its host needs no second address.
    if options.server_url.is_none() && service.contains('.') {
        options.server_url = Some(format!("https://{service}"));
    }
    let named = [("discoveryServerUrl", &options.discovery_server_url), ("serverUrl", &options.server_url)];
    let found = named.into_iter().find_map(|(field, url)| Some((field, url.as_deref()?)));
    let (field, issuer) = found.ok_or_else(|| BadConfiguration {
        field: "serverUrl".to_owned(),
        why: "is missing: give the server's issuer, or describe the server in serverConfig".to_owned(),
    })?;
    discover(http, tenant, field, issuer).await
}

fn abilities(settings: &Settings) -> Abilities {
    let of = |scopes: &Scopes| TokenAbilities {
        scopes: scopes.clone(),
        refinement: true,
        resources: true,
        details: settings.server.document.detail_types.clone().unwrap_or_default(),
        manual_credential: false,
        cross_installation: false,
    };
    let options = &settings.options;
    let app = options.app.is_on().then(|| of(&options.app.scopes));
    let user = options.user.is_on().then(|| of(&options.user.scopes));
    let subjects = [(SubjectKind::App, app.is_some()), (SubjectKind::User, user.is_some())];
    Abilities {
        subjects: subjects.into_iter().filter(|(_, on)| *on).map(|(kind, _)| kind).collect(),
        installation: false,
        revocation: settings.server.revocation.is_some(),
        app,
        user,
        rotation: options.rotation,
        old_access_dies: false,
    }
}

fn begin(at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Step, DriverError> {
    let settings = Settings::of(at.connector)?;
    let options = &settings.options;
    let endpoint =
        settings.server.authorization.as_ref().filter(|_| options.user.is_on()).ok_or_else(no_people)?;
    if let Some(name) = ask.additional_params.keys().find(|name| is_reserved(name) || is_target(name)) {
        return Err(DriverError::Unsupported(format!(
            "the parameter {} is set by the protocol, or has a field of its own",
            name.escape_default()
        )));
    }
    let default = options.default_audience.as_deref();
    let target = Target::new(&settings.server, &ask.resources, &ask.audience, default, &ask.details)?;
    let scopes = ask.scopes.clone().filter(|scopes| !scopes.is_empty());
    let verifier = fresh(at.env);
    let nonce = scopes.as_ref().filter(|scopes| scopes.contains("openid")).map(|_| fresh(at.env));
    let configured = options.authorization_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let asked = ask.additional_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let named = [("prompt", &ask.prompt), ("login_hint", &ask.login_hint)];
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let request = authorization::Request {
        endpoint,
        client: &options.client_id,
        redirect_uri: at.redirect_uri,
        state: ask.state,
        verifier: &verifier,
        nonce: nonce.as_ref(),
        scopes: scopes.as_ref(),
        separator: options.separator(),
        target,
        // The later of one name wins.
        more: configured.chain(asked).chain(named).collect(),
    };
    let url = at.http.reroute(&request.url());
    let kept = Kept {
        verifier: Some(verifier),
        nonce,
        issuer: settings.server.issuer().map(str::to_owned),
        scopes,
        resources: ask.resources.clone(),
    };
    Ok(Step::Redirect { url, kept })
}

async fn finish(at: &At<'_>, back: &Callback, kept: &Kept) -> Result<Granted, DriverError> {
    let settings = Settings::of(at.connector)?;
    let Callback::Redirected { params } = back else { return Err(CallbackFault::Unexpected.into()) };
    let verifier = kept.verifier.as_ref().ok_or(CallbackFault::Unexpected)?;
    if kept.issuer.as_deref() != settings.server.issuer() {
        return Err(CallbackFault::ServerChanged.into());
    }
    let code = callback::code(params, kept.issuer.as_deref(), settings.server.names_itself())?;

    let mut form = Form::of("authorization_code");
    form.push_secret("code", &code);
    form.push("redirect_uri", at.redirect_uri);
    form.push_secret("code_verifier", verifier);
    for resource in &kept.resources {
        form.push("resource", resource);
    }
    let client = client(at, &settings)?;
    let mut received = client.token(&settings.server.token, form, Phase::Code).await?;

    let person = person(&settings, &mut received, kept.nonce.as_ref(), true)?;
    let scopes = received.issued.scopes.take().or_else(|| kept.scopes.clone());
    let refresh = received.issued.refresh.take().filter(|_| settings.options.refresh);
    let refresh_expires_at =
        received.issued.refresh_expires_in.filter(|_| refresh.is_some()).map(|life| received.end_of(life));
    let access_expires_at = end_of_access(&settings, &received);
    let name = person.as_ref().and_then(Person::name);
    let (external_subject, claims) = facts(&settings, person);
    let access =
        Access { token: received.issued.access, expires_at: access_expires_at, scopes: scopes.clone() };
    Ok(Granted {
        held: Held::of_tokens(Tokens {
            access: Some(access),
            refresh,
            refresh_expires_at,
            scopes: scopes.clone(),
            external_subject: external_subject.clone(),
            claims,
        }),
        scopes,
        external_subject,
        access_expires_at,
        refresh_expires_at,
        name,
        metadata: Map::new(),
    })
}

async fn refresh(
    settings: &Settings,
    client: &Client<'_>,
    held: &Tokens,
    narrowed: Option<&Scopes>,
    target: &Target<'_>,
) -> Result<Minted, DriverError> {
    let old = held.refresh.as_ref().filter(|_| settings.options.refresh);
    let old = old.ok_or(DriverError::Gone { cause: Cause::Expired, vendor: None })?;
    let narrowed = narrowed.filter(|scopes| !scopes.is_empty());
    let mut form = Form::of("refresh_token");
    form.push_secret("refresh_token", old);
    if let Some(scopes) = narrowed {
        form.push("scope", &scopes.joined(settings.options.separator()));
    }
    target.apply(&mut form);
    let mut received = client.token(&settings.server.token, form, Phase::Refresh).await?;

    let person = person(settings, &mut received, None, false)?;
    let (subject, claims) = facts(settings, person);
    if let (Some(before), Some(now)) = (&held.external_subject, &subject)
        && before != now
    {
        // OpenID Connect Core §12.2: a refresh never changes the account.
        return Err(DriverError::Garbage { in_doubt: true });
    }
    let is_new_person = subject.is_some();
    let external_subject = subject.or_else(|| held.external_subject.clone());
    let claims = if is_new_person { claims } else { held.claims.clone() };
    let expires_at = end_of_access(settings, &received);
    let granted = received.issued.scopes.take();

    // RFC 6749 §6: without a new refresh token, the old one stays in use.
    let rotated = received.issued.refresh.take();
    let refresh_expires_at = match (received.issued.refresh_expires_in, &rotated) {
        (Some(life), _) => Some(received.end_of(life)),
        (None, Some(_)) => None,
        (None, None) => held.refresh_expires_at,
    };
    let is_particular = narrowed.is_some() || target.params().next().is_some();
    let has_rotated = rotated.is_some();
    let refresh = Some(rotated.unwrap_or_else(|| old.duplicate()));
    let token = received.issued.access;
    let keep = |access, scopes| {
        Held::of_tokens(Tokens {
            access,
            refresh,
            refresh_expires_at,
            scopes,
            external_subject: external_subject.clone(),
            claims: claims.clone(),
        })
    };
    let (scopes, new) = if is_particular {
        let scopes = granted.or_else(|| narrowed.cloned()).or_else(|| held.scopes.clone());
        let access = held.access.as_ref().map(Access::duplicate);
        (scopes, has_rotated.then(|| keep(access, held.scopes.clone())))
    } else {
        let scopes = granted.or_else(|| held.scopes.clone());
        let access = Access { token: token.duplicate(), expires_at, scopes: scopes.clone() };
        (scopes.clone(), Some(keep(Some(access), scopes)))
    };
    Ok(Minted {
        token,
        expires_at,
        scopes,
        held: new,
        refresh_expires_at,
        metadata: Map::new(),
        claims,
        external_subject,
    })
}

async fn app(
    settings: &Settings,
    client: &Client<'_>,
    scopes: Option<&Scopes>,
    target: &Target<'_>,
) -> Result<Minted, DriverError> {
    let asked = scopes.filter(|scopes| !scopes.is_empty());
    let mut form = Form::of("client_credentials");
    if let Some(scopes) = asked {
        form.push("scope", &scopes.joined(settings.options.separator()));
    }
    target.apply(&mut form);
    let received = client.token(&settings.server.token, form, Phase::App).await?;
    let expires_at = end_of_access(settings, &received);
    // A refresh token should not be here (RFC 6749 §4.4.3) and is not needed: the client can always ask again.
    Ok(Minted {
        token: received.issued.access,
        expires_at,
        scopes: received.issued.scopes.or_else(|| asked.cloned()),
        held: None,
        refresh_expires_at: None,
        metadata: Map::new(),
        claims: Map::new(),
        external_subject: None,
    })
}

/// The refresh token first: a server should end everything of the grant with it (RFC 7009 §2.1). The access token too,
/// while it lives, for servers that do not.
async fn revoke(at: &At<'_>, held: &Held) -> Result<Revocation, DriverError> {
    let settings = Settings::of(at.connector)?;
    let Some(endpoint) = &settings.server.revocation else { return Ok(Revocation::NotSupported) };
    let client = client(at, &settings)?;
    let lives = |access: &&Access| access.expires_at.is_none_or(|end| end > at.env.now());
    let access = held.access().filter(lives).map(|access| &access.token);
    let mut outcome = Revocation::NotSupported;
    for (token, hint) in [(held.refresh(), "refresh_token"), (access, "access_token")] {
        if let Some(token) = token
            && client.revoke(endpoint, token, hint).await? == Revocation::Revoked
        {
            outcome = Revocation::Revoked;
        }
    }
    Ok(outcome)
}

fn client<'a>(at: &At<'a>, settings: &'a Settings) -> Result<Client<'a>, DriverError> {
    let secret = at.secrets.at(CLIENT_SECRET);
    if settings.auth != ClientAuth::None && secret.is_none() {
        return Err(DriverError::Misconfigured("clientSecret".to_owned(), "is missing".to_owned()));
    }
    Ok(Client {
        http: at.http,
        env: at.env,
        tenant: at.connector.team,
        id: &settings.options.client_id,
        secret,
        auth: settings.auth,
    })
}

/// The person in the ID token. Without a known issuer there is nothing to hold the token against, and it is not read.
fn person(
    settings: &Settings,
    received: &mut Received,
    nonce: Option<&SecretString>,
    is_first: bool,
) -> Result<Option<Person>, DriverError> {
    let Some(issuer) = settings.server.issuer() else { return Ok(None) };
    let Some(token) = received.issued.id_token.take() else { return Ok(None) };
    let now = is_first.then_some(received.at);
    let expected = Expected { issuer, client: &settings.options.client_id, nonce, now };
    id_token::read(&token, &expected).map(Some).map_err(|_| DriverError::Garbage { in_doubt: true })
}

fn facts(settings: &Settings, person: Option<Person>) -> (Option<String>, Map<String, Value>) {
    let Some(person) = person else { return (None, Map::new()) };
    let claims = person.only(&settings.options.forwarded_claims);
    (Some(person.subject), claims)
}

fn end_of_access(settings: &Settings, received: &Received) -> Option<Time> {
    let default = settings.options.default_life.map(|life| life.as_secs());
    received.issued.expires_in.or(default).map(|life| received.end_of(life))
}

fn no_people() -> DriverError {
    unsupported("this connector has no tokens of people: userAuthorization is not enabled")
}

fn unsupported(why: &str) -> DriverError {
    DriverError::Unsupported(why.to_owned())
}

const CLIENT_SECRET: &str = "/clientSecret";
