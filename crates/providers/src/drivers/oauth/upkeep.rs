//! A client that was registered for a connector, after that: told of changes, and taken back at the end (RFC 7592).
//!
//! A server may give a new secret or a new registration token with every answer. Both are kept with the new state, in
//! one write; if that fails, the next change says that somebody has to see to it.

use carnet_model::SecretString;
use carnet_model::connector::Connector;
use serde_json::{Map, Value, json};

use super::registration::{Registration, Way, home, judge, keys, logo, takes_secret, wish};
use super::settings::Settings;
use super::{CLIENT_SECRET, REGISTRATION_TOKEN};
use crate::driver::{At, Synced};
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::registration::{Ends, Registrar, RegistrationError};

/// Tells the server what changed.
pub(super) async fn sync(at: &At<'_>, renew: bool) -> Synced {
    let Ok(mut settings) = Settings::of(at.connector) else { return Synced::Nothing };
    let Some(registration) = settings.options.registration.clone() else { return Synced::Nothing };
    let Way::Dynamic { uri, sent, given } = registration.way else { return Synced::Nothing };
    let redirect_uri = at.connector.redirect_uri.as_deref();
    let mut wish = wish(&at.connector.name, &settings.options, &settings.server, redirect_uri, settings.auth);
    wish.jwks_uri = sent.get("jwks_uri").and_then(Value::as_str).map(str::to_owned);
    let icon = at.connector.branding.icon.as_deref();
    wish.logo_uri = icon.zip(redirect_uri).and_then(|(icon, ours)| logo(ours, at.connector.id, icon));
    if wish.to_json() == sent && !renew {
        return Synced::Nothing;
    }
    let token = at.secrets.at(REGISTRATION_TOKEN);
    let (Some(home_uri), Some(token)) = (home(&settings.server, uri.as_deref()), token) else {
        return Synced::Required(UNMANAGED.to_owned(), None);
    };
    let registrar = Registrar { http: at.http, env: at.env, tenant: at.connector.team };
    let client = &settings.options.client_id;
    let ask = || registrar.update(&home_uri, token, client, &wish, &given);
    let answer = match ask().await {
        // What was lost may be a new secret in the place of the present one. Said again, it is given again, as long as the
        // server has not turned the token too.
        Err(RegistrationError::Transport(error)) if error.maybe_received() => ask().await,
        answer => answer,
    };
    let registered = match answer {
        Ok(registered) => registered,
        Err(error) => return Synced::Required(what_is_left(&error), None),
    };
    let has_secret = at.secrets.at(CLIENT_SECRET).is_some();
    let now = at.env.now();
    let (sent, left) = match judge(&registered, &wish, settings.auth, has_secret, now) {
        Ok(auth) => {
            settings.auth = auth;
            (wish.to_json(), None)
        }
        // Told again with the next change; what came with the answer is kept, because the old may be worth nothing now.
        Err(bad) => (sent, Some(sentence(&bad.to_string()))),
    };
    let mut secrets = at.secrets.duplicate();
    let (mut secret_ends, mut secret_given) = (registration.secret_ends, registration.secret_given);
    if takes_secret(settings.auth) {
        let said = registered.secret_ends;
        let held = secrets.at(CLIENT_SECRET).map(SecretString::expose);
        let is_another = registered.secret.as_ref().is_some_and(|new| held != Some(new.expose()));
        // What is said of the end counts whether or not the secret is said again with it.
        if is_another || said != Ends::Unsaid {
            (secret_ends, secret_given) = (said.time(), Some(now));
        }
        if let Some(secret) = registered.secret {
            secrets.insert(CLIENT_SECRET.to_owned(), secret);
        }
    }
    if let Some(token) = registered.token {
        secrets.insert(REGISTRATION_TOKEN.to_owned(), token);
    }
    let uri = home(&settings.server, registered.uri.as_deref()).map(String::from).or(uri);
    settings.options.registration = Some(Registration {
        client_id: registration.client_id,
        way: Way::Dynamic { uri, sent, given: registered.given },
        secret_ends,
        secret_given,
    });
    let kept = (settings.to_data(), secrets);
    match left {
        None => Synced::Done(kept),
        Some(why) => Synced::Required(why, Some(kept)),
    }
}

/// Takes the registration back. What the server says to that changes nothing.
pub(super) async fn retire(at: &At<'_>) {
    let Ok(settings) = Settings::of(at.connector) else { return };
    let Some(Registration { way: Way::Dynamic { uri, .. }, .. }) = &settings.options.registration else {
        return;
    };
    let uri = home(&settings.server, uri.as_deref());
    if let (Some(uri), Some(token)) = (uri, at.secrets.at(REGISTRATION_TOKEN)) {
        let _ = Registrar { http: at.http, env: at.env, tenant: at.connector.team }.remove(&uri, token).await;
    }
}

/// The document of a client that is an address of ours.
pub(super) fn document(connector: &Connector) -> Option<Map<String, Value>> {
    let settings = Settings::of(connector).ok()?;
    let registration = settings.options.registration.as_ref()?;
    if registration.way != Way::Document {
        return None;
    }
    let redirect_uri = connector.redirect_uri.as_deref();
    let mut wish = wish(&connector.name, &settings.options, &settings.server, redirect_uri, settings.auth);
    let icon = connector.branding.icon.as_deref();
    wish.logo_uri = icon.and_then(|icon| logo(&registration.client_id, connector.id, icon));
    if settings.auth == ClientAuth::PrivateKeyJwt {
        wish.jwks_uri = keys(&registration.client_id, connector.id);
    }
    let mut document = wish.to_json();
    document.insert("client_id".to_owned(), json!(registration.client_id));
    Some(document)
}

/// What is left to do after a change that did not go through. A server that turned the token of the registration in an
/// answer that was lost never takes the old one again.
fn what_is_left(error: &RegistrationError) -> String {
    let said = sentence(&error.to_string());
    match error {
        RegistrationError::Refused(vendor) if vendor.status == 401 => format!("{said} {ANEW}"),
        _ => said,
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let text =
        chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()));
    format!("{}.", text.trim_end_matches('.'))
}

const ANEW: &str = "It does not know the registration by the token that it gave for it, as after a change whose answer was \
                    lost, and the client's secret may have changed with it: register a client anew by setting clientId, \
                    clientSecret and clientRegistration of data to null. People have to consent again then.";
const UNMANAGED: &str = "The server gave nothing to change its registration with; change the client there by hand, or \
                         make the connector anew.";
