//! The two steps of a person's consent: the way to the server, and what comes back. And what takes their place when
//! somebody brings the tokens along.

use std::collections::BTreeMap;

use carnet_model::SecretString;
use serde_json::Map;

use super::settings::{Options, Settings};
use super::{client, end_of_access, facts, no_people, person};
use crate::driver::At;
use crate::driver::consent::{Callback, ConsentAsk, Granted, Kept, Step};
use crate::driver::failure::{CallbackFault, DriverError};
use crate::driver::held::{Access, Held, Tokens};
use crate::driver::import::Import;
use crate::fields::is_credential;
use crate::oauth::authorization::{self, fresh, is_reserved, is_target};
use crate::oauth::callback;
use crate::oauth::client::Form;
use crate::oauth::failure::Phase;
use crate::oauth::id_token::Person;
use crate::oauth::target::Target;

/// Where the person is sent.
pub(super) fn begin(at: &At<'_>, ask: &ConsentAsk<'_>) -> Result<Step, DriverError> {
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

/// Parameters that are not the protocol's: of the connector, then of the caller, then those with a field of their own.
/// The later of one name wins.
fn further<'a>(options: &'a Options, ask: &'a ConsentAsk<'_>) -> BTreeMap<&'a str, &'a str> {
    let configured = options.authorization_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let asked = ask.additional_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let named = [("prompt", &ask.prompt), ("login_hint", &ask.login_hint)];
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    configured.chain(asked).chain(named).collect()
}

/// Redeems the code that the person brought back.
pub(super) async fn finish(at: &At<'_>, back: &Callback, kept: &Kept) -> Result<Granted, DriverError> {
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
        metadata: Map::new(),
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
    })
}
