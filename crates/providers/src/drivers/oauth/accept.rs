//! Reading the configuration of a new or changed connector: what it says is fitted to what the server says, a client is had
//! where none is brought, and one that is brought with a secret is tried.
//!
//! The server is not believed to refuse a client by its first word: some look at the grant first and call everything that is
//! wrong with it by the same name. Only one that refuses the client twice, with two grants that are none, and says so by the
//! names that stand for it, does not know it. Whatever else it says, or that it says nothing, refuses nothing.

use carnet_egress::Purpose;
use carnet_model::SecretString;
use url::Url;

use super::settings::{Read, Settings};
use super::{CLIENT_SECRET, REGISTRATION_TOKEN, WEBHOOK_SECRET, installation, registration, server};
use crate::driver::failure::{BadConfiguration, NotAccepted, Vendor};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::{Accepted, NewConnector};
use crate::oauth::client::Client;
use crate::oauth::client_auth::{ClientAuth, Proof};
use crate::oauth::metadata::Server;
use crate::oauth::probe::{self, By, Known};

pub(super) async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, NotAccepted> {
    let mut read = Read::new(std::mem::take(&mut ask.data))?;
    let (document, discovered) = if let Some(document) = read.document.take() {
        (document, false)
    } else {
        let NewConnector { service, address, http, tenant, .. } = ask;
        let at = server::Whereabouts { http, tenant, service, address };
        (server::find(at, &mut read.options).await?, true)
    };
    let server = Server::new(document, |text| {
        ask.http.check(text, Purpose::ProviderToken).map_err(|refused| refused.to_string())
    })?;
    for (place, inbound) in read.options.exchange.inbound.iter().enumerate() {
        let address = inbound.jwks_uri.as_ref().map_or(inbound.issuer.as_str(), Url::as_str);
        ask.http.check(address, Purpose::Jwks).map_err(|refused| BadConfiguration {
            field: format!("tokenExchange.trustedIssuers.{place}"),
            why: refused.to_string(),
        })?;
    }
    for (field, url) in read.options.own_addresses() {
        ask.http
            .check(url.as_str(), Purpose::ProviderApi)
            .map_err(|refused| BadConfiguration { field: field.to_owned(), why: refused.to_string() })?;
    }
    Settings::fit(&mut read.options, &server, discovered)?;
    let base = ask.callback_base.trim_end_matches('/');
    let redirect_uri = read.options.sends_people().then(|| {
        // A server that names itself cannot be mistaken for another one. For the others, the address tells
        // (RFC 9700 §4.4.2).
        if server.names_itself() {
            format!("{base}/callback")
        } else {
            format!("{base}/callback/{}", ask.connector)
        }
    });
    if read.options.client_id.is_empty() {
        registration::obtain(&ask, &mut read, &server, redirect_uri.as_deref()).await?;
    }
    let mut secrets = ConnectorSecrets::default();
    if let Some(token) = read.registration_token.take().filter(|_| read.options.registration.is_some()) {
        secrets.insert(REGISTRATION_TOKEN.to_owned(), token);
    }
    if let Some(secret) = read.webhook_secret.take() {
        secrets.insert(WEBHOOK_SECRET.to_owned(), secret);
    }
    let own = read.options.installation.as_ref().zip(read.installation_token.as_ref());
    if let Some((installation, token)) = own {
        if let Some(probe) = &installation.probe {
            probe.accept(&ask, token, "installation.token").await?;
        }
        secrets.insert(installation::TOKEN.to_owned(), token.duplicate());
    }
    let (settings, secret) = Settings::complete(read, server, discovered)?;
    if let Some(secret) = secret {
        is_known(&ask, &settings, &secret, redirect_uri.as_deref()).await?;
        secrets.insert(CLIENT_SECRET.to_owned(), secret);
    }
    Ok(Accepted { data: settings.to_data(), secrets, redirect_uri })
}

/// Whether the server knows the client by its secret. One that the server has registered itself is not asked about.
async fn is_known(
    ask: &NewConnector<'_>,
    settings: &Settings,
    secret: &SecretString,
    redirect_uri: Option<&str>,
) -> Result<(), BadConfiguration> {
    let proof = match settings.auth {
        ClientAuth::Basic => Proof::Basic(secret),
        ClientAuth::Post => Proof::Post(secret),
        ClientAuth::None | ClientAuth::PrivateKeyJwt => return Ok(()),
    };
    if settings.options.registration.is_some() || !ask.may_show(&settings.server.token) {
        return Ok(());
    }
    let (id, format) = (&settings.options.client_id, settings.options.format);
    let client = Client { http: ask.http, env: ask.env, tenant: ask.tenant, id, proof };
    let mut said = None;
    for by in [By::Refresh, redirect_uri.map_or(By::CodeAlone, By::Code)] {
        match probe::known_in(&client, &settings.server.token, by, format).await {
            Known::No(vendor) if is_about_the_client(&vendor) => said = Some(vendor),
            Known::No(_) | Known::Yes | Known::Unasked(_) => return Ok(()),
        }
    }
    let Some(vendor) = said else { return Ok(()) };
    let words = vendor.description.as_deref().unwrap_or_default().to_ascii_lowercase();
    let is_id =
        vendor.error == "invalid_client_id" || words.contains("client_id") || words.contains("client id");
    Err(BadConfiguration {
        field: if is_id { "clientId" } else { "clientSecret" }.to_owned(),
        why: format!(
            "is not what the server knows: {}, shown to it by {} (tokenEndpointAuthMethod)",
            vendor.quoted(),
            settings.auth.as_str()
        ),
    })
}

/// RFC 6749 §5.2 has one name for it. GitHub and Salesforce have their own; Auth0 says `access_denied` with the status that
/// the RFC gives to it.
fn is_about_the_client(vendor: &Vendor) -> bool {
    match vendor.error.as_str() {
        "invalid_client" | "invalid_client_id" | "incorrect_client_credentials" => true,
        "access_denied" => vendor.status == 401,
        _ => false,
    }
}
