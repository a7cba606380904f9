//! `members`: who is in the team, and as what.

use carnet_model::caller::Role;
use carnet_sdk::GrantInfo;
use serde_json::json;

use super::args::{InviteArgs, MemberRemoveArgs, MemberResetArgs, MemberUpdateArgs, RoleArg, WithdrawArgs};
use super::context::Context;
use super::failure::{Exit, Failure};
use super::grants::every_connector;
use super::hit::{Would, grants_of};
use super::table::{moment, table};
use super::teams::named;

impl RoleArg {
    fn role(self) -> Role {
        match self {
            Self::Owner => Role::Owner,
            Self::Member => Role::Member,
            Self::ConnectorManager => Role::ConnectorManager,
            Self::Viewer => Role::Viewer,
        }
    }
}

/// Lists them, and the invitations that can be used.
pub(crate) async fn list(cx: &mut Context<'_>) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let team = named(cx, &client).await?;
    let members = client.members(&team).await?;
    let invitations = client.invitations(&team).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "members": members, "invitations": invitations }));
    }
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let rows: Vec<_> = members
        .iter()
        .map(|member| {
            let state = if member.disabled { "disabled" } else { "" };
            vec![
                member.email.clone(),
                member.user_id.to_string(),
                member.role.clone(),
                moment(member.joined_at, now, relative),
                state.to_owned(),
            ]
        })
        .collect();
    let mut lines = table(&["Member", "ID", "Role", "Joined", "Account"], &rows);
    if !invitations.is_empty() {
        let rows: Vec<_> = invitations
            .iter()
            .map(|open| {
                let who = open.email.clone().unwrap_or_else(|| "whoever has it".to_owned());
                vec![open.id.to_string(), open.role.clone(), who, moment(open.expires_at, now, relative)]
            })
            .collect();
        lines.push(String::new());
        lines.extend(table(&["Invitation", "Role", "For", "Ends"], &rows));
    }
    lines.iter().try_for_each(|line| cx.talk.answer(line))
}

/// Invites somebody.
pub(crate) async fn invite(cx: &mut Context<'_>, args: InviteArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let team = named(cx, &client).await?;
    let life = args.expires.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
    let made = client.invite(&team, args.role.role(), args.email.as_deref(), life).await?;
    let invitation = made.invitation.expose();
    let url = made.url.as_ref().map(|url| url.expose().as_str());
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "id": made.info.id,
            "invitation": invitation,
            "url": url,
            "role": made.info.role,
            "email": made.info.email,
            "expiresAt": made.info.expires_at,
        }));
    }
    let ends = moment(made.info.expires_at, cx.now(), cx.talk.is_read_by_a_person());
    cx.talk
        .success(&format!("Invited, as {}; it works once and ends {ends}. Shown this once:", made.info.role));
    cx.talk.answer(url.unwrap_or(invitation))?;
    let server = client.url().origin().ascii_serialization();
    cx.talk.say("  They open it in a browser, and make an account there or sign in.");
    cx.talk.say(&format!("  With an account, also: carnet login {server}; carnet teams join"));
    Ok(())
}

/// Withdraws an invitation.
pub(crate) async fn withdraw(cx: &mut Context<'_>, args: WithdrawArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let team = named(cx, &client).await?;
    if args.dry_run {
        let open = client.invitations(&team).await?;
        let Some(found) = open.iter().find(|one| one.id.to_string() == args.invitation) else {
            let message = format!("There is no invitation {} that can be used.", args.invitation);
            return Err(Failure::new("not_found", message)
                .exit(Exit::NotFound)
                .next("carnet members list", "to see those that can be used"));
        };
        let who = found.email.clone().unwrap_or_else(|| "whoever has it".to_owned());
        let would = Would::new(format!("withdraw invitation {} for {who}, as {}", found.id, found.role));
        return would.fact("invitation", json!(found)).tell(cx);
    }
    client.withdraw_invitation(&team, &args.invitation).await.map_err(see_members)?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "id": args.invitation, "withdrawn": true }));
    }
    cx.talk.success(&format!("Invitation {} withdrawn", args.invitation));
    Ok(())
}

/// Gives a member another role.
pub(crate) async fn update(cx: &mut Context<'_>, args: MemberUpdateArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let team = named(cx, &client).await?;
    let member = client.update_member(&team, &args.member, args.role.role()).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&member);
    }
    cx.talk.success(&format!("{} is {} of {team} now", member.email, member.role));
    Ok(())
}

/// Makes a link by which a member chooses another passphrase.
pub(crate) async fn reset_passphrase(cx: &mut Context<'_>, args: MemberResetArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let team = named(cx, &client).await?;
    let made = client.reset_passphrase(&team, &args.member).await?;
    let url = made.url.expose();
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "userId": made.user_id,
            "email": made.email,
            "url": url,
            "expiresAt": made.expires_at,
        }));
    }
    let ends = moment(made.expires_at, cx.now(), cx.talk.is_read_by_a_person());
    cx.talk.success(&format!("A link for {}; it works once and ends {ends}. Shown this once:", made.email));
    cx.talk.answer(url)?;
    cx.talk.say("  Hand it to that person and nobody else: whoever opens it chooses the passphrase.");
    Ok(())
}

/// Removes a member.
pub(crate) async fn remove(cx: &mut Context<'_>, args: MemberRemoveArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let team = named(cx, &client).await?;
    if args.dry_run {
        let all = client.members(&team).await?;
        let found = all.iter().find(|one| one.user_id.to_string() == args.member || one.email == args.member);
        let Some(member) = found else {
            let message = format!("{} is not in the team.", args.member);
            return Err(Failure::new("not_found", message)
                .exit(Exit::NotFound)
                .next("carnet members list", "to see who is"));
        };
        let id = member.user_id.to_string();
        let tokens = client.access_tokens(true).await?;
        let ended: Vec<_> = tokens
            .iter()
            .filter(|token| token.user_id == Some(member.user_id))
            .map(|token| token.id.to_string())
            .collect();
        let what = format!("remove {} from {team}, and end {} access tokens", member.email, ended.len());
        let mut would = Would::new(what).fact("member", id.as_str()).fact("accessTokens", ended);
        for connector in every_connector(&client).await? {
            let theirs =
                |grant: &GrantInfo| grant.subject.get("id").and_then(serde_json::Value::as_str) == Some(&id);
            would = would.grants(grants_of(&client, &connector.id.to_string(), theirs).await?);
        }
        return would.tell(cx);
    }
    let question = format!(
        "Remove {} from {team}? Their access tokens end, and what they consented to is revoked.",
        args.member
    );
    cx.talk.insist(args.yes, &question)?;
    client.remove_member(&team, &args.member).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "member": args.member, "removed": true }));
    }
    cx.talk.success(&format!("{} removed", args.member));
    Ok(())
}

/// What is not there is seen in the list.
fn see_members(error: carnet_sdk::Error) -> Failure {
    let mut failure = Failure::from(error);
    if failure.code == "not_found" {
        failure.next.clear();
        failure = failure.next("carnet members list", "to see those that can be used");
    }
    failure
}
