//! A team with a thousand connectors and a hundred thousand grants: every list, search and page is answered in time.
//!
//! All of it is made through the API, as a team would: connectors created, linked to projects, grants imported. Half of
//! the grants are at one connector. Then one caller asks for each list again and again, at random places; what is held
//! against the limit is the time that 99 of 100 requests do not exceed, seen by the caller.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use carnet_testpg::Database;
use serde_json::{Value, json};

use crate::client::Client;
use crate::process::{Server, dev_file, free_port};
use crate::table::{Beside, Table, Unit, say};

/// How large the team is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) connectors: usize,
    pub(crate) grants: usize,
    pub(crate) asked: usize,
}

/// What is promised of.
pub(crate) const WHOLE: Size = Size { connectors: 1_000, grants: 100_000, asked: 300 };
/// To see that everything runs.
pub(crate) const QUICK: Size = Size { connectors: 240, grants: 2_000, asked: 20 };

pub(crate) fn measure(carnet: &Path, size: Size, table: &mut Table) -> Result<()> {
    on(carnet, size, "SQLite", None, table)?;
    // Its server is run by a runtime that must outlive it.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match runtime.block_on(Database::create()) {
        Ok(Some(database)) => on(carnet, size, "PostgreSQL", Some(database.url()), table)?,
        Ok(None) => say("!! NOTHING IS MEASURED ON POSTGRESQL"),
        Err(error) => say(&format!("!! NOTHING IS MEASURED ON POSTGRESQL: {error:#}")),
    }
    Ok(())
}

fn on(carnet: &Path, size: Size, engine: &str, database: Option<&str>, table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::carnet_dev_on(carnet, &data, free_port()?, database)?;
    let dev = dev_file(&data)?;
    let mut client = Client::new(server.address, &dev)?;
    let begun = Instant::now();
    let team = Team::make(&mut client, &dev, size)?;
    say(&format!(
        "{} connectors and {} grants on {engine}, made in {:.0} s:",
        size.connectors,
        size.grants,
        begun.elapsed().as_secs_f64()
    ));
    for (what, path) in team.lists() {
        let mut times = Vec::with_capacity(size.asked);
        for round in 0..size.asked {
            times.push(client.get(&path(round))?.1);
        }
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() - 1) * share / 100).copied().unwrap_or_default();
        let what = format!("{engine}, {what}: p99");
        let median = Beside::Measured("median", Some(millis(at(50))));
        table.add(&what, millis(at(99)), Unit::Millis, [Beside::AtMost(LIMIT), median]);
    }
    server.stop()
}

/// What the lists are about.
struct Team {
    projects: Vec<String>,
    /// The first has half of the grants.
    connectors: Vec<String>,
    /// Cursors of pages throughout a list.
    pages: Vec<String>,
    by_name: Vec<String>,
    of_grants: Vec<String>,
    grantees: usize,
}

impl Team {
    fn make(client: &mut Client, dev: &Value, size: Size) -> Result<Self> {
        let text = |value: &Value, name: &str| {
            value.get(name).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no {name}"))
        };
        let mut projects = vec![text(dev, "projectId")?];
        for number in 1..PROJECTS {
            projects.push(text(
                &client.post("/v9/projects", &json!({"name": format!("project-{number}")}))?,
                "id",
            )?);
        }
        let mut connectors = Vec::new();
        for number in 0..size.connectors {
            let body = json!({
                "service": format!("service-{}.example", number % 37),
                "name": format!("Connector {number:04}"),
                "type": "api-key",
                "data": {"subjectType": "user", "instructions": "Make a key on the page of the service."},
                "projectId": projects.get(number % PROJECTS),
            });
            let id = text(&client.post("/v1/connect/connectors", &body)?, "id")?;
            for further in [7, 19] {
                if let Some(project) = projects.get((number + further) % PROJECTS) {
                    let path = format!("/v1/connect/connectors/{id}/projects/{project}");
                    client.post(&path, &json!({"environments": ["production"]}))?;
                }
            }
            connectors.push(id);
        }
        let at_first = size.grants / 2;
        let mut number = 0;
        while number < size.grants {
            let (place, most) = if number < at_first {
                (0, at_first - number)
            } else {
                (1 + (number - at_first) / 50 % (size.connectors - 1), 50)
            };
            let count = most.min(100).min(size.grants - number);
            let project = projects.get(place % PROJECTS);
            let tokens: Vec<Value> = (number..number + count)
                .map(|number| {
                    json!({
                        "accessToken": format!("key-{number:06}"),
                        "subject": {"type": "user", "id": grantee(number)},
                        "environment": "production",
                        "projectId": project,
                    })
                })
                .collect();
            let connector = connectors.get(place).context("no connector")?;
            let path = format!("/v1/connect/token/{connector}/import");
            let answer = client.post(&path, &json!({"tokens": tokens}))?;
            let imported = answer.get("imported").and_then(Value::as_u64);
            anyhow::ensure!(imported == Some(u64::try_from(count)?), "not all were imported: {answer}");
            number += count;
        }
        let first = connectors.first().context("no connector")?;
        Ok(Self {
            pages: cursors(client, "/v2/connect/connectors?limit=100&sort=createdAt", 100)?,
            by_name: cursors(client, "/v2/connect/connectors?limit=100&sort=name", 100)?,
            of_grants: cursors(client, &format!("/v1/connect/connectors/{first}/grants?limit=100"), 20)?,
            projects,
            connectors,
            grantees: at_first,
        })
    }

