//! The platforms whose tokens are known: which claims prove who a workload is, and which anybody can have.
//!
//! Each platform is a value with its facts, in [`ci`] and [`cloud`], with the page they were read on and the date. What a
//! page did not say is marked there, and is set so that a token is refused rather than accepted.
//!
//! Promised: an issuer that is recognised by its name cannot be declared another platform's, so nobody escapes its rules
//! by calling GitHub generic. Not promised: that an unknown issuer is not one of these under another name; whoever runs
//! GitLab under a name of their own says so with `family`.

mod ci;
mod cloud;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spiffe::SpiffeId;

/// The platform that an issuer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// GitHub Actions, of github.com or of an Enterprise Server.
    GitHubActions,
    /// GitLab CI/CD, of gitlab.com or of one's own.
    GitLab,
    /// Service accounts of a cluster.
    Kubernetes,
    /// Deployments on Vercel.
    Vercel,
    /// Machines on Fly.io.
    Fly,
    /// Service accounts of Google Cloud.
    Google,
    /// Managed identities and service principals of Microsoft Entra.
    Azure,
    /// JWT-SVIDs of a SPIFFE trust domain.
    Spiffe,
    /// Runs of HCP Terraform or Terraform Enterprise.
    Terraform,
    /// Jobs of CircleCI.
    CircleCi,
    /// Jobs of Buildkite.
    Buildkite,
    /// Any other issuer of JWTs.
    Generic,
}

/// A name that is not a family's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a family is github-actions, gitlab, kubernetes, vercel, fly, google, azure, spiffe, terraform, circleci, \
     buildkite or generic"
)]
pub struct UnknownFamily;

/// What is known about a platform.
pub(super) struct Platform {
    /// As it stands in a configuration.
    pub(super) slug: &'static str,
    /// As people call it.
    pub(super) name: &'static str,
    /// How its issuer is called.
    pub(super) issuer: IssuerForm,
    /// The `typ` that is expected when the configuration does not say; empty text for none.
    pub(super) types: &'static [&'static str],
    /// The longest life of a token when the configuration does not say.
    pub(super) max_life: Duration,
    /// The greatest age of a token when the configuration does not say.
    pub(super) max_age: Duration,
    /// What a rule must have.
    pub(super) requirement: Option<Requirement>,
    /// Audiences that the platform writes when nobody asks for one, or for services of its own.
    pub(super) foreign_audiences: &'static [Audience],
    /// Claims that are kept in the audit log with what the workload did.
    pub(super) recorded: &'static [&'static str],
}

/// How a platform's issuer is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IssuerForm {
    /// Always the same.
    Fixed(&'static str),
    /// Named after an account at the platform.
    Named {
        /// What stands before the account.
        before: &'static str,
        /// What stands behind it.
        after: &'static str,
        /// What the account is, for people.
        account: &'static str,
        /// Its form.
        form: Form,
    },
    /// Whoever runs it chooses.
    Own,
}

/// What a rule about tokens of a family must have.
pub(super) struct Requirement {
    /// Identifiers that the platform never gives to another; each must be fixed by the rule.
    pub(super) identifiers: &'static [(&'static str, Form)],
    /// Claims that must be fixed to `true`.
    pub(super) flags: &'static [&'static str],
    /// If the first is in the rule, the second must be fixed to `true`.
    pub(super) vouched: &'static [(&'static str, &'static str)],
    /// Of these groups one must be fixed whole. No groups: nothing more is needed.
    pub(super) one_of: &'static [&'static [&'static str]],
    /// What to add and why, in a sentence.
    pub(super) remedy: &'static str,
}

/// The form of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Any text.
    Text,
    /// Digits, as text or number.
    Number,
    /// A UUID in lower case, as all these platforms write theirs.
    Uuid,
    /// A SPIFFE ID with a path.
    SpiffeId,
}

