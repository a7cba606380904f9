//! The seed of a development server: what is there when it starts, so that the tests of an agent find projects,
//! connectors and people who have consented.
//!
//! A seed has the shape of `carnet export`, in JSON or TOML, and an export is one. It says less where less is enough: a
//! connector without links is the folder's project's, a grant without a project as well, and whatever is of the demo
//! provider is made by the one that runs here. Several files are one seed; what a later one says about a connector or a
//! project is added, secrets that an export lacks above all.
//!
//! It is applied through the server's own API by the development server's own person, as an import is
//! ([`crate::cli::transfer`]): what is there already is left as it is, so that the next start finds nothing to do. What is
//! wrong stops the start and is told with file, line and cause.

mod lines;
mod read;

use std::path::{Path, PathBuf};

use carnet_demo::Demo;
use carnet_model::Env;
use carnet_sdk::{Client, Credential};
use serde_json::{Map, Value, json};
use url::Url;

use crate::cli::failure::{Exit, Failure};
use crate::cli::transfer::apply::{self, Done, Of};
use crate::cli::transfer::plan::{Plan, PlannedToken};

use lines::Text;
use read::GrantSource;

/// A seed that was read.
#[derive(Default)]
pub(crate) struct Seed {
    texts: Vec<Text>,
    plan: Plan,
    /// Where the projects, trusted issuers and connectors of the plan stand.
    projects: Vec<At>,
    issuers: Vec<At>,
    connectors: Vec<At>,
    /// Of each connector.
    grants: Vec<Vec<(At, GrantSource)>>,
}

/// A place in a file: `connectors.2` of the first one.
#[derive(Clone, Debug)]
struct At {
    file: usize,
    member: String,
}

/// The server that is seeded.
pub(crate) struct Ground {
    /// Where it is.
    pub(crate) url: Url,
    /// The access token of its person.
    pub(crate) token: String,
    /// The team's short name.
    pub(crate) team: String,
    /// The project of the folder.
    pub(crate) project: String,
    /// The demo provider, and which client this server is there.
    pub(crate) demo: Demo,
    pub(crate) demo_client: String,
    /// The clock.
    pub(crate) env: Env,
}

/// What became of a seed.
#[derive(Debug, Default)]
pub(crate) struct Sown {
    /// Kind, name, and `made`, `was there` or `imported`.
    pub(crate) things: Vec<(&'static str, String, &'static str)>,
    /// What the files hold and nobody could make, and what is there and is otherwise.
    pub(crate) notes: Vec<String>,
}

