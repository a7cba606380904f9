//! The steps of a person's consent: the way to the server, and what comes back. And what takes their place when
//! somebody brings the tokens along.

use std::collections::BTreeMap;

use carnet_egress::Purpose;
use carnet_model::{Scopes, SecretString};
use serde_json::Map;

use super::account::Found;
use super::answer::{end_of_access, facts, person, settle, told};
use super::server::OFFLINE;
use super::settings::{Options, Settings};
use super::{client, installation, no_people};
use crate::driver::At;
use crate::driver::consent::{Callback, ConsentAsk, DeviceCode, Granted, Kept, Step, Way};
use crate::driver::failure::{CallbackFault, DriverError};
use crate::driver::held::{Access, Bound, Held, Tokens};
use crate::driver::import::Import;
use crate::driver::installed::Installed;
use crate::driver::profile::Profile;
use crate::fields::is_credential;
use crate::oauth::authorization::{self, fresh, is_reserved, is_target};
use crate::oauth::client::{Client, Form, Received};
use crate::oauth::failure::Phase;
use crate::oauth::id_token::Person;
use crate::oauth::target::Target;
use crate::oauth::{callback, device};

/// Where the person will be sent.
pub(super) fn way(at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
    let settings = Settings::of(at.connector)?;
    target(&settings, ask)?;
    if !is_offered(&settings.options, ask) {
        return Err(no_people());
    }
    if settings.options.device && !ask.installs {
        return Ok(Way::Device);
    }
    let mut page = at.http.reroute(settings.server.authorization.as_ref().ok_or_else(no_people)?);
    page.set_query(None);
    Ok(Way::Redirect { page })
}

/// Sends the person there, with a code for the page or with the whole request. What is asked is told to the server
/// first, where it takes that (RFC 9126): then nobody on the way can read or change it.
pub(super) async fn begin(at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Step, DriverError> {
    let settings = Settings::of(at.connector)?;
    let options = &settings.options;
    let target = target(&settings, ask)?;
    let installation = options.installation.as_ref().filter(|_| ask.installs);
    // Where the application has one token everywhere, nobody asks for the scopes of one.
    let own = installation.filter(|one| one.own_token).map(|one| one.scopes.clone());
    let scopes = ask.scopes.clone().or(own).filter(|scopes| !scopes.is_empty());
    let mut kept = Kept {
        issuer: settings.server.issuer().map(str::to_owned),
        resources: options.resources(&ask.resources).to_vec(),
        audience: ask.audience.clone(),
        details: ask.details.clone(),
        installs: ask.installs,
        ..Kept::default()
    };
    let client = client(at, &settings)?;
    if options.device && !ask.installs {
        kept.device = Some(device_code(at, &settings, &client, scopes.as_ref(), &target).await?);
        kept.scopes = scopes;
        return Ok(Step::Device { kept });
    }
    let endpoint =
        settings.server.authorization.as_ref().filter(|_| is_offered(options, ask)).ok_or_else(no_people)?;
    let verifier = fresh(at.env);
    let nonce = scopes.as_ref().filter(|scopes| scopes.contains("openid")).map(|_| fresh(at.env));
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
        more: further(options, ask, scopes.as_ref()),
    };
    let url = match &settings.server.pushed {
        Some(endpoint) => match client.push(endpoint, &request).await? {
            Some(name) => request.url_of_pushed(&name),
            None if settings.server.document.wants_pushed == Some(true) => {
                return Err(DriverError::Misconfigured(
                    "serverConfig.pushed_authorization_request_endpoint".to_owned(),
                    "is not there, and the server takes no request that was not pushed to it".to_owned(),
                ));
            }
            None => request.url(),
        },
        None => request.url(),
    };
    let url = at.http.reroute(&url);
    kept.scopes.clone_from(&scopes);
    Ok(Step::Redirect { url, kept: Kept { verifier: Some(verifier), nonce, ..kept } })
}

/// Whether the connector has what is asked: an installation, or tokens of people.
fn is_offered(options: &Options, ask: &ConsentAsk<'_>) -> bool {
    if ask.installs { options.installation.is_some() } else { options.user.is_on() }
}

/// What is asked, found sound without asking anybody.
fn target<'a>(settings: &'a Settings, ask: &'a ConsentAsk<'_>) -> Result<Target<'a>, DriverError> {
    if let Some(name) = ask.additional_params.keys().find(|name| is_reserved(name) || is_target(name)) {
        return Err(DriverError::Unsupported(format!(
            "the parameter {} is set by the protocol, or has a field of its own",
            name.escape_default()
        )));
    }
    let options = &settings.options;
    let default = options.default_audience.as_deref();
    Target::new(&settings.server, options.resources(&ask.resources), &ask.audience, default, &ask.details)
}