/// An audience that is not ours to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// This text.
    Exactly(&'static str),
    /// Everything that begins so.
    Below(&'static str),
    /// Every name that ends so.
    Ending(&'static str),
    /// Every UUID.
    AnyUuid,
}

impl Family {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::GitHubActions,
        Self::GitLab,
        Self::Kubernetes,
        Self::Vercel,
        Self::Fly,
        Self::Google,
        Self::Azure,
        Self::Spiffe,
        Self::Terraform,
        Self::CircleCi,
        Self::Buildkite,
        Self::Generic,
    ];

    /// As it stands in a configuration: `github-actions`.
    pub fn slug(self) -> &'static str {
        self.platform().slug
    }

    /// As people call it: `GitHub Actions`.
    pub fn title(self) -> &'static str {
        self.platform().name
    }

    /// Reads the name of a configuration.
    pub fn parse(text: &str) -> Result<Self, UnknownFamily> {
        Self::ALL.into_iter().find(|family| family.slug() == text).ok_or(UnknownFamily)
    }

    /// The platform behind an issuer, if the issuer's name tells.
    pub(super) fn by_name(issuer: &str) -> Option<Self> {
        if SpiffeId::parse(issuer).is_some() {
            return Some(Self::Spiffe);
        }
        let rest = issuer.strip_prefix("https://").unwrap_or(issuer);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        // GitHub's own words for data residency: token.actions.SUBDOMAIN.ghe.com.
        let is_residency = host.starts_with("token.actions.") && host.ends_with(".ghe.com");
        let is_github = host == "token.actions.githubusercontent.com" || path.ends_with("_services/token");
        match host {
            _ if is_github || is_residency => Some(Self::GitHubActions),
            "oidc.vercel.com" => Some(Self::Vercel),
            "oidc.fly.io" => Some(Self::Fly),
            "accounts.google.com" => Some(Self::Google),
            "app.terraform.io" | "app.eu.terraform.io" => Some(Self::Terraform),
            "oidc.circleci.com" => Some(Self::CircleCi),
            "agent.buildkite.com" => Some(Self::Buildkite),
            _ if host == "gitlab.com" || host.starts_with("gitlab.") => Some(Self::GitLab),
            _ if cloud::is_entra(host) => Some(Self::Azure),
            _ if cloud::is_cluster(host, path) => Some(Self::Kubernetes),
            _ => None,
        }
    }

    /// The issuer of this family for an account; what is missing or wrong, in words, otherwise.
    pub(super) fn issuer_for(self, account: Option<&str>) -> Result<String, IssuerMissing> {
        match (self.platform().issuer, account) {
            (IssuerForm::Fixed(issuer), None) => Ok(issuer.to_owned()),
            (IssuerForm::Fixed(_), Some(_)) => Err(IssuerMissing::NoAccount(self.title())),
            (IssuerForm::Named { before, after, form, account: what }, account) => {
                let fits = |text: &&str| is_account(text) && (form != Form::Uuid || is_uuid(text));
                match account.filter(fits) {
                    Some(account) => Ok(format!("{before}{account}{after}")),
                    None => Err(IssuerMissing::Account(self.title(), what)),
                }
            }
            (IssuerForm::Own, _) => Err(IssuerMissing::Issuer(self.title())),
        }
    }

    /// How the issuer is called, with the account in angle brackets; nothing where whoever runs it chooses.
    pub fn issuer_form(self) -> Option<String> {
        match self.platform().issuer {
            IssuerForm::Fixed(issuer) => Some(issuer.to_owned()),
            IssuerForm::Named { before, after, account, .. } => Some(format!("{before}<{account}>{after}")),
            IssuerForm::Own => None,
        }
    }

    /// The claims that a rule must fix, and the groups of which it must fix one besides.
    pub fn required_claims(self) -> (Vec<&'static str>, Vec<&'static [&'static str]>) {
        self.platform().requirement.as_ref().map_or_else(Default::default, |required| {
            let named = required.identifiers.iter().map(|(claim, _)| *claim);
            (named.chain(required.flags.iter().copied()).collect(), required.one_of.to_vec())
        })
    }

    /// What a rule must have and why, in a sentence.
    pub fn remedy(self) -> Option<&'static str> {
        self.platform().requirement.as_ref().map(|required| required.remedy)
    }

    /// Claims that are kept in the audit log.
    pub fn recorded(self) -> &'static [&'static str] {
        self.platform().recorded
    }

    pub(super) fn platform(self) -> &'static Platform {
        match self {
            Self::GitHubActions => &ci::GITHUB_ACTIONS,
            Self::GitLab => &ci::GITLAB,
            Self::Kubernetes => &cloud::KUBERNETES,
            Self::Vercel => &cloud::VERCEL,
            Self::Fly => &cloud::FLY,
            Self::Google => &cloud::GOOGLE,
            Self::Azure => &cloud::AZURE,
            Self::Spiffe => &cloud::SPIFFE,
            Self::Terraform => &ci::TERRAFORM,
            Self::CircleCi => &ci::CIRCLECI,
            Self::Buildkite => &ci::BUILDKITE,
            Self::Generic => &GENERIC,
        }
    }
}

