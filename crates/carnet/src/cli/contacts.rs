//! `connect contacts`: the people whom a connector with phone lines may write to.

use super::args::ContactArgs;
use super::context::Context;
use super::failure::Failure;
use super::talk::plain;

/// Adds somebody. What is to be done next at their phone is told, if there is anything.
pub(crate) async fn add(cx: &mut Context<'_>, args: ContactArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let added = client.add_contact(&connector.id.to_string(), &args.phone_number).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&added);
    }
    cx.talk.success(&format!("Contact {} added.", args.phone_number));
    if let Some(instructions) = added.get("instructions").and_then(serde_json::Value::as_str) {
        cx.talk.answer(&plain(instructions))?;
    }
    Ok(())
}
