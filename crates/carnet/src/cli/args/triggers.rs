//! What a connector does with its provider's events. Names and flags are those of `vercel connect` where it has them.

use clap::{Args, Subcommand};

/// What a connector that is made or attached does with its provider's events.
#[derive(Debug, Default, Args)]
pub(crate) struct TriggerArgs {
    /// Receive the provider's events and forward them
    #[arg(long)]
    pub(crate) triggers: bool,
    /// Where at the environment's address; / and the service's name if left out
    #[arg(long, value_name = "PATH", requires = "triggers")]
    pub(crate) trigger_path: Option<String>,
    /// To the previews of this branch, and not to production
    #[arg(long, value_name = "BRANCH", requires = "triggers", conflicts_with = "trigger_environment")]
    pub(crate) trigger_branch: Option<String>,
    /// To this environment of your own, and not to production
    #[arg(long, value_name = "ENVIRONMENT", requires = "triggers")]
    pub(crate) trigger_environment: Option<String>,
}

impl TriggerArgs {
    /// Whether they say where events go.
    pub(crate) fn name_a_place(&self) -> bool {
        self.trigger_path.is_some() || self.trigger_branch.is_some() || self.trigger_environment.is_some()
    }
}

/// Which events a new connector receives, and whose project gets them.
#[derive(Debug, Default, Args)]
pub(crate) struct NewTriggerArgs {
    /// What and where.
    #[command(flatten)]
    pub(crate) place: TriggerArgs,
    /// Only events of this name; all if left out
    #[arg(long = "trigger-event", value_name = "EVENT", requires = "triggers")]
    pub(crate) events: Vec<String>,
    /// To this project, and not to the linked one
    #[arg(long, value_name = "PROJECT", requires = "triggers")]
    pub(crate) trigger_project: Option<String>,
    /// With what the provider signs its events, from @FILE or @- for stdin
    #[arg(long, value_name = "@FILE", requires = "triggers")]
    pub(crate) signing_secret: Option<String>,
}

/// Changes of what a connector does with its provider's events.
#[derive(Debug, Default, Args)]
pub(crate) struct TriggerChangeArgs {
    /// Receive the provider's events from now on
    #[arg(long, group = "what", conflicts_with = "no_triggers")]
    pub(crate) triggers: bool,
    /// Receive none from now on
    #[arg(long, group = "what")]
    pub(crate) no_triggers: bool,
    /// Forward only events of this name; "*" for all
    #[arg(long = "trigger-event", value_name = "EVENT", group = "what")]
    pub(crate) trigger_events: Vec<String>,
    /// With what the provider signs from now on, from @FILE or @- for stdin; the one before is good for a day more
    #[arg(long, value_name = "@FILE", group = "what")]
    pub(crate) signing_secret: Option<String>,
}

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub(crate) enum DeliveriesVerb {
    /// List them, the newest first
    #[command(visible_alias = "ls")]
    List(DeliveriesListArgs),
    /// Show one, attempt by attempt
    Show(DeliveryArgs),
    /// Forward one that has ended once more
    Replay(DeliveryArgs),
}

/// `carnet deliveries list`
#[derive(Debug, Args)]
pub(crate) struct DeliveriesListArgs {
    /// Identifier (scl_…) or UID (service/name) of the connector
    pub(crate) connector: String,
    /// Only in this state
    #[arg(long, value_parser = ["waiting", "taken", "dead"])]
    pub(crate) state: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) limit: Option<u32>,
    /// Go on where the last list ended
    #[arg(long, value_name = "CURSOR")]
    pub(crate) next: Option<String>,
}

/// A delivery by name.
#[derive(Debug, Args)]
pub(crate) struct DeliveryArgs {
    /// Identifier (scl_…) or UID (service/name) of the connector
    pub(crate) connector: String,
    /// Identifier of the delivery (dlv_…)
    pub(crate) delivery: String,
}

/// `carnet projects url`
#[derive(Debug, Args)]
pub(crate) struct ProjectUrlArgs {
    /// Identifier or name; the linked one if left out
    pub(crate) project: Option<String>,
    /// An environment and its https address, such as production=https://app.example.com; for previews with {branch} in it
    #[arg(long, value_name = "ENVIRONMENT=URL", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Forget the address of this environment
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(crate) remove: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (environment, url) =
        text.split_once('=').ok_or("is ENVIRONMENT=URL, such as production=https://app.example.com")?;
    Ok((environment.trim().to_owned(), url.trim().to_owned()))
}
