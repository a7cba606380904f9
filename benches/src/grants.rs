//! A thousand grants against a million: the store must not grow slow with what is in it.
//!
//! The grants are sealed with the deployment's own keys and stand in its own tables, each with a token that lives, so
//! the server answers from the store and asks no provider. They are put there while no server runs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use carnet_model::connector::Connector;
use carnet_model::grant::{Grant, GrantState, Place};
use carnet_model::{ConnectorRef, Env, Environment, Id, Scopes, Time, kind};
use carnet_store::grants::{self, GrantRow};
use carnet_store::{Db, Location, Write, connectors, deployment, keys};
use carnet_vault::{Aad, FileKey, KeyId, KeyRole, Keyring, Location as KeyPlace, WrappedKey};
use serde_json::{Value, json};

use crate::Extent;
use crate::load::{Taken, Target, Until, closed, paced};
use crate::process::{Server, dev_file, free_port};
use crate::table::{Beside, Table, Unit, say};
use crate::tokens::{CONNECTIONS, request};

/// A folder of `carnet dev` and how many people have given a grant there.
pub(crate) struct Store {
    folder: tempfile::TempDir,
    port: u16,
    people: u32,
}

pub(crate) fn measure(carnet: &Path, extent: Extent, table: &mut Table) -> Result<()> {
    let small = Store::make(carnet, SMALL)?;
    let large = Store::make(carnet, extent.grants)?;
    let (mut first_small, mut first_large): (Option<Taken>, Option<Taken>) = (None, None);
    for round in 0..extent.rounds {
        // In turn, so that a busy minute of the machine falls on both.
        for (store, all) in [(&small, &mut first_small), (&large, &mut first_large)] {
            let taken = store.first_requests(carnet, round)?;
            *all = Some(match all.take() {
                Some(before) => before.and(taken),
                None => taken,
            });
        }
    }
    let (few, many) = first_small.zip(first_large).context("no round was run")?;
    compare(table, extent, "first request of a person", &few, &many);

    let (few, few_cpu) = small.steady(carnet, extent.load, None)?;
    let (many, many_cpu) = large.steady(carnet, extent.load, None)?;
    let mut add = |what: &str, few: f64, many: f64, unit| {
        let what = format!("{} grants, random people: {what}", extent.grants);
        table.add(&what, many, unit, [Beside::Measured("1000 grants", Some(few))]);
    };
    add("requests", few.per_second(), many.per_second(), Unit::PerSecond);
    add("processor per request", few_cpu, many_cpu, Unit::Millis);
    // Both at the rate that the large one bears twice over.
    let rate = Some(many.per_second() / 2.0);
    let (few, _) = small.steady(carnet, extent.load, rate)?;
    let (many, _) = large.steady(carnet, extent.load, rate)?;
    compare(table, extent, "random people, half load", &few, &many);
    Ok(())
}

fn compare(table: &mut Table, extent: Extent, what: &str, few: &Taken, many: &Taken) {
    for (name, share, limits) in [("median", 500, false), ("p99", 990, true)] {
        let what = format!("{} grants, {what}: {name}", extent.grants);
        let (few, many) = (few.permille(share), many.permille(share));
        let beside = Beside::Measured("1000 grants", Some(few));
        if limits {
            table.add(&what, many, Unit::Millis, [Beside::AtMost(few * 1.3), beside]);
        } else {
            table.add(&what, many, Unit::Millis, [beside]);
        }
    }
}

