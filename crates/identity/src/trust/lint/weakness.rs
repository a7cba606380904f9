//! What can be wrong with a trusted issuer, each with the sentence that mends it.

/// Why a trusted issuer is refused. Rules are numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// No audience.
    #[error("audiences is empty: add an audience that names this Carnet alone, its own address for instance")]
    NoAudience,
    /// An audience that anybody's token may have.
    #[error(
        "audience {0:?} names nobody in particular: use one that names this Carnet alone, its own address for instance"
    )]
    OpenAudience(String),
    /// An audience of a cluster's API server.
    #[error(
        "audience {0:?} is for the API server of the cluster, and every pod has such a token: project a token with an audience of its own, this Carnet's address for instance"
    )]
    ApiServerAudience(String),
    /// An audience of another service.
    #[error(
        "audience {0:?} is for another service, so whoever sends that service a token could use it here: ask the issuer for a token with this Carnet's address as audience"
    )]
    OtherServiceAudience(String),
    /// No algorithm.
    #[error("algorithms is empty: name those the issuer uses, RS256 for most")]
    NoAlgorithm,
    /// No type.
    #[error("types is empty: name those the issuer writes, JWT for most, or \"\" if it writes none")]
    NoType,
    /// Plain http.
    #[error(
        "{0} is not https, so whoever is on the way could put in keys of their own: use https, or pin the keys in jwks"
    )]
    PlainHttp(&'static str),
    /// An issuer name that many share, with keys found under that name.
    #[error(
        "many clusters have the issuer {0:?}: put this cluster's keys in jwks (kubectl get --raw /openid/v1/jwks), or give a jwksUri that is this cluster's own"
    )]
    SharedIssuer(String),
    /// Declared to be of one platform, and named as another's.
    #[error("the issuer is {named}'s by its name, and is said to be {said}'s: leave family out")]
    OtherFamily {
        /// The platform by the name.
        named: &'static str,
        /// The platform as declared.
        said: &'static str,
    },
    /// A SPIFFE trust domain without keys.
    #[error(
        "a trust domain has no discovery document: give the address of its bundle endpoint as jwksUri, or the bundle itself as jwks (spire-server bundle show -format spiffe)"
    )]
    NoBundle,
    /// An issuer that speaks for every tenant.
    #[error(
        "{0:?} speaks for every tenant of Microsoft Entra: write the issuer of your own tenant, with its id"
    )]
    EveryTenant(String),
    /// No claims in a rule.
    #[error(
        "rule {rule} has no claims and would stand for every token of the issuer: add claims that identify the workload"
    )]
    NoClaims {
        /// Which rule.
        rule: usize,
    },
    /// Only `sub` in a rule, and a platform builds it of names.
    #[error(
        "rule {rule} looks at sub alone, and subjects of this form are built, at {platform}, of names that change hands: name the platform as family, or add a claim with an identifier that the issuer never gives to another"
    )]
    OnlySubject {
        /// Which rule.
        rule: usize,
        /// The platform whose subjects look so.
        platform: &'static str,
    },
    /// Nothing identifying in a rule.
    #[error(
        "rule {rule} has no claim that says whose workload it is: add a claim with an identifier that the issuer never gives to another"
    )]
    NotIdentifying {
        /// Which rule.
        rule: usize,
    },
    /// A pattern.
    #[error(
        "rule {rule}: claim {claim} is compared exactly, and {value:?} looks like a pattern: write the exact value, or a list of values"
    )]
    Pattern {
        /// Which rule.
        rule: usize,
        /// Which claim.
        claim: String,
        /// Its value.
        value: String,
    },
    /// An empty value or list.
    #[error("rule {rule}: claim {claim} is compared with nothing: write the value it must have")]
    NoValue {
        /// Which rule.
        rule: usize,
        /// Which claim.
        claim: String,
    },
    /// A claim that the platform needs is missing.
    #[error("rule {rule}, for {platform}: {remedy}")]
    Incomplete {
        /// Which rule.
        rule: usize,
        /// The platform.
        platform: &'static str,
        /// What to add.
        remedy: &'static str,
    },
    /// An identifier that should be a number is not.
    #[error(
        "rule {rule}: claim {claim} is a number at {platform}, not a name: look it up and write the digits"
    )]
    NotANumber {
        /// Which rule.
        rule: usize,
        /// Which claim.
        claim: String,
        /// The platform.
        platform: &'static str,
    },
    /// An identifier that should be a UUID is not.
    #[error(
        "rule {rule}: claim {claim} is a UUID in lower case at {platform}, not a name: look it up and write it whole"
    )]
    NotAUuid {
        /// Which rule.
        rule: usize,
        /// Which claim.
        claim: String,
        /// The platform.
        platform: &'static str,
    },
    /// A subject that is not a SPIFFE ID of a workload in the trust domain.
    #[error(
        "rule {rule}: sub must be the whole SPIFFE ID of a workload, with a path, and in the trust domain of the issuer"
    )]
    NotInTrustDomain {
        /// Which rule.
        rule: usize,
    },
    /// The tenant in a rule is not the issuer's.
    #[error("rule {rule}: tid is another tenant than the issuer's, so no token can match")]
    OtherTenant {
        /// Which rule.
        rule: usize,
    },
    /// No subject kind.
    #[error("rule {rule} allows no kind of subject: name those it is for, app or user for most")]
    NoSubjects {
        /// Which rule.
        rule: usize,
    },
    /// A rule that can never be reached.
    #[error(
        "rule {rule} is never reached, because rule {by} matches every token that it matches and stands for something else: put rule {rule} first"
    )]
    Shadowed {
        /// Which rule.
        rule: usize,
        /// The rule before it.
        by: usize,
    },
}
