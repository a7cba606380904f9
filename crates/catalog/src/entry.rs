//! What a file says. The names of its members are those of the types here, with hyphens.

use std::collections::BTreeMap;

use carnet_model::connector::ConnectorType;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use url::Url;

use crate::host::{HostPattern, is_label, is_name};
use crate::template::Template;
use crate::text::{Colour, Day, FieldName, Line, Page, ParamName, Prose, Scope, Slug, Variable, Words};

/// What is known about one service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    /// Its short name: the name of the file, and the first part of a connector's UID.
    pub slug: Slug,
    /// What people call it.
    pub name: Line,
    /// What it is, in a sentence.
    pub description: Line,
    /// What sort of service it is.
    pub categories: Vec<Slug>,
    /// Its own site.
    pub homepage: Option<Page>,
    /// Its pages for developers, the most useful first.
    #[serde(default)]
    pub docs: Vec<Page>,
    /// One or two letters that stand for it where there is no picture.
    pub monogram: Option<Line>,
    /// Behind the monogram.
    pub color: Option<Colour>,
    /// The variable in which its own tools look for a token.
    pub env: Option<Variable>,
    /// Every host that its tokens, keys and clients' secrets may be sent to. None for a kind of server rather than one
    /// service: whoever connects it says which.
    #[serde(default)]
    pub hosts: Vec<HostPattern>,
    /// When the facts were last looked at.
    pub checked: Day,
    /// The pages they were read on.
    pub source: Vec<Page>,
    /// How sure they are.
    pub verified: Verified,
    /// What can be connected of it, where it is more than one thing.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// The ways to make a connector to it, the usual one first.
    pub methods: Vec<Method>,
    /// What each scope allows.
    #[serde(default)]
    pub scopes: BTreeMap<Scope, Words>,
}

/// How sure the facts of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verified {
    /// A token was had this way, from the service itself.
    Tried,
    /// They were read in the service's own documentation.
    Read,
    /// They come from elsewhere, and nobody has tried them.
    Unverified,
}

/// One thing that can be connected of a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Target {
    /// Its short name.
    pub target: Slug,
    /// What people call it.
    pub label: Line,
    /// What it is.
    pub description: Option<Line>,
    /// Its page for developers.
    pub docs: Option<Page>,
    /// What is asked of people where nothing else is said; instead of the method's.
    #[serde(default)]
    pub scopes: Vec<Scope>,
}

/// One way to make a connector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Method {
    /// Its name on the wire, `connectionMethod`.
    pub method: Slug,
    /// What people call it.
    pub label: Line,
    /// When it is the right one.
    pub description: Line,
    /// The driver that runs such connectors.
    pub driver: ConnectorType,
    /// How sure its facts are, where not as sure as the rest of the file.
    pub verified: Option<Verified>,
    /// The targets that it serves; all of them where none is named.
    #[serde(default)]
    pub targets: Vec<Slug>,
    /// The page about this way.
    pub docs: Option<Page>,
    /// Where a client is registered, or a key made.
    pub console: Option<Page>,
    /// What to do there.
    pub instructions: Option<Prose>,
    /// The addresses of the API that takes the tokens or keys.
    #[serde(default)]
    pub api: Vec<Spanned<Template>>,
    /// What a person fills in.
    #[serde(default)]
    pub fields: Vec<Spanned<Field>>,
    /// How tokens are had.
    pub oauth: Option<Oauth>,
    /// How keys are presented; several where the service wants several at once, each then with a name.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// What else stands in the `data` of such a connector, by its own names. `{field}` in a text is filled in.
    #[serde(default)]
    pub data: BTreeMap<String, toml::Value>,
    /// Members of `data` that only the service gives, beyond a client or a key: `consumerKey`, `installation.token`.
    #[serde(default)]
    pub needs: Vec<Line>,
    /// The member that may be brought in place of all of these, because the provider gives them for it.
    pub instead: Option<Line>,
}

