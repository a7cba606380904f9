//! The connector commands. Their names and flags are those of `vercel connect`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::{AskArgs, ExplainArgs, NewTriggerArgs, TriggerArgs, TriggerChangeArgs};

/// What to do with connectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Register a connector, attached to the linked project
    Create(Box<CreateArgs>),
    /// List connectors: the linked project's, or all
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show a connector: what it is, who may ask it, whose grants it has
    Show(ConnectorArgs),
    /// Ask for a token and print it
    Token(TokenArgs),
    /// Let a project ask a connector for tokens
    Attach(Box<AttachArgs>),
    /// Stop a project from asking a connector for tokens
    Detach(DetachArgs),
    /// Say where an app's people are sent back to who sign in with a connector
    RedirectUris(RedirectUrisArgs),
    /// Change what a connector is called, how it looks, and its configuration
    Update(Box<UpdateArgs>),
    /// Take a connector out of the operator's hands: from then on its client is the team's own
    Eject(EjectArgs),
    /// Open a connector's page in the browser
    Open(OpenArgs),
    /// Ask a connector's provider what still holds, and whether its server is as it was pinned
    Check(CheckArgs),
    /// Remove a connector and everything kept for it
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Revoke what a connector has given out
    RevokeTokens(RevokeArgs),
    /// Keep tokens that users gave somewhere else, as if they had consented here
    ImportTokens(ImportArgs),
}

/// What stands behind the word `connect`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConnectVerb {
    /// What also stands without it.
    #[command(flatten)]
    Verb(Verb),
    /// Show the public signing keys of a connector, or make a new one
    Keys(ConnectorKeysArgs),
    /// Say why a caller may or may not get a token, rule by rule
    Explain(ExplainArgs),
    /// The people whom a connector with phone lines may write to
    Contacts {
        /// What to do.
        #[command(subcommand)]
        verb: ContactsVerb,
    },
}

/// What can be done with contacts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContactsVerb {
    /// Add somebody by their phone number
    Add(ContactArgs),
}

/// `carnet connect contacts add`
#[derive(Debug, Args)]
pub(crate) struct ContactArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// The number, + and its country first: +12025551234
    #[arg(long, value_name = "NUMBER")]
    pub(crate) phone_number: String,
}

/// `carnet connect keys`
#[derive(Debug, Args)]
pub(crate) struct ConnectorKeysArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Make a new key; it signs when every verifier can have seen it
    #[arg(long)]
    pub(crate) rotate: bool,
    /// Only say what --rotate would do
    #[arg(long, requires = "rotate")]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// A connector by name.
#[derive(Debug, Args)]
pub(crate) struct ConnectorArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
}

/// `carnet create`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").multiple(true))]
pub(crate) struct CreateArgs {
    /// A service (slack), a host (mcp.linear.app) or a URL (`https://mcp.example.com/mcp`)
    pub(crate) service: String,
    /// What people will call it
    #[arg(short, long)]
    pub(crate) name: Option<String>,
    /// service/name; made from the other two if left out
    #[arg(long)]
    pub(crate) uid: Option<String>,
    /// What the type needs, as JSON, @FILE or @- for stdin; empty to print what it may hold
    #[arg(long, value_name = "JSON")]
    pub(crate) data: Option<String>,
    /// The service's key, as @FILE or @- for stdin: the same as --data with it as the only value
    #[arg(long, value_name = "@FILE", conflicts_with = "data")]
    pub(crate) key: Option<String>,
    /// The type, when the service does not decide it: oauth, api-key
    #[arg(long, value_name = "TYPE", requires = "data", conflicts_with = "connection_method")]
    pub(crate) connector_type: Option<String>,
    /// The way to connect it, where there are several
    #[arg(long, value_name = "METHOD")]
    pub(crate) connection_method: Option<String>,
    /// What of the service, where it is more than one thing
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// What the service's address needs, such as subdomain=acme
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = parameter)]
    pub(crate) params: Vec<(String, String)>,
    /// Its provider's events.
    #[command(flatten)]
    pub(crate) triggers: NewTriggerArgs,
    /// How it looks.
    #[command(flatten)]
    pub(crate) branding: BrandingArgs,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is KEY=VALUE, such as subdomain=acme")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// `carnet list`
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Not only the linked project's
    #[arg(long)]
    pub(crate) all_projects: bool,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) limit: Option<u32>,
    /// Go on where the last list ended
    #[arg(long, value_name = "CURSOR")]
    pub(crate) next: Option<String>,
    /// Only with this text in the name or UID
    #[arg(long)]
    pub(crate) search: Option<String>,
    /// Only of this service
    #[arg(long, value_delimiter = ',')]
    pub(crate) service: Vec<String>,
    /// Only of this type
    #[arg(long, value_delimiter = ',')]
    pub(crate) r#type: Vec<String>,
}

/// `carnet token`
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// What is asked for.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    /// Print it as the header that APIs take: Authorization: Bearer …
    #[arg(long)]
    pub(crate) header: bool,
    /// Print it even where a coding agent reads along
    #[arg(long)]
    pub(crate) print: bool,
    /// Print nothing: start this command with it in its environment, as `run -c CONNECTOR -- CMD` does
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true, conflicts_with_all = ["header", "print"])]
    pub(crate) exec: Vec<OsString>,
    /// Open the browser for consent without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet attach`
