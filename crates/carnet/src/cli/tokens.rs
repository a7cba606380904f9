//! `tokens`: access tokens of Carnet's own API. Tokens of connectors are had by `token`.

use carnet_sdk::{AccessTokenInfo, AccessTokenRequest, AskedAccess};
use serde_json::{Value, json};

use super::args::{TokenCreateArgs, TokenRevokeArgs, TokensListArgs};
use super::context::Context;
use super::failure::{Exit, Failure};
use super::hit::Would;
use super::table::{moment, table};

/// Lists those that work.
pub(crate) async fn list(cx: &mut Context<'_>, args: TokensListArgs) -> Result<(), Failure> {
    let tokens = cx.settings.client_without_project()?.access_tokens(args.everybody).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "tokens": tokens }));
    }
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let when = |time: Option<_>| time.map(|time| moment(time, now, relative)).unwrap_or_default();
    let row = |token: &AccessTokenInfo| {
        let mut row = vec![
            token.id.to_string(),
            token.name.clone(),
            format!("…{}", token.last4),
            access(token),
            when(token.expires_at),
            token.last_used_at.map_or_else(|| "never".to_owned(), |at| moment(at, now, relative)),
        ];
        if args.everybody {
            row.push(token.user_id.map(|user| user.to_string()).unwrap_or_default());
        }
        row
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    let mut headings = vec!["ID", "Name", "Token", "Access", "Ends", "Last used"];
    if args.everybody {
        headings.push("Of");
    }
    table(&headings, &rows).iter().try_for_each(|line| cx.talk.answer(line))
}

/// Makes one and prints it.
pub(crate) async fn create(cx: &mut Context<'_>, args: TokenCreateArgs) -> Result<(), Failure> {
    cx.may_print_token(args.print, "carnet tokens create NAME")?;
    let ask = AccessTokenRequest {
        name: args.name,
        expires_in_ms: args.expires.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX)),
        access: asked(args.access),
        project_id: args.project,
    };
    let made = cx.settings.client_without_project()?.create_access_token(&ask).await?;
    let (token, info) = (made.token.expose(), &made.info);
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "id": info.id,
            "token": token,
            "name": info.name,
            "access": info.access,
            "projectId": info.project_id,
            "expiresAt": info.expires_at,
        }));
    }
    let ends =
        info.expires_at.map(|at| moment(at, cx.now(), cx.talk.is_read_by_a_person())).unwrap_or_default();
    cx.talk.success(&format!(
        "Access token {} made: {}; ends {ends}. Shown this once:",
        info.id,
        access(info)
    ));
    cx.talk.answer(token)
}

/// Ends one.
pub(crate) async fn revoke(cx: &mut Context<'_>, args: TokenRevokeArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    if args.dry_run {
        let is_it = |token: &&AccessTokenInfo| token.id.to_string() == args.token;
        let mut known = client.access_tokens(false).await?;
        if !known.iter().any(|token| is_it(&token)) {
            // An owner may end anybody's.
            known = client.access_tokens(true).await?;
        }
        let Some(token) = known.iter().find(is_it) else {
            let message = format!("There is no access token {} that works.", args.token);
            return Err(Failure::new("not_found", message)
                .exit(Exit::NotFound)
                .next("carnet tokens list", "to see those there are"));
        };
        let used = match token.last_used_at {
            Some(at) => format!("last used {}", moment(at, cx.now(), cx.talk.is_read_by_a_person())),
            None => "never used".to_owned(),
        };
        let would = Would::new(format!("end access token {} ({}), {used}", token.id, token.name));
        return would.fact("token", json!(token)).tell(cx);
    }
    cx.talk.insist(args.yes, &format!("End access token {}? What uses it stops working.", args.token))?;
    client.delete_access_token(&args.token).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "id": args.token, "revoked": true }));
    }
    cx.talk.success(&format!("Access token {} ended", args.token));
    Ok(())
}

/// `full`, `usual` and `read` are words, everything else is a list of rights.
fn asked(mut names: Vec<String>) -> Option<AskedAccess> {
    match names.as_slice() {
        [] => None,
        [word] if ["full", "usual", "read"].contains(&word.as_str()) => names.pop().map(AskedAccess::Word),
        _ => Some(AskedAccess::Rights(names)),
    }
}

fn access(token: &AccessTokenInfo) -> String {
    let rights = match &token.access {
        Value::String(word) => word.clone(),
        Value::Array(rights) => rights.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        _ => String::new(),
    };
    match token.project_id {
        Some(project) => format!("{rights} of {project}"),
        None => rights,
    }
}