    /// Each list by name, and the path of its `n`-th request.
    fn lists(&self) -> Vec<(&'static str, PathOf<'_>)> {
        let first = self.connectors.first().map_or("", String::as_str);
        let any = |of: &[String], round: usize| of.get(round % of.len().max(1)).cloned().unwrap_or_default();
        vec![
            ("connectors, the first page", Box::new(|_| "/v1/connect/connectors?limit=20".to_owned())),
            (
                "connectors, a page of 100 with projects",
                Box::new(move |round| {
                    format!(
                        "/v1/connect/connectors?include=projects&limit=100&cursor={}",
                        any(&self.pages, round)
                    )
                }),
            ),
            (
                "connectors by name, a page of 100",
                Box::new(move |round| {
                    format!("/v2/connect/connectors?sort=name&limit=100&cursor={}", any(&self.by_name, round))
                }),
            ),
            (
                "connectors, a search that finds one",
                Box::new(|round| {
                    format!(
                        "/v2/connect/connectors?search=tor%20{:04}&limit=100",
                        round * 7919 % self.connectors.len()
                    )
                }),
            ),
            (
                "connectors, a search that finds all",
                Box::new(|_| "/v2/connect/connectors?search=CONNECTOR&sort=updatedAt&limit=100".to_owned()),
            ),
            (
                "connectors, a search that finds none",
                Box::new(|round| format!("/v2/connect/connectors?search=nothing-{round}")),
            ),
            (
                "connectors of services and types",
                Box::new(|round| {
                    format!(
                        "/v1/connect/connectors?service=service-{}.example,service-3.example&type=api-key,oauth&limit=100",
                        round % 37
                    )
                }),
            ),
            (
                "connectors of a project",
                Box::new(move |round| {
                    format!("/v1/connect/connectors?projectId={}&limit=100", any(&self.projects, round))
                }),
            ),
            (
                "links of a project",
                Box::new(move |round| {
                    format!("/v2/connect/projects/{}/connectors?limit=100", any(&self.projects, round))
                }),
            ),
            (
                "links of a connector",
                Box::new(move |round| {
                    format!("/v2/connect/connectors/{}/projects", any(&self.connectors, round))
                }),
            ),
            (
                "grants of the largest connector, a page of 100",
                Box::new(move |round| {
                    format!(
                        "/v1/connect/connectors/{first}/grants?limit=100&cursor={}",
                        any(&self.of_grants, round)
                    )
                }),
            ),
            (
                "grants of any connector",
                Box::new(move |round| {
                    format!("/v1/connect/connectors/{}/grants?limit=100", any(&self.connectors, round * 31))
                }),
            ),
            (
                "grants of one user",
                Box::new(move |round| {
                    format!(
                        "/v1/connect/connectors/{first}/grants?user={}",
                        grantee(round * 7919 % self.grantees)
                    )
                }),
            ),
            (
                "grants of a user without any",
                Box::new(move |_| format!("/v1/connect/connectors/{first}/grants?user=nobody")),
            ),
            ("projects", Box::new(|_| "/v9/projects?limit=100".to_owned())),
            ("audit events, the newest 100", Box::new(|_| "/v1/audit?limit=100".to_owned())),
            // Nobody has asked for a token: past a part of everything that was done, and as long however much that is.
            (
                "audit events, tokens where there are none",
                Box::new(move |round| {
                    format!("/v1/audit?action=token.issue&before={}&limit=100", (round + 1) * 7919)
                }),
            ),
            (
                "audit events, imports that went well",
                Box::new(|_| "/v1/audit?action=connect-import-tokens&outcome=success&limit=100".to_owned()),
            ),
            (
                "audit events, a refusal that there is not",
                Box::new(|_| "/v1/audit?action=token.issue&outcome=denied&limit=100".to_owned()),
            ),
        ]
    }
}

/// The path of a list's `n`-th request.
type PathOf<'a> = Box<dyn Fn(usize) -> String + 'a>;

/// Names of one length.
fn grantee(number: usize) -> String {
    format!("grantee-{number:06}")
}

/// The cursors of the first pages of a list.
fn cursors(client: &mut Client, list: &str, most: usize) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    while found.len() < most {
        let after = found.last().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let (page, _) = client.get(&format!("{list}{after}"))?;
        let next = page.pointer("/pagination/next").or_else(|| page.get("cursor")).and_then(Value::as_str);
        let Some(next) = next else { break };
        found.push(next.to_owned());
    }
    anyhow::ensure!(!found.is_empty(), "{list} has one page only");
    Ok(found)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

const PROJECTS: usize = 40;
/// The project's aim, in milliseconds.
const LIMIT: f64 = 50.0;
