//! `doctor`: looks at everything between this folder and a token, in the order in which it is needed, and names the
//! command that mends what it finds. Exits with 1 if a check fails. Nothing is changed,
//! unless `--fix` asks for it.

mod connectors;
mod fix;
mod standing;
mod vercel_cli;

use carnet_model::{Next, Time};
use carnet_sdk::{Client, ConnectorFilter, is_loopback};
use jiff::fmt::rfc2822::DateTimeParser;
use serde::Serialize;
use serde_json::json;

use super::args::DoctorArgs;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::folder::FOLDER;
use super::git;
use super::talk::plain;
use super::whoami::recognised;
use connectors::connectors;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Warning,
    Failed,
    /// What it needs is not there, or another check has failed that comes first.
    Skipped,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    detail: String,
    next: Vec<Next>,
}

/// Examines everything, or only does what was asked for.
pub(crate) async fn examine(cx: &mut Context<'_>, args: DoctorArgs) -> Result<Exit, Failure> {
    if let Some(folder) = args.vercel_cli {
        return vercel_cli::configure(cx, &folder).await;
    }
    let mended = if args.fix { fix::mend(cx).await? } else { Vec::new() };
    let mut checks = vec![address(cx)];
    let anonymous = cx.settings.url.as_ref().and_then(|url| Client::builder(url.value.clone()).build().ok());
    match &anonymous {
        Some(client) => checks.extend(server(cx, client).await),
        None => checks.push(Check::skipped("server", "there is no address")),
    }
    let reachable = checks.iter().all(|check| check.outcome != Outcome::Failed);
    let mut elsewhere = None;
    let client = match cx.settings.client_without_project() {
        Ok(client) if reachable => {
            let client = match cx.client_of_a_team().await {
                Ok((client, found)) => {
                    elsewhere = found;
                    client
                }
                Err(_) => client,
            };
            checks.push(credential(cx, &client).await);
            let accepted = checks.last().is_some_and(|check| check.outcome == Outcome::Ok);
            Some(client).filter(|_| accepted)
        }
        Err(failure) if reachable => {
            checks.push(Check::failed("credential", failure));
            None
        }
        _ => {
            checks.push(Check::skipped("credential", "the server comes first"));
            None
        }
    };
    let is_elsewhere = elsewhere.is_some();
    checks.push(match elsewhere {
        Some(failure) => Check::failed("project file", failure),
        None => project_file(cx),
    });
    checks.push(dev_file(cx));
    match client.filter(Client::is_member) {
        Some(_) if is_elsewhere => {
            checks.push(Check::skipped("team and project", "the project file comes first"));
        }
        Some(client) => checks.extend(belongings(cx, &client).await),
        None => {
            checks.push(Check::skipped("team and project", "this needs an access token that is accepted"));
        }
    }
    report(cx, &checks, &mended)
}

fn address(cx: &Context<'_>) -> Check {
    match &cx.settings.url {
        Some(url) if url.value.scheme() == "http" && !is_loopback(&url.value) => {
            let (outcome, what) = if cx.settings.allow_http {
                (Outcome::Warning, "others on the way can read credentials, as CARNET_ALLOW_HTTP allows")
            } else {
                (Outcome::Failed, "others on the way could read credentials, so none is sent")
            };
            let detail = format!("{} from {}: without https, {what}", url.value, url.source);
            let check = Check { outcome, ..Check::ok("address", detail) }
                .with("export CARNET_URL=https://…", "if the server has an https address");
            match outcome {
                Outcome::Failed => {
                    check.with("export CARNET_ALLOW_HTTP=1", "if nobody else is on the way there")
                }
                _ => check,
            }
        }
        Some(url) => Check::ok("address", format!("{} from {}", url.value, url.source)),
        None => match cx.settings.client_without_project() {
            Err(failure) => Check::failed("address", failure),
            Ok(_) => Check::skipped("address", "there is none"),
        },
    }
}