impl Seed {
    /// Reads the files, in this order.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut seed = Self::default();
        for path in files {
            let text = std::fs::read_to_string(path).map_err(|error| {
                wrong(format!("Cannot read the seed {}: {error}.", path.display()))
                    .next("carnet dev --help", "to see what a seed is")
            })?;
            seed.add(Text::new(path, text))?;
        }
        Ok(seed)
    }

    /// Makes what it says and is not there.
    pub(crate) async fn apply(mut self, ground: &Ground) -> Result<Sown, Failure> {
        if self.texts.is_empty() {
            return Ok(Sown::default());
        }
        self.settle(ground);
        let client = Client::builder(ground.url.clone())
            .credential(Credential::AccessToken(ground.token.clone().into()))
            .env(ground.env.clone())
            .build()?;
        let mut sown = Sown::default();
        let mut done = Box::pin(apply::make(&client, &self.plan, &mut sown.notes, |_, _| {})).await;
        let mut failures = Vec::new();
        for number in 0..self.plan.connectors.len() {
            let is_there = done
                .iter()
                .any(|one| one.of == Of::Connector(number) && one.kind == "connector" && one.outcome.is_ok());
            if is_there {
                let sowing =
                    self.sow_grants(number, &client, ground, &mut done, &mut sown.notes, &mut failures);
                Box::pin(sowing).await;
            }
        }
        for one in done {
            match one.outcome {
                Ok(how) => sown.things.push((one.kind, one.name, how)),
                Err(mut failure) => {
                    if one.kind == "connector" {
                        failure.next.clear();
                        failure = failure.next(
                            "carnet dev --seed FILE --seed MORE",
                            "with what its data lacks in the second file",
                        );
                    }
                    let at = self.at(one.of).cloned();
                    failures.push(self.told(at.as_ref(), &format!("{} {}", one.kind, one.name), failure));
                }
            }
        }
        if failures.is_empty() { Ok(sown) } else { Err(together(failures)) }
    }

    /// What follows from the server that is seeded.
    fn settle(&mut self, ground: &Ground) {
        for connector in &mut self.plan.connectors {
            let links = connector.links.iter_mut().map(|(project, _)| project);
            let uris = connector.redirect_uris.iter_mut().map(|(project, _)| project);
            let destinations = connector.events.iter_mut().flat_map(|events| &mut events.destinations);
            for project in links.chain(uris).chain(destinations.map(|one| &mut one.project)) {
                if project.is_empty() {
                    project.clone_from(&ground.project);
                }
            }
        }
        let audience = format!("{}/{}", ground.url.as_str().trim_end_matches('/'), ground.team);
        for issuer in self.plan.issuers.iter_mut().filter_map(Value::as_object_mut) {
            issuer.entry("audiences").or_insert_with(|| json!([audience]));
            for rule in issuer.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(rule) = rule.as_object_mut() {
                    rule.entry("project").or_insert_with(|| ground.project.clone().into());
                }
            }
        }
    }

    async fn sow_grants(
        &self,
        number: usize,
        client: &Client,
        ground: &Ground,
        done: &mut Vec<Done>,
        notes: &mut Vec<String>,
        failures: &mut Vec<Failure>,
    ) {
        let (Some(planned), Some(wanted)) = (self.plan.connectors.get(number), self.grants.get(number))
        else {
            return;
        };
        let of = Of::Connector(number);
        for (at, grant) in wanted {
            let name = format!("grant of {} to {}", grant.subject.id, planned.uid);
            let is_demo = planned.service == DEMO;
            if grant.access_token.is_none() && !is_demo {
                let note = format!(
                    "{name} is left out: only the demo provider gives one without a person; accessToken brings another's"
                );
                notes.push(note);
                continue;
            }
            if grant.project.is_none() && grant.is_exported() {
                notes.push(format!("{name} is left out: it is of a person at a terminal, and of no project"));
                continue;
            }
            let sown = self.sow_grant(planned, grant, client, ground, of).await;
            match sown {
                Ok(outcomes) => {
                    for one in outcomes {
                        match one.outcome {
                            Err(failure) => failures.push(self.told(Some(at), &name, failure)),
                            Ok(_) => done.push(one),
                        }
                    }
                }
                Err(failure) => failures.push(self.told(Some(at), &name, failure)),
            }
        }
    }

    /// Lets a person of the demo provider allow it, or brings the tokens that the file has.
    async fn sow_grant(
        &self,
        planned: &crate::cli::transfer::plan::PlannedConnector,
        grant: &GrantSource,
        client: &Client,
        ground: &Ground,
        of: Of,
    ) -> Result<Vec<Done>, Failure> {
        let project = grant.project.clone().unwrap_or_else(|| ground.project.clone());
        let environment = grant.environment.clone().unwrap_or_else(|| "development".to_owned());
        let found = client.project(&project).await?;
        let place = crate::cli::access::environment(client, &found, &environment).await?;
        let (id, place) = (found.id.to_string(), place.to_string());
        let known = client.grants(&planned.uid).await?;
        let is_there = known.iter().any(|known| {
            let text = |name: &str| known.rest.get(name).and_then(Value::as_str);
            known.state == "active"
                && known.subject.get("id").and_then(Value::as_str) == Some(&grant.subject.id)
                && known.subject.get("issuer").and_then(Value::as_str) == grant.subject.issuer.as_deref()
                && text("projectId") == Some(&id)
                && text("environment") == Some(&place)
        });
        let name = format!("{} of {}", planned.uid, grant.subject.id);
        if is_there {
            return Ok(vec![Done { kind: "grant", name, of, outcome: Ok("was there") }]);
        }
        let mut token: Map<String, Value> = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                token.insert(name.to_owned(), value);
            }
        };
        put("environment", Some(environment.into()));
        if let Some(access) = &grant.access_token {
            put("accessToken", Some(access.clone().into()));
            put("refreshToken", grant.refresh_token.clone().map(Value::from));
            put("expiresAt", grant.expires_at.map(Value::from));
            put("scopes", grant.scopes.clone().map(Value::from));
            put("externalSubject", grant.external_subject.clone().map(Value::from));
        } else {
            let scopes = match &grant.scopes {
                Some(scopes) => scopes.clone(),
                None => usual_scopes(client, &planned.uid).await?,
            };
            let person = grant.external_subject.as_deref().unwrap_or("ada");
            let allowed = ground.demo.allow(&ground.demo_client, person, &scopes).await;
            let allowed = allowed.map_err(|error| wrong(format!("{error}.")))?;
            put("accessToken", Some(allowed.access.expose().clone().into()));
            put("refreshToken", allowed.refresh.map(|refresh| refresh.expose().clone().into()));
            put("expiresAt", Some(ground.env.now().plus(allowed.access_life).millis().into()));
            put("scopes", Some(allowed.scopes.iter().map(str::to_owned).collect::<Vec<_>>().into()));
            put("externalSubject", Some(allowed.subject.into()));
        }
        put("subject", Some(grant.subject.shown()));
        let planned_token = PlannedToken { project, token };
        apply::grants(client, planned, &[planned_token], of, false).await
    }

    fn at(&self, of: Of) -> Option<&At> {
        match of {
            Of::Project(number) => self.projects.get(number),
            Of::Issuer(number) => self.issuers.get(number),
            Of::Connector(number) => self.connectors.get(number),
            Of::Team => None,
        }
    }

    /// A failure with where it comes from.
    fn told(&self, at: Option<&At>, what: &str, failure: Failure) -> Failure {
        let failure = Failure { message: format!("{what}: {}", failure.message), ..failure };
        match at.and_then(|at| Some((self.texts.get(at.file)?, at))) {
            Some((text, at)) => text.told(&at.member, failure),
            None => failure,
        }
    }
}