/// A place of a [`Template`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Field {
    /// Its name in the template and on the wire.
    pub key: FieldName,
    /// What people call it.
    pub label: Line,
    /// Where a person finds it.
    pub help: Option<Line>,
    /// A value of the right form.
    pub example: String,
    /// What is meant where nothing is filled in.
    pub default: Option<String>,
    /// What may be filled in.
    pub kind: FieldKind,
    /// For a host: the hosts it may be.
    #[serde(default)]
    pub within: Vec<HostPattern>,
    /// For a choice: what there is to choose from.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// What may be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// One label of a host name.
    Label,
    /// One label or several with dots between.
    Labels,
    /// A whole host name.
    Host,
    /// One segment of a path.
    Segment,
    /// One of given words.
    Choice,
}

impl Field {
    /// Whether this may be filled in; the error says what may.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let segment = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
        let sound = match self.kind {
            FieldKind::Label => is_label(value),
            FieldKind::Labels => value.len() <= 200 && value.split('.').all(is_label),
            FieldKind::Host => {
                let value = value.to_ascii_lowercase();
                is_name(&value) && self.within.iter().any(|pattern| pattern.matches(&value))
            }
            FieldKind::Segment => {
                (1..=200).contains(&value.len()) && value.bytes().all(segment) && !matches!(value, "." | "..")
            }
            FieldKind::Choice => self.choices.iter().any(|choice| choice == value),
        };
        if sound { Ok(()) } else { Err(self.expectation()) }
    }

    /// Whether it can be any host at all, of whomever.
    pub fn is_any_host(&self) -> bool {
        self.kind == FieldKind::Host && self.within.contains(&HostPattern::Any)
    }

    fn expectation(&self) -> String {
        let what = match self.kind {
            FieldKind::Label => "is one name of letters, digits and hyphens".to_owned(),
            FieldKind::Labels => "is names of letters, digits and hyphens with dots between".to_owned(),
            FieldKind::Host => {
                let hosts: Vec<String> = self.within.iter().map(ToString::to_string).collect();
                format!("is a host ({}), without https:// and path", hosts.join(", "))
            }
            FieldKind::Segment => "is letters, digits and - _ . ~".to_owned(),
            FieldKind::Choice => return format!("is one of: {}", self.choices.join(", ")),
        };
        format!("{what}, such as {}", self.example)
    }
}

/// How tokens are had from an OAuth 2.0 server. An address that is not known is absent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Oauth {
    /// The address from which everything else is found out: of an API that names its server (RFC 9728), or an issuer.
    pub server: Option<Spanned<Template>>,
    /// The server's name for itself.
    pub issuer: Option<Spanned<Template>>,
    /// Where people are sent.
    pub authorization: Option<Spanned<Template>>,
    /// Where tokens are had.
    pub token: Option<Spanned<Template>>,
    /// Where tokens are ended (RFC 7009).
    pub revocation: Option<Spanned<Template>>,
    /// Where tokens are asked about (RFC 7662).
    pub introspection: Option<Spanned<Template>>,
    /// Where a device asks for a code (RFC 8628).
    pub device: Option<Spanned<Template>>,
    /// How a client proves itself.
    pub client_auth: Option<ClientAuth>,
    /// Whether the server knows PKCE by S256.
    #[serde(default)]
    pub pkce: Pkce,
    /// What stands between two scopes; a space where nothing is said.
    pub separator: Option<String>,
    /// Further parameters of the authorization request.
    #[serde(default)]
    pub authorization_params: BTreeMap<ParamName, Line>,
    /// What is asked of people where nothing else is said.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// The application itself can have tokens.
    pub app: Option<App>,
    /// How long an access token lives, in seconds.
    pub life: Option<u64>,
    /// How refresh tokens behave.
    pub refresh: Refresh,
    /// What the server wants that no driver here does: such a method is shown, and refused with these words.
    pub beyond: Option<Line>,
}

