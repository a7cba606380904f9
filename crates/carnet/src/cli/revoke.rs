//! `revoke-tokens`: takes back what a connector has given out.

use carnet_sdk::{AskedSubject, RevokeRequest};
use serde_json::json;

use super::args::RevokeArgs;
use super::context::Context;
use super::failure::Failure;

/// Revokes one's own tokens, or everybody's.
pub(crate) async fn revoke(cx: &mut Context<'_>, args: RevokeArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = client.connector_metadata(&args.connector).await?;
    let uid = &connector.uid;
    let whose = if args.all_tokens { "all tokens" } else { "your tokens" };
    cx.talk.insist(args.yes, &format!("Revoke {whose} of {uid}? What uses them stops working."))?;
    let subject = if args.all_tokens {
        None
    } else {
        Some(AskedSubject::User { id: Some(client.user().await?.id.to_string()), issuer: None })
    };
    let which = RevokeRequest { subject, installation_id: None };
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
        let scope = if args.all_tokens { "all" } else { "mine" };
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