/// What a connector to the demo provider asks people for.
async fn usual_scopes(client: &Client, uid: &str) -> Result<Vec<String>, Failure> {
    let connector = client.connector_metadata(uid).await?;
    let scopes = connector.rest.get("data").and_then(|data| data.pointer("/userAuthorization/scopes"));
    let scopes: Vec<String> = scopes
        .and_then(Value::as_array)
        .map(|scopes| scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let usual = || ["profile:read", "messages:read", "offline_access"].map(str::to_owned).to_vec();
    Ok(if scopes.is_empty() { usual() } else { scopes })
}

/// All of them in one: a person mends them together.
fn together(failures: Vec<Failure>) -> Failure {
    let messages: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
    let mut all = Failure::new("invalid_seed", messages.join("\n"));
    for next in failures.iter().flat_map(|failure| &failure.next) {
        if !all.next.contains(next) {
            all.next.push(next.clone());
        }
    }
    all.next("the same command again", "with what is to be mended; what was made is left as it is")
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new("invalid_seed", message).exit(Exit::Usage)
}

/// The files of the flags, for people.
pub(crate) fn named(files: &[PathBuf]) -> String {
    let name =
        |path: &PathBuf| Path::file_name(path).unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    files.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The service of the demo provider.
const DEMO: &str = "demo";