async fn server(cx: &Context<'_>, client: &Client) -> Vec<Check> {
    let alive = match client.livez().await {
        Ok(alive) => alive,
        Err(error) => return vec![Check::failed("server", cx.with_way_back(error.into()))],
    };
    let clock = alive.date.as_deref().and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
    let clock = clock.map(|stamp| clock_check(cx.now(), Time::from_millis(stamp.as_millisecond())));
    let mut certificate = None;
    let readiness = client.readyz().await;
    if let Ok((_, readiness)) = &readiness {
        certificate = readiness.checks.get("certificate").and_then(|how| how.as_str()).map(certificate_check);
    }
    let ready = match readiness {
        Ok((true, readiness)) => {
            let version = readiness.version.map(|version| format!(", version {version}")).unwrap_or_default();
            Check::ok("server", format!("answers and is ready{version}"))
        }
        Ok((false, readiness)) => {
            let checks: Vec<_> =
                readiness.checks.iter().map(|(name, how)| format!("{name}: {how}")).collect();
            let detail = format!("answers but is not ready ({})", checks.join(", "));
            Check { outcome: Outcome::Failed, ..Check::ok("server", detail) }
                .with("carnet doctor", "a little later; the server's log says more")
        }
        Err(error) => Check::failed("server", cx.with_way_back(error.into())),
    };
    std::iter::once(ready).chain(certificate).chain(clock).collect()
}

/// What the server says about the certificate with which it speaks TLS itself.
fn certificate_check(how: &str) -> Check {
    let name = "certificate";
    if how.starts_with("ok") && !how.contains(';') {
        return Check::ok(name, how);
    }
    let outcome = if how.starts_with("ok") { Outcome::Warning } else { Outcome::Failed };
    Check { outcome, ..Check::ok(name, how) }.with(
        "docs/tls.md#when-no-certificate-comes",
        "says what mends each cause; the server's log has what the authority said",
    )
}

fn clock_check(here: Time, there: Time) -> Check {
    let apart = here.until(there).max(there.until(here)).as_secs();
    let detail = format!("{apart} s apart from the server's");
    if apart <= CLOCK_TOLERANCE {
        return Check::ok("clock", detail);
    }
    Check {
        outcome: Outcome::Failed,
        ..Check::ok("clock", format!("{detail}: identities are refused beyond {CLOCK_TOLERANCE} s"))
    }
    .with("timedatectl set-ntp true", "on the machine whose clock is wrong")
}

async fn credential(cx: &Context<'_>, client: &Client) -> Check {
    let Some(login) = &cx.settings.credential else {
        return Check::skipped("credential", "there is none");
    };
    let Some(identity) = login.value.identity() else {
        return match client.user().await {
            Ok(user) => Check::ok("credential", format!("access token of {} from {}", user.id, login.source)),
            Err(error) => Check::failed("credential", cx.with_way_back(error.into())),
        };
    };
    match recognised(cx, client, identity, &login.source).await {
        // Which connectors it may ask is seen only by asking one.
        Ok(claims) => {
            let subject = claims.subject.unwrap_or_else(|| "of nobody".to_owned());
            Check::ok("credential", format!("workload identity {subject} from {}", login.source))
        }
        Err(failure) => Check::failed("credential", cx.with_way_back(failure)),
    }
}

fn project_file(cx: &Context<'_>) -> Check {
    let name = "project file";
    let Some(path) = &cx.settings.project_file else {
        return Check::skipped(name, "this folder has no .carnet/project.json");
    };
    if let Some(failure) = &cx.settings.project_problem {
        return Check::failed(name, failure.clone());
    }
    let detail = path.display().to_string();
    let folder = path.parent().and_then(std::path::Path::parent);
    let leaks = folder.is_some_and(|folder| git::repository(folder).is_some() && !git::ignores(folder, FOLDER))
            // `carnet dev` keeps everything in the folder out with a file inside of it.
            && path.parent().zip(path.file_name().and_then(std::ffi::OsStr::to_str)).is_none_or(|(inside, name)| !git::ignores(inside, name));
    if leaks {
        return Check {
            outcome: Outcome::Failed,
            ..Check::ok(name, format!("{detail}: git does not ignore {FOLDER}"))
        }
        .with(format!("echo {FOLDER} >> .gitignore"), "in the folder that is linked");
    }
    Check::ok(name, detail)
}

fn dev_file(cx: &Context<'_>) -> Check {
    let name = "development credentials";
    match (&cx.settings.dev_file, &cx.settings.dev_problem) {
        (None, _) => Check::skipped(name, "this folder has no .carnet/dev.json"),
        (Some(path), None) => Check::ok(name, format!("{}, readable by you alone", path.display())),
        (Some(_), Some(failure)) => Check::failed(name, failure.clone()),
    }
}