async fn device_code(
    at: &At<'_>,
    settings: &Settings,
    client: &Client<'_>,
    scopes: Option<&Scopes>,
    target: &Target<'_>,
) -> Result<DeviceCode, DriverError> {
    let endpoint =
        settings.server.device.as_ref().filter(|_| settings.options.user.is_on()).ok_or_else(no_people)?;
    let mut form = Form::new();
    if let Some(scopes) = scopes {
        form.push("scope", &scopes.joined(settings.options.separator()));
    }
    target.apply(&mut form);
    client.names_itself_in(&mut form);
    // A person is shown no address that this server would not call.
    let read = |text: &str| at.http.check(text, Purpose::ProviderToken).ok().map(|url| at.http.reroute(&url));
    client.device_code(endpoint, form, read).await
}

/// Parameters that are not the protocol's: of the connector, then of the caller, then those with a field of their own.
/// The later of one name wins.
///
/// OpenID Connect Core §11: a server may ignore `offline_access` unless the person is asked. One that was found is one of
/// the standards; what was described by hand may have its own ways, and says them.
fn further<'a>(
    options: &'a Options,
    ask: &'a ConsentAsk<'_>,
    scopes: Option<&Scopes>,
) -> BTreeMap<&'a str, &'a str> {
    let installation = options.installation.as_ref().filter(|_| ask.installs);
    let own = installation.into_iter().flat_map(|one| &one.params);
    let configured =
        options.authorization_params.iter().chain(own).map(|(name, value)| (name.as_str(), value.as_str()));
    let tenant = installation.and_then(|one| Some((one.tenant_param.as_deref()?, ask.tenant.as_deref()?)));
    let asked = ask.additional_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let named = [("prompt", &ask.prompt), ("login_hint", &ask.login_hint)];
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let found = options.server_url.is_some() || options.discovery_server_url.is_some();
    let stays = scopes.is_some_and(|scopes| scopes.contains("openid") && scopes.contains(OFFLINE));
    let consent = (found && stays && options.refresh).then_some(("prompt", "consent"));
    consent.into_iter().chain(configured).chain(asked).chain(named).chain(tenant).collect()
}

/// What the person brought back, or entered elsewhere, becomes a grant.
pub(super) async fn finish(at: &At<'_>, back: &Callback, kept: &Kept) -> Result<Granted, DriverError> {
    let settings = Settings::of(at.connector)?;
    let fits = match back {
        Callback::Redirected { .. } => kept.device.is_none(),
        Callback::Awaited => kept.device.is_some(),
        Callback::Pasted { .. } => false,
    };
    if !fits {
        return Err(CallbackFault::Unexpected.into());
    }
    if kept.issuer.as_deref() != settings.server.issuer() {
        return Err(CallbackFault::ServerChanged.into());
    }
    let (mut form, phase) = match (back, &kept.device) {
        (Callback::Redirected { params }, None) => (code(at, &settings, params, kept)?, Phase::Code),
        (Callback::Awaited, Some(DeviceCode { code, .. })) => {
            let mut form = Form::of(device::GRANT_TYPE);
            form.push_secret("device_code", code);
            (form, Phase::Device)
        }
        _ => return Err(CallbackFault::Unexpected.into()),
    };
    let default = settings.options.default_audience.as_deref();
    let target = Target::new(&settings.server, &kept.resources, &kept.audience, default, &kept.details)?;
    target.apply(&mut form);
    let client = client(at, &settings)?;
    if phase == Phase::Device {
        client.names_itself_in(&mut form);
    }
    let mut received = client.token(&settings.server.token, form, phase).await?;
    let stray = settle(&settings, &client, &target, &mut received).await;
    if let Some(why) = stray {
        discard(&settings, &client, &received.issued.access, received.issued.refresh.as_ref()).await;
        return Err(DriverError::Stray(why));
    }

    let (found, installation) = match whose(at, &settings, kept, &received).await {
        Ok(found) => found,
        Err(error) => {
            discard(&settings, &client, &received.issued.access, received.issued.refresh.as_ref()).await;
            return Err(error);
        }
    };
    let metadata = told(&settings, &mut received);
    let person = match person(&settings, at.http, &mut received, kept.nonce.as_ref(), true) {
        Ok(person) => person,
        Err(error) => {
            discard(&settings, &client, &received.issued.access, received.issued.refresh.as_ref()).await;
            return Err(error);
        }
    };
    let scopes = received.issued.scopes.take().or_else(|| kept.scopes.clone());
    let refresh = received.issued.refresh.take().filter(|_| settings.options.refresh);
    let refresh_expires_at =
        received.issued.refresh_expires_in.filter(|_| refresh.is_some()).map(|life| received.end_of(life));
    let access_expires_at = end_of_access(&settings, &received, refresh.is_some());
    let name = person.as_ref().and_then(Person::name).or(found.name);
    let profile = match &person {
        // An issuer's subjects are its own, whatever tenants it has.
        Some(person) => Profile::of_claims(&person.claims),
        None => Profile { tenant: found.tenant, ..Profile::default() },
    };
    let (external_subject, claims) = facts(&settings, person);
    let external_subject = external_subject.or(found.subject);
    let has_own = settings.options.installation.as_ref().is_some_and(|one| one.own_token);
    if kept.installs && has_own {
        // Whoever installed it is acted for by nobody.
        discard(&settings, &client, &received.issued.access, refresh.as_ref()).await;
        return Ok(Granted {
            held: Held::nothing(),
            scopes,
            external_subject: installation.as_ref().and_then(|place| place.tenant_id.clone()),
            access_expires_at: None,
            refresh_expires_at: None,
            name: installation.as_ref().and_then(|place| place.name.clone()),
            metadata,
            profile: Profile::default(),
            installation,
        });
    }
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
            tenant: None,
            // RFC 9396 §7: a server says with every token which details it is for, those of a renewed one too.
            bound: Bound { details: kept.details.clone(), ..Bound::default() },
            aside: None,
        }),
        scopes,
        external_subject,
        access_expires_at,
        refresh_expires_at,
        name: installation.as_ref().and_then(|place| place.name.clone()).or(name),
        metadata,
        profile,
        installation,
    })
}

