//! The words of `carnet projects trust`.

use clap::{Args, Subcommand};

/// `carnet projects trust`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<TrustVerb>,
    #[command(flatten)]
    pub(crate) new: NewTrustArgs,
}

/// What to do with issuers that are trusted.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustVerb {
    /// Those of the team
    #[command(visible_alias = "ls")]
    List,
    /// One, with its rules
    Show(TrustedArgs),
    /// Trust it no longer
    #[command(visible_alias = "rm")]
    Remove(TrustedRemoveArgs),
    /// The platforms that are known, and which claims a rule about each must have
    Families,
}

/// A trusted issuer.
#[derive(Debug, Args)]
pub(crate) struct TrustedArgs {
    /// Its identifier: `iss_…`
    pub(crate) issuer: String,
}

/// `carnet projects trust remove`
#[derive(Debug, Args)]
pub(crate) struct TrustedRemoveArgs {
    /// Its identifier: `iss_…`
    pub(crate) issuer: String,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// An issuer to be trusted.
#[derive(Debug, Args)]
pub(crate) struct NewTrustArgs {
    /// Identifier or name; the linked one if left out
    pub(crate) project: Option<String>,
    /// The platform, if it is a known one: github-actions (see: carnet projects trust families)
    #[arg(long, value_name = "NAME")]
    pub(crate) family: Option<String>,
    /// The account at the platform after which its issuer is named: tenant, team, organization, trust domain
    #[arg(long, value_name = "NAME", conflicts_with = "issuer")]
    pub(crate) account: Option<String>,
    /// The issuer, if the platform does not tell: `https://gitlab.corp.example`
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// A claim that must have exactly this value; repeat for more. NAME:=JSON for what is not text: `email_verified:=true`
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) claim: Vec<String>,
    /// An example of its tokens, a file or - for stdin: held against the rule, claim by claim; without --claim the rule
    /// is made from it. If it would be refused, so is the issuer, unless a person says otherwise
    #[arg(long, value_name = "PATH")]
    pub(crate) token_file: Option<String>,
    /// The environment that the workload runs in
    #[arg(short, long)]
    pub(crate) environment: Option<String>,
    /// The kinds of subject that it may ask for
    #[arg(long, value_delimiter = ',', value_parser = ["app", "user", "jwt-bearer", "token"], default_value = "app")]
    pub(crate) subject: Vec<String>,
    /// The audience that its tokens must name; this server and team if left out
    #[arg(long, value_name = "AUD")]
    pub(crate) audience: Vec<String>,
    /// Where its keys are, if discovery does not say
    #[arg(long, value_name = "URL", conflicts_with = "jwks_file")]
    pub(crate) jwks_uri: Option<String>,
    /// Its keys themselves, a JWKS in a file or - for stdin: for clusters that cannot be reached
    #[arg(long, value_name = "PATH")]
    pub(crate) jwks_file: Option<String>,
    /// The only algorithms it may sign with, of the five that are accepted
    #[arg(long, value_delimiter = ',', value_name = "ALG", value_parser = ["RS256", "PS256", "ES256", "ES384", "EdDSA"])]
    pub(crate) algorithm: Vec<String>,
    /// The typ that its tokens have, `none` for those without; JWT, at+jwt or none if left out, or what the platform writes
    #[arg(long, value_delimiter = ',', value_name = "TYP")]
    pub(crate) typ: Vec<String>,
    /// The greatest age of a token in seconds, if not the platform's usual one
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_age: Option<u64>,
    /// The longest life of a token in seconds, if not the platform's usual one
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_life: Option<u64>,
    /// Show what would come of it, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}
