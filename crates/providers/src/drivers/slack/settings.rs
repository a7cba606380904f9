//! The configuration of a `slack` connector: an app that somebody created at Slack.
//!
//! Slack is asked whether it knows the client when the connector is made or changed, by redeeming a code that cannot be
//! one: it looks at the client first.

use carnet_model::connector::Connector;
use carnet_model::{Scopes, SecretString};
use serde_json::{Map, Value, json};

use super::answer;
use super::manifest::{self, Wish};
use crate::driver::failure::{BadConfiguration, CallbackFault, DriverError};
use crate::driver::secrets::ConnectorSecrets;
use crate::driver::{Accepted, At, NewConnector};
use crate::fields::Fields;
use crate::oauth::client::{Client, Form};
use crate::oauth::client_auth::Proof;
use crate::oauth::failure::Phase;

/// What is known about the app, without its secrets.
pub(super) struct Settings {
    pub client_id: String,
    pub bot_scopes: Scopes,
    pub user_scopes: Scopes,
    /// The one workspace, or organization, that it is for.
    pub team: Option<String>,
    /// Whether token rotation is switched on in the app's settings at Slack.
    pub rotates: bool,
}

struct Read {
    client_id: Option<String>,
    bot_scopes: Scopes,
    user_scopes: Scopes,
    app_id: Option<String>,
    app_name: Option<String>,
    team: Option<Map<String, Value>>,
    rotates: bool,
    secrets: [(&'static str, Option<SecretString>); 3],
    /// With what Slack makes the app. Used and not kept.
    configuration_token: Option<SecretString>,
}

impl Read {
    fn new(data: Map<String, Value>) -> Result<Self, BadConfiguration> {
        let mut fields = Fields::new(data);
        let (bot_scopes, user_scopes) = (fields.scopes("botScopes")?, fields.scopes("userScopes")?);
        let usual = bot_scopes.is_none() && user_scopes.is_none();
        let read = Self {
            client_id: fields.text("clientId")?,
            bot_scopes: if usual { usual_bot_scopes() } else { bot_scopes.unwrap_or_default() },
            user_scopes: user_scopes.unwrap_or_default(),
            app_id: fields.text("appId")?,
            app_name: fields.text("appName")?,
            rotates: fields.flag("tokenRotation")?.unwrap_or(false),
            team: match fields.object("slackTeam")? {
                None => None,
                Some(mut inner) => {
                    let mut team = Map::new();
                    for name in ["id", "name", "domain"] {
                        if let Some(text) = inner.text(name)? {
                            team.insert(name.to_owned(), text.into());
                        }
                    }
                    match team.get("id").and_then(Value::as_str) {
                        Some(id) if is_id(id, &['T', 'E']) => {}
                        Some(_) => {
                            return Err(inner.bad(
                                "id",
                                "is not the identifier of a workspace, T…, or organization, E…: it stands in the \
                                 address of Slack in a browser, https://app.slack.com/client/T…",
                            ));
                        }
                        None => {
                            return Err(inner.bad(
                                "id",
                                "is missing: the identifier of the workspace, T…, or organization, E…",
                            ));
                        }
                    }
                    inner.finish()?;
                    Some(team)
                }
            },
            configuration_token: fields.secret("configurationToken")?,
            secrets: [
                (CLIENT_SECRET, fields.secret("clientSecret")?),
                (SIGNING_SECRET, fields.secret("signingSecret")?),
                (VERIFICATION_TOKEN, fields.secret("verificationToken")?),
            ],
        };
        if read.app_id.as_ref().is_some_and(|id| !is_id(id, &['A'])) {
            return Err(fields.bad("appId", "is not the identifier of an app: A…"));
        }
        fields.finish()?;
        Ok(read)
    }
}

impl Settings {
    /// The configuration of a stored connector.
    pub(super) fn of(connector: &Connector) -> Result<Self, BadConfiguration> {
        Self::read(&Read::new(connector.data.clone())?)
    }

    fn read(read: &Read) -> Result<Self, BadConfiguration> {
        let client_id = read.client_id.clone().ok_or_else(|| bad("clientId", "is missing"))?;
        if read.bot_scopes.is_empty() && read.user_scopes.is_empty() {
            return Err(bad(
                "botScopes",
                "is empty, and userScopes too: name the scopes of the bot, such as chat:write, or of people; where \
                 neither is given the bot has chat:write, channels:read and users:read",
            ));
        }
        let team = read.team.as_ref().and_then(|team| team.get("id")?.as_str()).map(str::to_owned);
        Ok(Self {
            client_id,
            bot_scopes: read.bot_scopes.clone(),
            user_scopes: read.user_scopes.clone(),
            team,
            rotates: read.rotates,
        })
    }

    /// The app as a client. Slack asks for its secret in the header ("oauth.v2.access").
    pub(super) fn client<'a>(&'a self, at: &At<'a>) -> Result<Client<'a>, DriverError> {
        self.client_by(at, Proof::Basic)
    }

    /// The same with its secret in the form, where Slack documents nothing else ("oauth.v2.exchange").
    pub(super) fn client_in_form<'a>(&'a self, at: &At<'a>) -> Result<Client<'a>, DriverError> {
        self.client_by(at, Proof::Post)
    }

    fn client_by<'a>(
        &'a self,
        at: &At<'a>,
        proof: impl FnOnce(&'a SecretString) -> Proof<'a>,
    ) -> Result<Client<'a>, DriverError> {
        let secret = at.secrets.at(CLIENT_SECRET).ok_or_else(|| bad("clientSecret", "is missing"))?;
        Ok(Client {
            http: at.http,
            env: at.env,
            tenant: at.connector.team,
            id: &self.client_id,
            proof: proof(secret),
        })
    }
}

/// Reads the configuration and asks Slack whether it knows the client.
pub(super) async fn accept(mut ask: NewConnector<'_>) -> Result<Accepted, BadConfiguration> {
    let mut read = Read::new(std::mem::take(&mut ask.data))?;
    // Slack names no issuer in its answers, so the address tells them apart (RFC 9700 §4.4.2).
    let base = ask.callback_base.trim_end_matches('/');
    let redirect_uri = format!("{base}/callback/{}", ask.connector);
    if let Some(token) = read.configuration_token.take() {
        read.make(&ask, &token, &redirect_uri).await?;
    }
    let settings = Settings::read(&read)?;
    let secret =
        read.secrets.iter().find(|(name, _)| *name == CLIENT_SECRET).and_then(|(_, secret)| secret.as_ref());
    let secret = secret.ok_or_else(|| bad("clientSecret", "is missing"))?;
    is_known(&ask, &settings.client_id, secret).await?;
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("clientId", settings.client_id.into());
    put("botScopes", json!(settings.bot_scopes));
    put("userScopes", json!(settings.user_scopes));
    for (name, text) in [("appId", read.app_id), ("appName", read.app_name)] {
        if let Some(text) = text {
            put(name, text.into());
        }
    }
    if let Some(team) = read.team {
        put("slackTeam", team.into());
    }
    if read.rotates {
        put("tokenRotation", true.into());
    }
    let mut secrets = ConnectorSecrets::default();
    for (name, secret) in read.secrets {
        if let Some(secret) = secret {
            secrets.insert(name.to_owned(), secret);
        }
    }
    Ok(Accepted { data, secrets, redirect_uri: Some(redirect_uri) })
}

impl Read {
    /// Has Slack make the app, and takes what it is known by.
    async fn make(
        &mut self,
        ask: &NewConnector<'_>,
        token: &SecretString,
        redirect_uri: &str,
    ) -> Result<(), BadConfiguration> {
        if self.client_id.is_some() {
            return Err(bad("configurationToken", "makes an app, and clientId names one that there is"));
        }
        if self.bot_scopes.is_empty() && self.user_scopes.is_empty() {
            return Err(bad(
                "botScopes",
                "is empty, and userScopes too: name the scopes of the bot, such as chat:write, or of people; where \
                 neither is given the bot has chat:write, channels:read and users:read",
            ));
        }
        let wish = Wish {
            name: self.app_name.as_deref().unwrap_or(ask.name),
            bot: &self.bot_scopes,
            user: &self.user_scopes,
            redirect_uri,
            events: ask.events,
        };
        let made = manifest::create(ask.http, ask.env, ask.tenant, token, &wish).await?;
        self.client_id = Some(made.client_id);
        self.app_id = made.app_id.or(self.app_id.take());
        // As the manifest says.
        self.rotates = true;
        let signing = made.signing_secret;
        self.secrets = [
            (CLIENT_SECRET, Some(made.client_secret)),
            (SIGNING_SECRET, signing),
            (VERIFICATION_TOKEN, None),
        ];
        Ok(())
    }
}

async fn is_known(
    ask: &NewConnector<'_>,
    client_id: &str,
    secret: &SecretString,
) -> Result<(), BadConfiguration> {
    let client = Client {
        http: ask.http,
        env: ask.env,
        tenant: ask.tenant,
        id: client_id,
        proof: Proof::Basic(secret),
    };
    let mut form = Form::new();
    form.push("code", "is-this-client-known");
    match answer::access(ask.env, &client, form, Phase::Code).await {
        Err(DriverError::Callback(CallbackFault::CodeRefused { .. })) => Ok(()),
        Err(DriverError::ClientRejected { vendor }) => {
            let field = if vendor.error == "bad_client_secret" { "clientSecret" } else { "clientId" };
            Err(bad(field, &format!("Slack does not know the client: \u{201c}{}\u{201d}", vendor.error)))
        }
        Ok(_) => {
            Err(bad("clientId", "Slack could not be asked about the client: it took a code that was none"))
        }
        Err(error) => Err(bad("clientId", &format!("Slack could not be asked about the client: {error}"))),
    }
}

/// An identifier is a letter that says of what, and capitals and digits behind it.
fn is_id(text: &str, kinds: &[char]) -> bool {
    let rest = text.strip_prefix(kinds).unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// What a bot is asked for where nobody says what for: to speak, and to find whom to speak to.
fn usual_bot_scopes() -> Scopes {
    Scopes::parse(USUAL_BOT_SCOPES).unwrap_or_default()
}

fn bad(field: &str, why: &str) -> BadConfiguration {
    BadConfiguration { field: field.to_owned(), why: why.to_owned() }
}

/// As the catalog's file tells people.
const USUAL_BOT_SCOPES: [&str; 3] = ["channels:read", "chat:write", "users:read"];
const CLIENT_SECRET: &str = "/clientSecret";
const SIGNING_SECRET: &str = "/signingSecret";
const VERIFICATION_TOKEN: &str = "/verificationToken";
