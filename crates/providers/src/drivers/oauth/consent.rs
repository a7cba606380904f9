//! The steps of a person's consent: the way to the server, and what comes back. And what takes their place when
//! somebody brings the tokens along.

use std::collections::BTreeMap;

use carnet_egress::Purpose;
use carnet_model::{Scopes, SecretString};
use serde_json::Map;

use super::settings::{Options, Settings};
use super::{client, end_of_access, facts, no_people, person, settle, told};
use crate::driver::At;
use crate::driver::consent::{Callback, ConsentAsk, DeviceCode, Granted, Kept, Step, Way};
use crate::driver::failure::{CallbackFault, DriverError};
use crate::driver::held::{Access, Held, Tokens};
use crate::driver::import::Import;
use crate::fields::is_credential;
use crate::oauth::authorization::{self, fresh, is_reserved, is_target};
use crate::oauth::client::{Client, Form};
use crate::oauth::failure::Phase;
use crate::oauth::id_token::Person;
use crate::oauth::target::Target;
use crate::oauth::{callback, device};

/// Where the person will be sent.
pub(super) fn way(at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Way, DriverError> {
    let settings = Settings::of(at.connector)?;
    target(&settings, ask)?;
    if !settings.options.user.is_on() {
        return Err(no_people());
    }
    if settings.options.device {
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
    let scopes = ask.scopes.clone().filter(|scopes| !scopes.is_empty());
    let mut kept = Kept {
        issuer: settings.server.issuer().map(str::to_owned),
        resources: options.resources(&ask.resources).to_vec(),
        audience: ask.audience.clone(),
        details: ask.details.clone(),
        ..Kept::default()
    };
    let client = client(at, &settings)?;
    if options.device {
        kept.device = Some(device_code(at, &settings, &client, scopes.as_ref(), &target).await?);
        kept.scopes = scopes;
        return Ok(Step::Device { kept });
    }
    let endpoint =
        settings.server.authorization.as_ref().filter(|_| options.user.is_on()).ok_or_else(no_people)?;
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
        more: further(options, ask),
    };
    let url = match &settings.server.pushed {
        Some(endpoint) => request.url_of_pushed(&client.push(endpoint, &request).await?),
        None => request.url(),
    };
    let url = at.http.reroute(&url);
    kept.scopes.clone_from(&scopes);
    Ok(Step::Redirect { url, kept: Kept { verifier: Some(verifier), nonce, ..kept } })
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
fn further<'a>(options: &'a Options, ask: &'a ConsentAsk<'_>) -> BTreeMap<&'a str, &'a str> {
    let configured = options.authorization_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let asked = ask.additional_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let named = [("prompt", &ask.prompt), ("login_hint", &ask.login_hint)];
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    configured.chain(asked).chain(named).collect()
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

    let metadata = told(&settings, &mut received);
    let person = person(&settings, &mut received, kept.nonce.as_ref(), true)?;
    let scopes = received.issued.scopes.take().or_else(|| kept.scopes.clone());
    let refresh = received.issued.refresh.take().filter(|_| settings.options.refresh);
    let refresh_expires_at =
        received.issued.refresh_expires_in.filter(|_| refresh.is_some()).map(|life| received.end_of(life));
    let access_expires_at = end_of_access(&settings, &received, refresh.is_some());
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
        metadata,
        installation: None,
    })
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
        }),
        scopes,
        external_subject,
        access_expires_at,
        refresh_expires_at,
        name,
        metadata,
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
    let mut form = Form::of("authorization_code");
    form.push_secret("code", &code);
    form.push("redirect_uri", at.redirect_uri);
    form.push_secret("code_verifier", verifier);
    Ok(form)
}

/// Tells the server that tokens which nobody will use are not wanted. Whether it hears changes nothing.
async fn discard(
    settings: &Settings,
    client: &Client<'_>,
    access: &SecretString,
    refresh: Option<&SecretString>,
) {
    let Some(endpoint) = &settings.server.revocation else { return };
    for (token, hint) in [(refresh, "refresh_token"), (Some(access), "access_token")] {
        if let Some(token) = token {
            let _ = client.revoke(endpoint, token, hint).await;
        }
    }
}
