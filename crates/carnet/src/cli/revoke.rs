//! `revoke-tokens`: takes back what a connector has given out.

use carnet_sdk::{AskedSubject, Client, Connector, MadeTokens, RevokeRequest};
use serde_json::json;

use super::args::RevokeArgs;
use super::context::Context;
use super::failure::Failure;
use super::hit::{Would, grants_of, member};
use super::installations::{absent, is_called};

/// Revokes one's own tokens, or everybody's.
pub(crate) async fn revoke(cx: &mut Context<'_>, args: RevokeArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let uid = &connector.uid;
    let (user, mine) = (args.user.as_ref(), args.my_tokens);
    let everybody = user.is_none() && !mine;
    let mut whose = match user {
        Some(user) => format!("the tokens of {user}"),
        None if mine => "your tokens".to_owned(),
        None => "all tokens".to_owned(),
    };
    if let Some(installation) = &args.installation_id {
        whose = format!("{whose} at {installation}");
    }
    if args.dry_run {
        let id = connector.id.to_string();
        let user = match user {
            Some(user) => Some(user.clone()),
            None if everybody => None,
            None => Some(client.user().await?.id.to_string()),
        };
        let at = match &args.installation_id {
            Some(name) => Some(there(&client, &connector, name, user.is_some()).await?),
            None => None,
        };
        let is_there = |installation: Option<&str>| match &at {
            None => true,
            Some(at) => at.is_some() && at.as_deref() == installation,
        };
        let grants = grants_of(&client, &id, |grant| {
            let of = grant.subject.get("id").and_then(serde_json::Value::as_str);
            user.as_deref().is_none_or(|user| of == Some(user)) && is_there(member(grant, "installationId"))
        });
        // What hangs on no grant goes with everybody's, and with nobody's in particular.
        let made = if user.is_none() { client.made_tokens(&id).await? } else { Vec::new() };
        let fits = |made: &&MadeTokens| is_there(made.installation_id.as_deref());
        let made: u64 = made.iter().filter(fits).map(|made| made.tokens).sum();
        let besides = if made > 0 { format!(", and {made} that hang on no grant") } else { String::new() };
        let would = Would::new(format!("revoke {whose} of {uid}{besides}"))
            .fact("madeTokens", made)
            .fact("id", id.as_str())
            .fact("uid", uid.as_str())
            .links(&client.links(&id).await?)
            .grants(grants.await?);
        return would.tell(cx);
    }
    let question = format!("Revoke {whose} of {uid}? What uses them stops working.");
    if args.all_tokens {
        cx.talk.insist_by_name(args.yes, &question, uid)?;
    } else {
        cx.talk.insist(args.yes, &question)?;
    }
    let one_user = user.is_some();
    let subject = match args.user {
        Some(user) => Some(AskedSubject::user(user)),
        None if everybody => None,
        None => Some(AskedSubject::user(client.user().await?.id.to_string())),
    };
    let at_one = args.installation_id.is_some() && !args.all_tokens;
    let which = RevokeRequest { subject, installation_id: args.installation_id };
    let done = client.revoke_token(&connector.id.to_string(), &which).await?;
    let supported = connector.supports_revocation != Some(false);
    if !supported {
        cx.talk.warn(&format!(
            "the provider of {uid} revokes nothing: a token already given out works until it ends"
        ));
    }
    if done.provider_failed > 0 {
        cx.talk.warn(&format!(
            "the provider did not confirm {} of them; they may work until they end",
            done.provider_failed
        ));
    }
    if cx.talk.wants_json() {
        let scope = match (one_user, everybody, at_one) {
            (true, ..) => "user",
            (_, true, true) => "installation",
            (_, true, false) => "all",
            (_, false, _) => "mine",
        };
        return cx.talk.document(&json!({
            "id": connector.id,
            "uid": uid,
            "scope": scope,
            "supportsRevocation": supported,
            "tokensFound": done.tokens_found,
            "deleted": done.deleted,
            "providerRevoked": done.provider_revoked,
            "providerSkipped": done.provider_skipped,
            "providerFailed": done.provider_failed,
        }));
    }
    cx.talk.success(&format!("{} of {} tokens of {uid} deleted", done.deleted, done.tokens_found));
    Ok(())
}

/// The identifier of the installation that is called so. `None` where there is none: it holds nothing of anybody in
/// particular; with everybody's it is a slip of the pen, which the server refuses.
async fn there(
    client: &Client,
    connector: &Connector,
    name: &str,
    of_one: bool,
) -> Result<Option<String>, Failure> {
    let all = client.installations(&connector.id.to_string()).await?;
    match all.iter().find(|one| one.ended_at.is_none() && is_called(one, name)) {
        None if !of_one => Err(absent(&connector.uid, name)),
        found => Ok(found.map(|found| found.id.to_string())),
    }
}
