//! `open`: a connector's page in the browser; its address where no browser can be opened.

use serde_json::json;

use super::args::OpenArgs;
use super::browser;
use super::context::Context;
use super::failure::Failure;

/// Opens it for a person at a terminal, and prints the address everywhere else.
pub(crate) async fn open(cx: &mut Context<'_>, args: OpenArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let connector = cx.connector(&client, &args.connector).await?;
    let origin = client.url().as_str().trim_end_matches('/');
    let id = connector.id.to_string();
    // A server without a page for each connector still has the one that everything begins at.
    let path = if client.has_page(&["connectors", &id]).await? {
        format!("/connectors/{id}")
    } else {
        "/".to_owned()
    };
    let page = browser::page(&format!("{origin}{path}"))?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "url": page.as_str() }));
    }
    let here = cx.talk.is_read_by_a_person() && cx.place.agent.is_none() && !args.print;
    if here && (cx.place.open)(&page).is_ok() {
        cx.talk.say(&format!("Opened {page}"));
        return Ok(());
    }
    cx.talk.answer(page.as_str())
}