impl Store {
    /// Lets the server make its deployment, then puts the grants into it.
    pub(crate) fn make(carnet: &Path, people: u32) -> Result<Self> {
        let store = Self { folder: tempfile::tempdir()?, port: free_port()?, people };
        store.serve(carnet)?.stop()?;
        let begun = Instant::now();
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(store.fill())?;
        say(&format!("a store of {people} grants, filled in {:.0} s:", begun.elapsed().as_secs_f64()));
        Ok(store)
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Always on the same port: another one would change the connector, which knows its server by its address.
    pub(crate) fn serve(&self, carnet: &Path) -> Result<Server> {
        Server::carnet_dev(carnet, &self.data(), self.port)
    }

    async fn fill(&self) -> Result<()> {
        let env = Env::system();
        let db = Db::open(&Location::Folder(self.data()), &env).await?;
        let deployment = deployment::find(&db).await?.context("there is no deployment")?;
        let master = FileKey::open(&self.data().join("master.key"), KeyPlace::Anywhere)?;
        let rows = keys::all(&db).await?.into_iter().map(wrapped).collect::<Result<Vec<_>>>()?;
        let keyring = Keyring::unlock(deployment, &master, rows).await?;
        let dev = dev_file(&self.data())?;
        let text = |name: &str| dev.get(name).and_then(Value::as_str).context("dev.json is not whole");
        let team = Id::parse(text("teamId")?)?;
        let project = Id::parse(text("projectId")?)?;
        let reference = ConnectorRef::parse("demo/hello").context("demo/hello names a connector")?;
        let row = connectors::find(&db, team, &reference).await?.context("there is no demo/hello")?;
        let now = env.now();
        let scopes = Scopes::parse_joined(SCOPES)?;
        let mut people = 0..self.people;
        loop {
            let steps = people
                .by_ref()
                .take(1000)
                .map(|number| {
                    let place = place(&row.connector, project, number);
                    let held = json!({
                        "kind": "tokens",
                        "access_token": format!("at-{}", hex(&env.bytes::<24>())),
                        "access_expires_at": now.plus(LIFE).millis(),
                        "access_scopes": scopes,
                        "refresh_token": format!("rt-{}", hex(&env.bytes::<24>())),
                        "scopes": scopes,
                        "claims": {},
                    });
                    let row = grant(&env, &keyring, deployment, place, now, &held.to_string())?;
                    Ok(grants::put(&row, None, None))
                })
                .collect::<Result<Vec<_>>>()?;
            if steps.is_empty() {
                db.close().await;
                return Ok(());
            }
            db.write(Write::new().steps(steps)).await?;
        }
    }

    /// Each of a thousand people asks once of a server that has just started, so that nothing is in its memory.
    fn first_requests(&self, carnet: &Path, round: u32) -> Result<Taken> {
        let server = self.serve(carnet)?;
        let dev = dev_file(&self.data())?;
        let app = Target::same(server.address, request(server.address, &dev, r#"{"type":"app"}"#)?);
        // The caller, the connector and the pages of the program are warm; the grants are not.
        closed(&app, CONNECTIONS, Until::Requests(2_000))?;
        let stride = self.people / SMALL;
        let person = move |number: u32| number * stride + round % stride;
        paced(&self.target(&server, person)?, CONNECTIONS, Until::Requests(SMALL), 1_000.0)
    }

    /// Whoever comes, again and again: at this rate, or as fast as the server answers. With the processor time per
    /// request in milliseconds.
    fn steady(&self, carnet: &Path, load: Duration, per_second: Option<f64>) -> Result<(Taken, f64)> {
        let server = self.serve(carnet)?;
        let people = self.people;
        let target = self.target(&server, move |number| scatter(number) % people)?;
        closed(&target, CONNECTIONS, Until::After(load / 10))?;
        let before = server.cpu_millis()?;
        let taken = match per_second {
            None => closed(&target, CONNECTIONS, Until::After(load))?,
            Some(rate) => paced(&target, CONNECTIONS, Until::After(load), rate)?,
        };
        let cpu = (server.cpu_millis()? - before) / f64::from(taken.requests());
        server.stop()?;
        Ok((taken, cpu))
    }

    fn target(&self, server: &Server, person: impl Fn(u32) -> u32 + Send + Sync + 'static) -> Result<Target> {
        let subject = |name: &str| format!(r#"{{"type":"user","id":"{name}"}}"#);
        let template = request(server.address, &dev_file(&self.data())?, &subject(&name(0)))?;
        let at = template.len() - name(0).len() - 3;
        let request = Arc::new(move |number: u32| {
            let mut request = template.clone();
            let name = name(person(number));
            if let Some(place) = request.get_mut(at..at + name.len()) {
                place.copy_from_slice(name.as_bytes());
            }
            request
        });
        Ok(Target { address: server.address, request })
    }
}

/// Names of one length, so that only they differ between requests.
fn name(person: u32) -> String {
    format!("person-{person:08}")
}

/// Spreads numbers over the whole range, the same in every run (the finaliser of MurmurHash3).
const fn scatter(number: u32) -> u32 {
    let mut x = number.wrapping_add(0x9e37_79b9);
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

fn place(connector: &Connector, project: Id<kind::Project>, person: u32) -> Place {
    Place {
        team: connector.team,
        connector: connector.id,
        project: Some(project),
        environment: Environment::Development,
        subject: format!("user:{}", name(person)),
        installation: None,
    }
}

/// A row as consent would have left it. That it is one the server shows by opening it.
fn grant(
    env: &Env,
    keyring: &Keyring,
    deployment: Id<kind::Deployment>,
    place: Place,
    now: Time,
    held: &str,
) -> Result<GrantRow> {
    let id: Id<kind::Grant> = env.id();
    let facts = json!({
        "token_id": env.id::<kind::Token>(),
        "name": null,
        "external_subject": null,
        "metadata": {},
        "claims": {},
    })
    .to_string();
    let mut plain = u32::try_from(facts.len())?.to_be_bytes().to_vec();
    plain.extend_from_slice(facts.as_bytes());
    plain.extend_from_slice(held.as_bytes());
    let scopes = Some(Scopes::parse_joined(SCOPES)?);
    let whose = carnet_engine::whose(&place, scopes.as_ref());
    let aad = Aad {
        deployment,
        team: Some(place.team),
        table: "grants",
        column: "held",
        row: id.bytes(),
        project: place.project,
        environment: Some(place.environment),
        connector: Some(place.connector),
        subject: Some(&whose),
        version: 1,
    };
    let held = keyring.seal(env, &aad, &plain)?;
    let grant = Grant {
        id,
        place,
        state: GrantState::Active,
        scopes,
        external_subject: None,
        access_expires_at: Some(now.plus(LIFE)),
        refresh_expires_at: None,
        refreshable: true,
        version: 1,
        rt_version: 1,
        created_at: now,
        updated_at: now,
    };
    Ok(GrantRow {
        grant,
        held,
        fence: 0,
        lease_until: Time::from_millis(0),
        last_used_at: now,
        leaked: false,
    })
}

fn wrapped(row: keys::KeyRow) -> Result<WrappedKey> {
    Ok(WrappedKey {
        id: KeyId::from_bytes(row.id),
        role: KeyRole::parse(&row.role)?,
        version: row.version,
        wrapped_by: row.wrapped_by,
        wrapped: row.wrapped,
        created_at: row.created_at,
        activates_at: row.activates_at,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

const SMALL: u32 = 1_000;
/// What the demo connector asks people for.
const SCOPES: &str = "profile:read messages:read offline_access";
/// Longer than any run.
const LIFE: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_drawn_from_all_over_the_store() {
        let mut tenths = [0; 10];
        for number in 0..10_000 {
            tenths[scatter(number) as usize % 1_000_000 / 100_000] += 1;
        }
        assert!(tenths.iter().all(|count| (800..1_200).contains(count)), "{tenths:?}");
    }
}
