//! Teams, who is in them, and access tokens.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// What to do with teams.
#[derive(Debug, Subcommand)]
pub(crate) enum TeamsVerb {
    /// List those that the access token is for
    #[command(visible_alias = "ls")]
    List,
    /// Make one, as an owner of the deployment's first team; prints an access token for it
    Create(TeamCreateArgs),
    /// Show one, with its settings
    Show,
    /// Change the name or the settings
    Update(TeamUpdateArgs),
    /// Join the team of an invitation; prints an access token for it
    Join(TeamJoinArgs),
}

/// `carnet teams create`
#[derive(Debug, Args)]
pub(crate) struct TeamCreateArgs {
    /// What people will call it
    pub(crate) name: String,
    /// The short name in addresses and identities, which never changes; made from the name if left out
    #[arg(long)]
    pub(crate) slug: Option<String>,
    /// Print the access token even where a coding agent reads along
    #[arg(long)]
    pub(crate) print: bool,
}

/// `carnet teams update`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(crate) struct TeamUpdateArgs {
    /// What people will call it
    #[arg(long, group = "what")]
    pub(crate) name: Option<String>,
    /// Whether only owners and connector managers may create and change connectors
    #[arg(long, value_name = "ON-OR-OFF", group = "what", value_enum)]
    pub(crate) strict_connectors: Option<Switch>,
}

/// `carnet teams join`
#[derive(Debug, Args)]
pub(crate) struct TeamJoinArgs {
    /// The link of the invitation, or its last part: @FILE, or @- for stdin; asked for if left out
    #[arg(value_name = "@FILE")]
    pub(crate) invitation: Option<String>,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Print the access token even where a coding agent reads along
    #[arg(long)]
    pub(crate) print: bool,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// On
    On,
    /// Off
    Off,
}

/// What to do with the people of a team.
#[derive(Debug, Subcommand)]
pub(crate) enum MembersVerb {
    /// List them, and the invitations that can be used
    #[command(visible_alias = "ls")]
    List,
    /// Invite somebody; prints the link that has to be given to them
    Invite(InviteArgs),
    /// Withdraw an invitation
    Withdraw(WithdrawArgs),
    /// Give a member another role
    Update(MemberUpdateArgs),
    /// Make a link by which a member who is in this team alone chooses another passphrase
    #[command(visible_alias = "reset-password")]
    ResetPassphrase(MemberResetArgs),
    /// Remove a member, with everything the person has here
    #[command(visible_alias = "rm")]
    Remove(MemberRemoveArgs),
}

/// `carnet members invite`
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// As what
    #[arg(long, value_enum)]
    pub(crate) role: RoleArg,
    /// For the account with this e-mail address alone
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// How long it can be used: 30m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) expires: Option<Duration>,
}

/// `carnet members withdraw`
#[derive(Debug, Args)]
pub(crate) struct WithdrawArgs {
    /// Identifier (inv_…)
    pub(crate) invitation: String,
    /// Only say what would be withdrawn
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `carnet members update`
#[derive(Debug, Args)]
pub(crate) struct MemberUpdateArgs {
    /// Identifier (usr_…) or e-mail address
    pub(crate) member: String,
    /// The role
    #[arg(long, value_enum)]
    pub(crate) role: RoleArg,
}

/// `carnet members reset-passphrase`
#[derive(Debug, Args)]
pub(crate) struct MemberResetArgs {
    /// Identifier (usr_…) or e-mail address
    pub(crate) member: String,
}

/// `carnet members remove`
#[derive(Debug, Args)]
pub(crate) struct MemberRemoveArgs {
    /// Identifier (usr_…) or e-mail address
    pub(crate) member: String,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// As what somebody is in a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Everything
    Owner,
    /// Projects, links, tokens and, unless the team is strict, connectors
    Member,
    /// A member who manages connectors in a strict team too
    ConnectorManager,
    /// Looks, and changes nothing
    Viewer,
}

/// What to do with access tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokensVerb {
    /// List those that work, with when each was last used
    #[command(visible_alias = "ls")]
    List(TokensListArgs),
    /// Make one and print it
    Create(TokenCreateArgs),
    /// End one
    Revoke(TokenRevokeArgs),
}

/// `carnet tokens list`
#[derive(Debug, Default, Args)]
pub(crate) struct TokensListArgs {
    /// Everybody's in the team, as an owner
    #[arg(long)]
    pub(crate) everybody: bool,
}

/// `carnet tokens create`
#[derive(Debug, Args)]
pub(crate) struct TokenCreateArgs {
    /// What it is for
    pub(crate) name: String,
    /// What it carries: usual, read, full, or rights separated by commas. If left out, what your own carries, but for what
    /// is dangerous
    #[arg(long, value_delimiter = ',')]
    pub(crate) access: Vec<String>,
    /// Limit it to one project, by identifier or name
    #[arg(short, long)]
    pub(crate) project: Option<String>,
    /// How long it lives: 30m, 12h, 90d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) expires: Option<Duration>,
    /// Print it even where a coding agent reads along
    #[arg(long)]
    pub(crate) print: bool,
}

/// `carnet tokens revoke`
#[derive(Debug, Args)]
pub(crate) struct TokenRevokeArgs {
    /// Identifier (atk_…)
    pub(crate) token: String,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// A time with its unit: minutes, hours or days.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time such as 30m, 12h or 90d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()).ok_or_else(wrong)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        for (text, seconds) in [("30m", 1800), ("12h", 43_200), ("90d", 7_776_000), ("0d", 0)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "90", "1.5h", "-1d", "90 d", "1w", "99999999999d", "ä"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