/// Whose the tokens are, as far as the connector says where that stands; and where the application is installed now, if
/// that is what was asked for.
async fn whose(
    at: &At<'_>,
    settings: &Settings,
    kept: &Kept,
    received: &Received,
) -> Result<(Found, Option<Installed>), DriverError> {
    let found = match &settings.options.account {
        Some(account) => account.find(at, received).await?,
        None => Found::default(),
    };
    if !kept.installs {
        return Ok((found, None));
    }
    let place = installation::place(&found)
        .ok_or(DriverError::garbage(true, "it does not say where the application was installed"))?;
    Ok((found, Some(place)))
}

/// Tokens that the same client got from the same server.
pub(super) fn import(at: &At<'_>, import: Import) -> Result<Granted, DriverError> {
    let settings = Settings::of(at.connector)?;
    if !settings.options.user.is_on() {
        return Err(no_people());
    }
    let Import {
        access,
        access_expires_at,
        refresh,
        refresh_expires_at,
        scopes,
        bound,
        external_subject,
        name,
        metadata,
    } = import;
    let sound = |token: &SecretString| is_credential(token.expose()) && !token.expose().contains(' ');
    if !refresh.iter().chain([&access]).all(sound) {
        return Err(DriverError::Unsupported(
            "a token has 1 to 16384 printable ASCII characters and no space".to_owned(),
        ));
    }
    if refresh.is_some() && !settings.options.refresh {
        return Err(DriverError::Unsupported(
            "this connector keeps no refresh tokens (refreshTokens), so this one would never be used"
                .to_owned(),
        ));
    }
    let refresh_expires_at = refresh_expires_at.filter(|_| refresh.is_some());
    Ok(Granted {
        held: Held::of_tokens(Tokens {
            access: Some(Access { token: access, expires_at: access_expires_at, scopes: scopes.clone() }),
            refresh,
            refresh_expires_at,
            scopes: scopes.clone(),
            external_subject: external_subject.clone(),
            claims: Map::new(),
            tenant: None,
            bound,
            aside: None,
        }),
        scopes,
        external_subject,
        access_expires_at,
        refresh_expires_at,
        name,
        metadata,
        profile: Profile::default(),
        installation: None,
    })
}

/// The request that redeems the code which the person brought back.
fn code(
    at: &At<'_>,
    settings: &Settings,
    params: &[(String, String)],
    kept: &Kept,
) -> Result<Form, DriverError> {
    let verifier = kept.verifier.as_ref().ok_or(CallbackFault::Unexpected)?;
    let code = callback::code(params, kept.issuer.as_deref(), settings.server.names_itself())?;
    let mut form = settings.form_of("authorization_code");
    form.push_secret("code", &code);
    form.push("redirect_uri", at.redirect_uri);
    form.push_secret("code_verifier", verifier);
    for (name, value) in &settings.options.token_params {
        form.push(name, value);
    }
    Ok(form)
}

/// Tells the server that tokens which nobody will use are not wanted, unless it would end others' with them. Whether it
/// hears changes nothing.
async fn discard(
    settings: &Settings,
    client: &Client<'_>,
    access: &SecretString,
    refresh: Option<&SecretString>,
) {
    let endpoint = settings.server.revocation.as_ref().filter(|_| !settings.options.revocation_ends_all);
    let Some(endpoint) = endpoint else { return };
    for (token, hint) in [(refresh, "refresh_token"), (Some(access), "access_token")] {
        if let Some(token) = token {
            let _ = client.revoke(settings.form(), endpoint, token, hint).await;
        }
    }
}