/// Why a family does not say what the issuer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerMissing {
    /// The issuer is named after an account.
    #[error("the issuer of {0} is named after an account: give {1} as account")]
    Account(&'static str, &'static str),
    /// The issuer is not named after an account.
    #[error("the issuer of {0} is the same for everybody: leave account out")]
    NoAccount(&'static str),
    /// Whoever runs it chooses the issuer.
    #[error("{0} is run under a name of one's own: give its issuer, the iss of its tokens")]
    Issuer(&'static str),
}

impl Form {
    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::Text => !text.is_empty(),
            Self::Number => !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()),
            Self::Uuid => is_uuid(text),
            Self::SpiffeId => SpiffeId::of_workload(text).is_some(),
        }
    }
}

impl Audience {
    pub(super) fn covers(self, audience: &str) -> bool {
        let host = audience.strip_prefix("https://").unwrap_or(audience);
        let host = host.split_once('/').map_or(host, |(host, _)| host);
        match self {
            Self::Exactly(text) => audience.strip_suffix('/').unwrap_or(audience) == text,
            Self::Below(start) => audience.starts_with(start),
            Self::Ending(end) => host.ends_with(end),
            Self::AnyUuid => is_uuid(audience),
        }
    }
}

fn is_account(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=100).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.')
}

fn is_uuid(text: &str) -> bool {
    let dash = |at: usize| [8, 13, 18, 23].contains(&at);
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == 36 && text.bytes().enumerate().all(|(at, b)| if dash(at) { b == b'-' } else { hex(b) })
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

impl Serialize for Family {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

impl<'de> Deserialize<'de> for Family {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

const GENERIC: Platform = Platform {
    slug: "generic",
    name: "this issuer",
    issuer: IssuerForm::Own,
    // An access token is at+jwt (RFC 9068 §2.1), an identity token JWT, and libraries write none when nobody asks. What
    // has another name is for something else: logout+jwt, secevent+jwt, dpop+jwt.
    types: &["JWT", "", "at+jwt"],
    max_life: HOUR,
    max_age: QUARTER,
    requirement: None,
    foreign_audiences: &[],
    recorded: &[],
};

/// The usual longest life.
const HOUR: Duration = Duration::from_hours(1);
/// The longest life that can be configured at all: managed identities of Azure have tokens of 24 hours and 5 minutes.
pub(super) const LONGEST: Duration = Duration::from_hours(25);
/// The greatest age of a token that its platform mints when it is asked for.
const QUARTER: Duration = Duration::from_mins(15);

/// Claims that say something about a run and nothing about whose it is. A rule of these alone trusts everybody who
/// can get a token from the issuer.
pub(super) const NOT_IDENTIFYING: &[&str] = &[
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "sub",
    "environment",
    "ref",
    "ref_type",
    "ref_protected",
    "branch",
    "event_name",
    "runner_environment",
    "repository_visibility",
    "email_verified",
    "region",
    "typ",
    "amr",
    "acr",
    "idtyp",
    "ver",
    "build_branch",
    "build_tag",
    "build_source",
    "terraform_run_phase",
    "terraform_operation",
];

/// Audiences that name the API server of a cluster. A token for it is not meant for us, and every pod has one.
pub(super) fn is_api_server(audience: &str) -> bool {
    let bare = audience.strip_prefix("https://").unwrap_or(audience);
    bare.starts_with("kubernetes.default") || ["kubernetes", "api", "k3s", "rke2"].contains(&bare)
}

/// Audiences that other services ask for, whatever the platform. A token made for one of them must not work here.
pub(super) const OTHER_SERVICES: &[Audience] = &[
    Audience::Below("https://github.com/"),
    Audience::Below("https://gitlab.com"),
    Audience::Below("sts.amazonaws.com"),
    Audience::Below("sigstore"),
    Audience::Below("api://AzureADTokenExchange"),
    Audience::Below("https://iam.googleapis.com/"),
    Audience::Below("//iam.googleapis.com/"),
    Audience::Exactly("pypi"),
    Audience::Exactly("rubygems.org"),
    Audience::Exactly("crates.io"),
    Audience::Below("npm:"),
];

#[cfg(test)]
mod tests;