#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// The project; the linked one if left out
    #[arg(short, long)]
    pub(crate) project: Option<String>,
    /// Where: production, preview, development or one of your own; all three if left out
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) environment: Vec<String>,
    /// Its provider's events.
    #[command(flatten)]
    pub(crate) triggers: TriggerArgs,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet detach`
#[derive(Debug, Args)]
pub(crate) struct DetachArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// The project; the linked one if left out
    #[arg(short, long)]
    pub(crate) project: Option<String>,
    /// Only there: production, preview, development or one of your own; everywhere if left out
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) environment: Vec<String>,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet redirect-uris`
#[derive(Debug, Args)]
pub(crate) struct RedirectUrisArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// The project; the linked one if left out
    #[arg(short, long)]
    pub(crate) project: Option<String>,
    /// Register this address: https; or http on localhost in development, where any port will do
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) add: Vec<String>,
    /// Forget this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) remove: Vec<String>,
    /// In which environment the app runs that is at the added address
    #[arg(short, long, requires = "add")]
    pub(crate) environment: Option<String>,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `carnet update`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true))]
pub(crate) struct UpdateArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// What people will call it
    #[arg(short, long, group = "what")]
    pub(crate) name: Option<String>,
    /// The scopes of users' tokens where none are asked for, separated by commas or spaces
    #[arg(long, value_name = "SCOPES", group = "what")]
    pub(crate) default_scopes: Option<String>,
    /// A new client secret, from @FILE or @- for stdin
    #[arg(long, value_name = "@FILE", group = "what")]
    pub(crate) rotate_secret: Option<String>,
    /// Members of the configuration that change, as JSON, @FILE or @-; null takes one away
    #[arg(long, value_name = "JSON", group = "what")]
    pub(crate) data: Option<String>,
    /// Its provider's events.
    #[command(flatten)]
    pub(crate) triggers: TriggerChangeArgs,
    /// How it looks.
    #[command(flatten)]
    pub(crate) branding: BrandingArgs,
    /// Only say what would be changed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `carnet eject`
#[derive(Debug, Args)]
pub(crate) struct EjectArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// The client of your own to go on with, as JSON, @FILE or @-; the operator's, where it may be taken along, if left out
    #[arg(long, value_name = "JSON")]
    pub(crate) data: Option<String>,
    /// Do it without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Only say what would be changed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How a connector looks on pages.
#[derive(Debug, Default, Args)]
pub(crate) struct BrandingArgs {
    /// Its icon: a PNG or JPEG file of at most 5 MiB
    #[arg(long, value_name = "FILE", group = "what")]
    pub(crate) icon: Option<PathBuf>,
    /// The colour behind its icon: #RRGGBB
    #[arg(long, value_name = "COLOR", group = "what", value_parser = color)]
    pub(crate) background_color: Option<String>,
    /// The colour of its buttons: #RRGGBB
    #[arg(long, value_name = "COLOR", group = "what", value_parser = color)]
    pub(crate) accent_color: Option<String>,
}

fn color(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
    let sound = digits.is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
    if sound { Ok(text.to_owned()) } else { Err("a colour is #RRGGBB, such as #4A154B".to_owned()) }
}

/// `carnet open`
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Only print the address
    #[arg(long)]
    pub(crate) print: bool,
}

/// `carnet check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Identifier (scl_…) or UID (service/name); all connectors of the team if left out
    pub(crate) connector: Option<String>,
    /// Pin what the server says now, and renew what it has registered for the connector
    #[arg(long, requires = "connector")]
    pub(crate) accept: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet remove`
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Even if projects are attached
    #[arg(short = 'a', long)]
    pub(crate) disconnect_all: bool,
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet revoke-tokens`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").required(true).multiple(true))]
pub(crate) struct RevokeArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// Yours
    #[arg(long, group = "whose", conflicts_with_all = ["all_tokens", "user"])]
    pub(crate) my_tokens: bool,
    /// Everybody's
    #[arg(long, group = "whose", conflicts_with = "user")]
    pub(crate) all_tokens: bool,
    /// This user's
    #[arg(long, value_name = "ID", group = "whose")]
    pub(crate) user: Option<String>,
    /// Those of this installation: everybody's, or only those of whom the other flags say
    #[arg(long, value_name = "ID", group = "whose")]
    pub(crate) installation_id: Option<String>,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `carnet import-tokens`
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Identifier (scl_…) or UID (service/name)
    pub(crate) connector: String,
    /// A JSON list of tokens: @FILE, or - for stdin
    #[arg(value_name = "@FILE", required_unless_present = "file")]
    pub(crate) tokens: Option<String>,
    /// The file with the list
    #[arg(long, value_name = "FILE", conflicts_with = "tokens")]
    pub(crate) file: Option<PathBuf>,
    /// Let them take the place of other accounts' grants that work
    #[arg(long)]
    pub(crate) replace: bool,
    /// Only say whose tokens would be imported
    #[arg(long)]
    pub(crate) dry_run: bool,
}
