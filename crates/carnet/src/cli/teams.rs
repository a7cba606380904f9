//! `teams`: the team, its settings, making another, joining one.

use carnet_sdk::{Client, Team, TeamAndToken};
use serde_json::json;

use super::args::{Switch, TeamCreateArgs, TeamJoinArgs, TeamUpdateArgs};
use super::context::Context;
use super::data::secret;
use super::failure::Failure;
use super::table::{sheet, table};

/// The team that commands are about: the one that is named, or the access token's own.
pub(crate) async fn named(cx: &Context<'_>, client: &Client) -> Result<String, Failure> {
    if let Some(team) = &cx.settings.team {
        return Ok(team.value.clone());
    }
    let own = client.user().await?.default_team_id;
    own.map(|id| id.to_string()).ok_or_else(|| {
        Failure::usage("No team is named, and the server says none.")
            .next("carnet --team TEAM", "to name one")
    })
}

/// Lists those that the access token is for.
pub(crate) async fn list(cx: &mut Context<'_>) -> Result<(), Failure> {
    let teams = cx.settings.client_without_project()?.teams().await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "teams": teams }));
    }
    let row = |team: &Team| {
        vec![team.slug.clone(), team.id.to_string(), team.name.clone(), team.role.clone().unwrap_or_default()]
    };
    let rows: Vec<_> = teams.iter().map(row).collect();
    table(&["Team", "ID", "Name", "You are"], &rows).iter().try_for_each(|line| cx.talk.answer(line))
}

/// Shows the team.
pub(crate) async fn show(cx: &mut Context<'_>) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let team = client.team(&named(cx, &client).await?).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&team);
    }
    let strict = team.strict_connectors.unwrap_or_default();
    let rows = [
        ("Team", team.slug.clone()),
        ("ID", team.id.to_string()),
        ("Name", team.name.clone()),
        (
            "Connectors",
            if strict {
                "kept to owners and connector managers"
            } else {
                "members may create and change them"
            }
            .to_owned(),
        ),
    ];
    sheet(&rows).iter().try_for_each(|line| cx.talk.answer(line))
}

/// Makes another.
pub(crate) async fn create(cx: &mut Context<'_>, args: TeamCreateArgs) -> Result<(), Failure> {
    cx.may_print_token(args.print, "carnet teams create")?;
    let made = cx.settings.client_without_project()?.create_team(&args.name, args.slug.as_deref()).await?;
    answer(cx, &made, "made")
}

/// Changes the name or the settings.
pub(crate) async fn update(cx: &mut Context<'_>, args: TeamUpdateArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let name = named(cx, &client).await?;
    let strict = args.strict_connectors.map(|switch| switch == Switch::On);
    let team = client.update_team(&name, args.name.as_deref(), strict).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&team);
    }
    cx.talk.success(&format!("Team {} changed", team.slug));
    Ok(())
}

/// Joins one.
pub(crate) async fn join(cx: &mut Context<'_>, args: TeamJoinArgs) -> Result<(), Failure> {
    cx.may_print_token(args.print, "carnet teams join")?;
    let client = cx.settings.client_without_project()?;
    let invitation = match &args.invitation {
        Some(flag) => secret(flag, "carnet teams join", cx.place, cx.talk)?,
        None => cx.talk.ask_secret("The invitation, as it was shown").ok_or_else(|| {
            Failure::usage("Which invitation?")
                .next("carnet teams join @FILE", "with the file that holds it")
                .next("carnet teams join @-", "to give it on stdin")
        })?,
    };
    // Of a link the last part.
    let invitation = invitation.rsplit('/').next().unwrap_or_default();
    let to = client.invited_to(invitation).await?;
    cx.talk.insist(args.yes, &format!("Join {} ({}) as {}?", to.team.name, to.team.slug, to.role))?;
    let joined = client.accept_invitation(invitation).await?;
    answer(cx, &joined, "joined")
}

fn answer(cx: &mut Context<'_>, made: &TeamAndToken, done: &str) -> Result<(), Failure> {
    let token = made.access_token.token.expose();
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "team": made.team,
            "accessToken": { "token": token, "id": made.access_token.info.id, "expiresAt": made.access_token.info.expires_at },
        }));
    }
    cx.talk.success(&format!("Team {} {done}. The access token for it is shown this once:", made.team.slug));
    cx.talk.answer(token)?;
    cx.talk.say("  Use it: export CARNET_TOKEN=…");
    Ok(())
}
