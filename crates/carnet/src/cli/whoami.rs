//! `whoami`: as whom, of which team and at which server commands act, and why.

use carnet_model::{Code, SecretString};
use carnet_sdk::Client;
use serde_json::json;

use super::context::{Context, LINK, OTHER_TEAM};
use super::failure::{Exit, Failure};
use super::identity::Claims;
use super::table::{moment, sheet};

/// Says it. A person is looked up at the server; a workload identity is shown as it stands, if the server takes it.
pub(crate) async fn whoami(cx: &mut Context<'_>) -> Result<(), Failure> {
    let (client, elsewhere) = cx.client_of_a_team().await?;
    let origin = client.url().origin().ascii_serialization();
    let source = cx.settings.credential.as_ref().map(|found| found.source.clone()).unwrap_or_default();
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    if let Some(token) = cx.settings.credential.as_ref().and_then(|found| found.value.identity()) {
        let claims = recognised(cx, &client, token, &source).await?;
        if cx.talk.wants_json() {
            return cx.talk.document(&json!({ "url": origin, "workload": claims, "source": source }));
        }
        let rows = [
            ("Workload", claims.subject.clone().unwrap_or_else(|| "unknown".to_owned())),
            ("Issuer", claims.issuer.clone().unwrap_or_else(|| "unknown".to_owned())),
            (
                "Ends",
                claims.expires_at().map_or_else(|| "unknown".to_owned(), |at| moment(at, now, relative)),
            ),
            ("Server", origin),
            ("From", source),
        ];
        return sheet(&rows).iter().try_for_each(|line| cx.talk.answer(line));
    }
    let user = client.user().await?;
    let named = cx.settings.team.as_ref().filter(|_| elsewhere.is_none()).map(|found| found.value.clone());
    let team = match named.or_else(|| user.default_team_id.map(|id| id.to_string())) {
        Some(team) => Some(client.team(&team).await?),
        None => None,
    };
    if let Some(failure) = elsewhere {
        cx.talk.warn(&format!("{} Mend it: {LINK}", failure.message));
    }
    let project = cx.settings.project.as_ref();
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({
            "user": user,
            "team": team,
            "project": project.map(|found| &found.value),
            "url": origin,
            "source": source,
        }));
    }
    let name = user.email.clone().or_else(|| user.username.clone()).unwrap_or_default();
    let none = || "none".to_owned();
    let rows = [
        ("User", format!("{name} ({})", user.id)),
        ("Team", team.map_or_else(none, |team| format!("{} ({})", team.slug, team.id))),
        ("Project", project.map_or_else(none, |found| format!("{} (from {})", found.value, found.source))),
        ("Server", origin),
        ("From", source),
    ];
    sheet(&rows).iter().try_for_each(|line| cx.talk.answer(line))
}

/// What a workload identity says of itself, once the server has taken it: what anybody can write is shown to nobody. The
/// server tells a workload nothing about people, and says so only to one that it has recognised.
pub(crate) async fn recognised(
    cx: &Context<'_>,
    client: &Client,
    token: &SecretString,
    source: &str,
) -> Result<Claims, Failure> {
    // What mends it follows from where it came from, as for one that the server does not take.
    let useless = |why: String| Failure::new("unauthorized", why).exit(Exit::SignIn);
    let claims = Claims::peek(token.expose())
        .ok_or_else(|| useless(format!("What {source} holds is no workload identity.")))?;
    let now = cx.now();
    if let Some(end) = claims.expires_at().filter(|end| *end <= now) {
        let end = moment(end, now, cx.talk.is_read_by_a_person());
        return Err(useless(format!("The workload identity from {source} ended {end}.")));
    }
    match client.user().await {
        Err(error) if error.is(Code::Forbidden) && error.to_string() != OTHER_TEAM => Ok(claims),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(claims),
    }
}
