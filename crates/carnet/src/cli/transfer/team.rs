//! The team itself in an export and an import: its settings, its budget, and who is in it.
//!
//! People are never made, nor given a role: an account is its person's own. Who is not there is told by name, with the
//! command that invites them, and so is who has another role.

use carnet_sdk::{Client, UsageFilter};
use serde::Deserialize;
use serde_json::{Value, json};

use super::apply::{Done, Of};
use super::export::Names;
use crate::cli::access::environment;
use crate::cli::context::Context;
use crate::cli::create::quoted;
use crate::cli::failure::Failure;
use crate::cli::teams::named;

/// A team as it was elsewhere. What it was called there is not taken over.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PlannedTeam {
    pub(crate) strict_connectors: bool,
    pub(crate) members: Vec<PlannedMember>,
    pub(crate) budget: Option<PlannedBudget>,
}

/// Who was in it.
#[derive(Deserialize)]
pub(crate) struct PlannedMember {
    email: String,
    role: String,
}

/// A budget, whose webhook names project and environment.
#[derive(Deserialize)]
pub(crate) struct PlannedBudget {
    requests: u64,
    webhook: Option<PlannedWebhook>,
}

#[derive(Deserialize)]
struct PlannedWebhook {
    url: String,
    project: String,
    environment: String,
}

/// As it stands.
pub(super) async fn written(cx: &Context<'_>, client: &Client, names: &Names) -> Result<Value, Failure> {
    let team = named(cx, client).await?;
    let described = client.team(&team).await?;
    let mut members = client.members(&team).await?;
    members.sort_by(|one, other| one.email.cmp(&other.email));
    let members: Vec<Value> =
        members.iter().map(|one| json!({"email": one.email, "name": one.name, "role": one.role})).collect();
    let budget = client.usage(&UsageFilter::default()).await?.budget.map(|budget| {
        let webhook = budget.webhook.filter(|webhook| !webhook.is_null()).map(|webhook| {
            let text = |name: &str| webhook.get(name).and_then(Value::as_str).unwrap_or_default();
            let project = text("projectId");
            json!({
                "url": text("url"),
                "project": names.project(project).unwrap_or_else(|| project.to_owned()),
                "environment": names.place(text("environment")),
            })
        });
        json!({"requests": budget.requests, "webhook": webhook})
    });
    Ok(json!({
        "name": described.name, "slug": described.slug,
        "strictConnectors": described.strict_connectors.unwrap_or_default(),
        "members": members, "budget": budget,
    }))
}

impl PlannedTeam {
    /// In a line, for people.
    pub(super) fn in_words(&self) -> String {
        let strict = if self.strict_connectors { ", connectors kept to their managers" } else { "" };
        let budget =
            self.budget.as_ref().map(|one| format!(", a budget of {}", one.requests)).unwrap_or_default();
        format!("the team's settings{strict}{budget}; of its {} members nobody is made", self.members.len())
    }
}

/// Makes the settings so, and says in `notes` what people have to do about people.
pub(super) async fn make(
    cx: &Context<'_>,
    client: &Client,
    planned: &PlannedTeam,
    notes: &mut Vec<String>,
) -> Vec<Done> {
    let mut done = Vec::new();
    let mut tell = |kind, outcome: Result<Option<&'static str>, Failure>| {
        let name = "of the team".to_owned();
        done.extend(outcome.transpose().map(|outcome| Done { kind, name, of: Of::Team, outcome }));
    };
    let team = match named(cx, client).await {
        Ok(team) => team,
        Err(failure) => {
            tell("settings", Err(failure));
            return done;
        }
    };
    tell("settings", strictness(client, &team, planned).await);
    tell("budget", budget(client, planned).await);
    tell("members", people(client, &team, planned, notes).await.map(|()| None));
    done
}

/// A team that was strict makes this one strict; the other way round would take away what somebody here has decided.
async fn strictness(
    client: &Client,
    team: &str,
    planned: &PlannedTeam,
) -> Result<Option<&'static str>, Failure> {
    if !planned.strict_connectors {
        return Ok(None);
    }
    if client.team(team).await?.strict_connectors == Some(true) {
        return Ok(Some("was there"));
    }
    client.update_team(team, None, Some(true)).await?;
    Ok(Some("made"))
}

async fn budget(client: &Client, planned: &PlannedTeam) -> Result<Option<&'static str>, Failure> {
    let Some(budget) = &planned.budget else { return Ok(None) };
    if client.usage(&UsageFilter::default()).await?.budget.is_some() {
        return Ok(Some("was there"));
    }
    let webhook = match &budget.webhook {
        None => None,
        Some(webhook) => {
            let project = client.project(&webhook.project).await?;
            let place = environment(client, &project, &webhook.environment).await?;
            Some(json!({"url": webhook.url, "projectId": project.id, "environment": place}))
        }
    };
    client.set_budget(budget.requests, webhook.as_ref()).await?;
    Ok(Some("made"))
}

/// Who is to be invited, and who has another role: told, and left to people.
async fn people(
    client: &Client,
    team: &str,
    planned: &PlannedTeam,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let present = client.members(team).await?;
    let invited = if planned.members.iter().any(|one| present.iter().all(|known| !one.is(&known.email))) {
        client.invitations(team).await?
    } else {
        Vec::new()
    };
    for one in &planned.members {
        let PlannedMember { email, role } = one;
        // As one word each for a shell: they are another's.
        let (as_email, as_role) = (quoted(email), quoted(role));
        let known = present.iter().find(|known| one.is(&known.email));
        notes.extend(match known {
            Some(known) if known.role == *role => None,
            Some(known) => Some(format!(
                "{email} was {role} there and is {} here: carnet members update {as_email} --role {as_role}",
                known.role
            )),
            None if invited.iter().any(|open| open.email.as_deref().is_some_and(|email| one.is(email))) => {
                Some(format!("{email} was {role} there, and is invited already"))
            }
            None => Some(format!(
                "{email} was {role} there and is not in this team: \
                 carnet members invite --role {as_role} --email {as_email}"
            )),
        });
    }
    Ok(())
}

impl PlannedMember {
    /// One address is one account, in whatever case it is written.
    fn is(&self, email: &str) -> bool {
        self.email.eq_ignore_ascii_case(email)
    }
}