/// What only a person's access token can look at.
async fn belongings(cx: &Context<'_>, client: &Client) -> Vec<Check> {
    let mut checks = Vec::new();
    match &cx.settings.team {
        None => checks.push(Check::skipped("team", "none is named; the server takes your own")),
        Some(found) => checks.push(match client.team(&found.value).await {
            Ok(team) => Check::ok("team", format!("{} from {}", team.slug, found.source)),
            Err(error) => {
                let failure = Failure { next: Vec::new(), ..Failure::from(error) };
                Check::failed("team", failure.next("carnet whoami --team SLUG", "with a team that is yours"))
            }
        }),
    }
    checks.extend(connectors(client, cx.now()).await);
    checks.extend(standing::checks(client, cx.now()).await);
    if cx.settings.project.is_none() {
        let next = ("carnet link PROJECT", "to say which project this folder is");
        checks.push(
            Check { outcome: Outcome::Warning, ..Check::ok("project", "none is linked") }
                .with(next.0, next.1),
        );
        return checks;
    }
    let project = match cx.project(client, None).await {
        Ok(project) => project,
        Err(failure) => {
            checks.push(Check::failed("project", failure.next("carnet link PROJECT", "to link another")));
            return checks;
        }
    };
    checks.push(Check::ok("project", format!("{} ({})", project.name, project.id)));
    let filter = ConnectorFilter { project: Some(project.id), ..ConnectorFilter::default() };
    checks.push(match client.connectors(&filter).await {
        Ok(page) if page.connectors.is_empty() => {
            Check { outcome: Outcome::Warning, ..Check::ok("connectors", "none is attached to the project") }
                .with("carnet list --all-projects", "to see what there is to attach")
                .with("carnet create SERVICE", "to register one")
        }
        Ok(page) => {
            let uids: Vec<_> = page.connectors.iter().map(|connector| connector.uid.as_str()).collect();
            let more = if page.cursor.is_some() { ", and more, which carnet list goes through" } else { "" };
            Check::ok("connectors", format!("{}{more}", uids.join(", ")))
        }
        Err(error) => Check::failed("connectors", error.into()),
    });
    checks
}

fn report(cx: &mut Context<'_>, checks: &[Check], mended: &[String]) -> Result<Exit, Failure> {
    let failed: Vec<_> = checks.iter().filter(|check| check.outcome == Outcome::Failed).collect();
    let exit = if failed.is_empty() { Exit::Done } else { Exit::Failed };
    if cx.talk.wants_json() {
        let mut document = json!({ "ok": failed.is_empty(), "checks": checks, "mended": mended });
        if let (false, Some(object)) = (failed.is_empty(), document.as_object_mut()) {
            let next: Vec<_> = failed.iter().flat_map(|check| &check.next).collect();
            let message = format!("{} of {} checks failed.", failed.len(), checks.len());
            object.insert(
                "error".to_owned(),
                json!({ "code": "doctor_failed", "message": message, "next": next }),
            );
        }
        cx.talk.document(&document)?;
        return Ok(exit);
    }
    for what in mended {
        cx.talk.answer(&format!("mended: {}", plain(what)))?;
    }
    for (at, check) in checks.iter().enumerate() {
        let word = match check.outcome {
            Outcome::Ok => "ok",
            Outcome::Warning => "warn",
            Outcome::Failed => "FAIL",
            Outcome::Skipped => "–",
        };
        cx.talk.answer(&format!("{:>2}. {word:<4}  {}: {}", at + 1, check.name, plain(&check.detail)))?;
        for next in &check.next {
            cx.talk.answer(
                format!("          fix: {}   {}", plain(&next.command), plain(&next.when)).trim_end(),
            )?;
        }
    }
    Ok(exit)
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, detail: detail.into(), next: Vec::new() }
    }

    fn skipped(name: &'static str, why: &str) -> Self {
        Self { outcome: Outcome::Skipped, ..Self::ok(name, why) }
    }

    fn failed(name: &'static str, failure: Failure) -> Self {
        // The advice to run this very command would go round in a circle.
        let next = failure.next.into_iter().filter(|next| next.command != "carnet doctor").collect();
        Self { name, outcome: Outcome::Failed, detail: failure.message, next }
    }

    fn with(mut self, command: impl Into<String>, when: &str) -> Self {
        self.next.push(Next { command: command.into(), when: when.to_owned() });
        self
    }
}

/// What the server grants an identity's clock, in seconds.
const CLOCK_TOLERANCE: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_a_little_off_in_either_direction() {
        let at = Time::from_secs(1_000);
        for (other, outcome) in [
            (1_000, Outcome::Ok),
            (970, Outcome::Ok),
            (1_030, Outcome::Ok),
            (969, Outcome::Failed),
            (1_031, Outcome::Failed),
        ] {
            assert_eq!(clock_check(at, Time::from_secs(other)).outcome, outcome, "{other}");
        }
    }
}