/// Tokens of the application itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct App {
    /// What is asked where nothing else is said.
    #[serde(default)]
    pub scopes: Vec<Scope>,
}

/// How a client proves itself at the token endpoint, by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// A public client.
    None,
    /// In the `Authorization` header.
    ClientSecretBasic,
    /// In the form.
    ClientSecretPost,
    /// A signed assertion.
    PrivateKeyJwt,
}

impl ClientAuth {
    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// Whether a secret is needed.
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// Whether a server knows PKCE by S256 (RFC 7636). It is sent in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pkce {
    /// Nothing is known.
    #[default]
    Unknown,
    /// It says that it does not.
    No,
    /// It does.
    Yes,
    /// It refuses requests without.
    Required,
}

/// How refresh tokens behave.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Refresh {
    /// Whether the old one lives on.
    pub class: RefreshClass,
    /// For how many seconds, of the class `grace`.
    pub seconds: Option<u32>,
    /// After how many days without use one ends.
    pub idle_days: Option<u32>,
    /// After how many days one ends in any case.
    pub life_days: Option<u32>,
    /// What else is to be known.
    pub note: Option<Line>,
}

/// What becomes of a refresh token that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshClass {
    /// There are none: the access token lives long, or is had anew by other means.
    Absent,
    /// It lives on.
    None,
    /// It lives on for a while.
    Grace,
    /// It is dead.
    Strict,
    /// Nobody has said; it is taken to be dead.
    Unknown,
}

/// How a key is presented.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Key {
    /// Which one, where the service wants several: the label by which it is asked for.
    pub name: Option<Slug>,
    /// The header that holds it.
    pub header: Option<ParamName>,
    /// What stands before it in the header.
    pub scheme: Option<Line>,
    /// The parameter of the address that holds it.
    pub query: Option<ParamName>,
    /// Its part in HTTP Basic authentication.
    pub basic: Option<BasicPart>,
}

/// A part of HTTP Basic authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BasicPart {
    /// The key is the user's name, the password is empty.
    Username,
    /// The key is the password.
    Password,
    /// The key is both with a colon between.
    Both,
}

impl Entry {
    /// The way of this name.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.method.as_str() == name)
    }

    /// One or two letters that stand for it.
    pub fn monogram(&self) -> String {
        match &self.monogram {
            Some(own) => own.to_string(),
            None => self.name.as_str().chars().find(|c| c.is_alphanumeric()).into_iter().collect(),
        }
    }

    /// Whether one of its tokens or keys may be sent to this host.
    pub fn has_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host))
    }
}

impl Method {
    /// What a person fills in.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().map(Spanned::get_ref)
    }

    /// Whether a connector can be made with nothing but a name: the server registers a client by itself.
    pub fn registers_itself(&self) -> bool {
        self.oauth.as_ref().is_some_and(|oauth| oauth.server.is_some() && oauth.beyond.is_none())
            && self.needs.is_empty()
            && self.fields().all(|field| field.default.is_some())
    }

    /// Whether this can be where tokens are had, with these fields filled in and any sound value in the others.
    pub fn can_be_at(&self, token: &Url, params: &BTreeMap<String, String>) -> bool {
        let template = self.oauth.as_ref().and_then(|oauth| oauth.token.as_ref());
        template.is_none_or(|template| template.get_ref().can_lead_to(token, params))
    }

    /// Whether it serves a target of this name.
    pub fn serves(&self, target: &str) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|served| served.as_str() == target)
    }
}

impl Oauth {
    /// Its addresses, by the names of the file.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&'static str, &Spanned<Template>)> {
        [
            ("server", &self.server),
            ("issuer", &self.issuer),
            ("authorization", &self.authorization),
            ("token", &self.token),
            ("revocation", &self.revocation),
            ("introspection", &self.introspection),
            ("device", &self.device),
        ]
        .into_iter()
        .filter_map(|(name, address)| Some((name, address.as_ref()?)))
    }
}
