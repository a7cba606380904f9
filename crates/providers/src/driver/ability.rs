//! What a connector can do, for the engine to decide by and for the wire to tell.

use carnet_model::grant::Rotation;
use carnet_model::{Scopes, SubjectKind};
use url::Url;

use super::signer::SigningAlgorithm;

/// What a connector can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// For whom it makes tokens.
    pub subjects: Vec<SubjectKind>,
    /// Whether it must be installed at a tenant of the provider first.
    pub installation: bool,
    /// Whether the provider can be told to forget a grant.
    pub revocation: bool,
    /// Tokens of the application itself.
    pub app: Option<TokenAbilities>,
    /// Tokens of people.
    pub user: Option<TokenAbilities>,
    /// Tokens of identities that a caller asserts.
    pub asserted: Option<TokenAbilities>,
    /// Tokens in exchange for one that the caller has.
    pub exchanged: Option<TokenAbilities>,
    /// Whose tokens are taken in exchange. Empty where the connector leaves it to its provider to judge them.
    pub inbound: Vec<Inbound>,
    /// What the provider does with a refresh token that was used.
    pub rotation: Rotation,
    /// Whether a refresh kills the access token before it at once, so that nothing may be served from memory meanwhile.
    pub old_access_dies: bool,
    /// Whether it was told to keep nothing that renews (`refreshTokens.enabled` is false).
    pub keeps_no_refresh: bool,
    /// With what it signs, if it needs a key of its own.
    pub signs: Option<SigningAlgorithm>,
}

impl Abilities {
    /// Nothing at all.
    pub const NONE: Self = Self {
        subjects: Vec::new(),
        installation: false,
        revocation: false,
        app: None,
        user: None,
        asserted: None,
        exchanged: None,
        inbound: Vec::new(),
        rotation: Rotation::Strict,
        old_access_dies: false,
        keeps_no_refresh: false,
        signs: None,
    };
}

/// An issuer whose tokens a connector takes in exchange. They are verified before they go anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// Where its keys are, if not where its discovery document says.
    pub jwks_uri: Option<Url>,
    /// The token names exactly one audience, and it is one of these.
    pub audiences: Vec<String>,
    /// Whether each of its tokens, by its `jti`, is taken once.
    pub once: bool,
}

/// Which resources (RFC 8707) a token can be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resources {
    /// None: the provider does not know the parameter.
    #[default]
    Unknown,
    /// The one that the connector is for. A server that is shared may know others, and give tokens for them.
    Only(String),
    /// Those that are consented to, or, where nobody consents, those that the provider knows.
    Any,
}

impl Resources {
    /// Whether a resource can be named at all.
    #[must_use]
    pub fn can_be_named(&self) -> bool {
        *self != Self::Unknown
    }

    /// The first of `asked` that the connector is not for.
    #[must_use]
    pub fn foreign<'a>(&self, asked: &'a [String]) -> Option<&'a String> {
        match self {
            Self::Unknown => asked.first(),
            Self::Only(own) => asked.iter().find(|asked| !is_same_resource(own, asked)),
            Self::Any => None,
        }
    }
}

/// Whether two texts name the same resource: a final `/` makes no other one.
#[must_use]
pub fn is_same_resource(one: &str, other: &str) -> bool {
    let canonical = |text: &str| Url::parse(text).map(|url| url.as_str().trim_end_matches('/').to_owned());
    match (canonical(one), canonical(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// What can be asked of tokens for one kind of subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenAbilities {
    /// The scopes that are meant when a caller asks for the defaults.
    pub scopes: Scopes,
    /// Whether a caller may ask for other scopes than the defaults.
    pub refinement: bool,
    /// Whether nobody gets more than the defaults, where there are any: neither by asking nor by what a provider gives
    /// unasked.
    pub bounded: bool,
    /// Which resources a token can be bound to (RFC 8707).
    pub resources: Resources,
    /// Whether a token can be bound to an audience.
    pub audience: bool,
    /// The types of authorization detail that the provider knows (RFC 9396).
    pub details: Vec<String>,
    /// Whether consent means that the person pastes a credential.
    pub manual_credential: bool,
    /// Whether one token can reach every installation.
    pub cross_installation: bool,
    /// Whether each installation has tokens of its own. Where a connector installs and this is not so, an installation
    /// cannot be asked for.
    pub per_installation: bool,
    /// Whether the tokens are those of a grant that an installation left, and are kept and renewed like a person's.
    pub left_by_installation: bool,
}
