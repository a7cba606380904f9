//! `carnet dev`: a complete development broker in the foreground, with a real OAuth server to try it against.

mod demo;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use carnet_api::Metrics;
use carnet_demo::Demo;
use carnet_egress::{Place, Policy};
use carnet_engine::{Broker, Credential, FirstOwner, Location, Plans, Root, Settings, Team, TeamHint, User};
use carnet_model::{AccessToken, Env, SecretString, Slug};
use carnet_vault::{FileKey, Location as KeyPlace};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::cli::args::DevArgs;
use crate::cli::browser;
use crate::cli::failure::{Exit, Failure};
use crate::cli::folder;
use crate::config::variable;
use crate::seed::{self, Ground, Seed, Sown};
use crate::server;

use demo::{DemoClient, demo_app, demo_client, demo_connector, demo_server};

pub(crate) fn run(args: DevArgs) -> anyhow::Result<ExitCode> {
    server::log_to_stderr(variable("CARNET_LOG").as_deref(), "warn");
    server::runtime()?.block_on(Box::pin(start(args)))?;
    Ok(ExitCode::SUCCESS)
}

async fn start(args: DevArgs) -> anyhow::Result<()> {
    let env = crate::failpoints::env()?;
    let seed = Seed::read(&args.seed)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    // Before anything is made: a start that is refused leaves no folder behind.
    let listener = server::listen(address, "carnet dev --port 7071").await?;
    make_folder(&args.data)?;
    let url = Url::parse(&format!("http://127.0.0.1:{}", listener.local_addr()?.port()))?;
    let client = demo_client(&args, &env)?;
    let demo = demo_server(&args, &url, &client, &env)?;
    let recovery_key = crate::config::recovery_key(args.recovery_key.as_deref())?;
    let catalog = crate::config::catalog(args.catalog_dir.as_deref(), "--catalog-dir")?;
    let mut managed = match &args.managed {
        Some(file) => crate::managed::read_file(file, &catalog)?,
        None => BTreeMap::new(),
    };
    managed.entry("demo".to_owned()).or_insert_with(|| demo_app(&url, &client));
    let settings = Settings {
        recovery_key,
        url: url.clone(),
        issuer: args.issuer.as_deref().map(crate::config::issuer).transpose()?,
        development: true,
        spill: (!args.memory).then(|| args.data.join("spill")),
        refreshes_per_second: Settings::REFRESHES_PER_SECOND,
        answer_within: Settings::ANSWER_WITHIN,
        device_codes: true,
        plans: Plans::default(),
        sign_in: args.sign_in.as_deref().map(crate::sign_in::read_file).transpose()?.unwrap_or_default(),
        managed,
        catalog,
        acme: None,
    };
    let policy = Policy { loopback: true, origins: origins(&args.provider_origin)?, ..Policy::default() };
    let location = match &args.database_url {
        Some(database) => Location::Postgres(database.clone()),
        None if args.memory => Location::Memory,
        None => Location::Folder(args.data.clone()),
    };
    let broker =
        Broker::open(settings, &location, Root::Key(Box::new(key_file(&args, &env)?)), policy, env).await?;
    let _operator = crate::admin::listen(&broker, &location);
    let more = axum::Router::new().nest("/demo", demo.router()).merge(demo.well_known_router());
    let routes = server::routes(&broker, more, &Metrics::default());
    broker.hold_back(true);
    let ready = prepare(broker.clone(), args, url, demo, client, seed);
    Box::pin(server::run(broker, vec![(listener.into(), routes)], ready)).await
}

/// What a development server writes for programs: `DIR/dev.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DevFile {
    url: String,
    team_id: String,
    team_slug: String,
    project_id: String,
    project_name: String,
    user_id: String,
    access_token: String,
    oidc_token: String,
    /// With which the person signs in to the pages, as `dev@localhost`.
    #[serde(default)]
    passphrase: String,
}

/// Makes what is missing, writes `dev.json` and says what to do next. The listener serves already: the demo connector
/// is registered by asking the demo server who it is.
async fn prepare(
    broker: Broker,
    args: DevArgs,
    url: Url,
    demo: Demo,
    client: DemoClient,
    seed: Seed,
) -> anyhow::Result<()> {
    let file = args.data.join("dev.json");
    let Developer { team, user, token, passphrase } = developer(&broker, &file).await?;
    let caller = broker.recognise(&Credential::of(Some(&token), TeamHint::default())?).await?;
    let name = project_name(&args.folder);
    let project = broker.ensure_project(team.id, caller.principal(), &name).await?;
    demo_connector(&broker, &caller, &project, &url, &client).await?;
    let ground = Ground {
        url: url.clone(),
        token: token.clone(),
        team: team.slug.to_string(),
        project: project.name.to_string(),
        demo,
        demo_client: client.client_id,
        env: broker.env().clone(),
    };
    let sown = Box::pin(seed.apply(&ground)).await?;
    let identity =
        broker.development_token(&caller, &project.id.to_string(), None, broker.request_id()).await?;
    let dev = DevFile {
        url: broker.settings().base().to_owned(),
        team_id: team.id.to_string(),
        team_slug: team.slug.to_string(),
        project_id: project.id.to_string(),
        project_name: project.name.to_string(),
        user_id: user.id.to_string(),
        access_token: token,
        oidc_token: identity.token.expose().clone(),
        passphrase,
    };
    folder::replace(&file, serde_json::to_string_pretty(&dev)?.as_bytes(), 0o600)
        .with_context(|| format!("cannot write {}", file.display()))?;
    link_folder(&args, &dev)?;
    broker.hold_back(false);
    say(&args, &dev, &sown);
    if !args.no_open && !args.json && std::io::stdout().is_terminal() && browser::open(&url).is_err() {
        tracing::info!(%url, "no browser could be opened");
    }
    Ok(())
}

/// The one person of a development server, with the team and what proves who it is.
struct Developer {
    team: Team,
    user: User,
    token: String,
    passphrase: String,
}

/// The team `dev` with its one person: with access token and passphrase of last time, if they still work.
async fn developer(broker: &Broker, file: &Path) -> anyhow::Result<Developer> {
    let before =
        std::fs::read_to_string(file).ok().and_then(|text| serde_json::from_str::<DevFile>(&text).ok());
    let (team, user, token, is_new) = team_and_token(broker, before.as_ref()).await?;
    let kept = before.map(|before| before.passphrase).filter(|kept| !is_new && !kept.is_empty());
    let passphrase = if let Some(kept) = kept {
        kept
    } else {
        let drawn = AccessToken::generate(broker.env()).expose().replacen("crn_", "", 1);
        broker.development_passphrase(user.id, &SecretString::new(drawn.clone())).await?;
        drawn
    };
    Ok(Developer { team, user, token, passphrase })
}

async fn team_and_token(
    broker: &Broker,
    before: Option<&DevFile>,
) -> anyhow::Result<(Team, User, String, bool)> {
    let slug = Slug::parse("dev").context("dev is a slug")?;
    let Some((team, user)) = broker.development_team(&slug, EMAIL).await? else {
        let owner =
            FirstOwner { team: "dev".to_owned(), name: "Developer".to_owned(), email: EMAIL.to_owned() };
        let made = broker.first_team(&owner, Vec::new(), TOKEN_LIFE).await?;
        return Ok((made.team, made.user, made.token.expose().to_owned(), true));
    };
    if let Some(before) = before
        && knows(broker, &before.access_token).await
    {
        return Ok((team, user, before.access_token.clone(), false));
    }
    let token: AccessToken = broker.development_access_token(team.id, user.id, TOKEN_LIFE).await?;
    Ok((team, user, token.expose().to_owned(), false))
}

/// Whether this access token is still good here.
async fn knows(broker: &Broker, token: &str) -> bool {
    match Credential::of(Some(token), TeamHint::default()) {
        Ok(credential) => broker.recognise(&credential).await.is_ok(),
        Err(_) => false,
    }
}

fn key_file(args: &DevArgs, env: &Env) -> anyhow::Result<FileKey> {
    let path = variable("CARNET_MASTER_KEY_FILE")
        .map_or_else(|| args.data.join("master.key"), |p| args.folder.join(p));
    if path.exists() {
        return Ok(FileKey::open(&path, KeyPlace::Anywhere)?);
    }
    let is_kept = !args.memory && args.database_url.is_none() && args.data.join("carnet.db").exists();
    if is_kept {
        // Another key opens nothing of it, and would stand where the right one belongs.
        let (key, data) = (path.display(), args.data.display());
        let gone = format!("The key {key} is gone, and what is kept in {data} does not open without it.");
        return Err(Failure::new("key_missing", gone)
            .next(format!("rm -r {data}"), "to begin anew, if the key cannot be put back")
            .into());
    }
    Ok(FileKey::create(env, &path, KeyPlace::Anywhere)?)
}

/// The folder, for this user alone, and kept out of any repository by a file inside it.
fn make_folder(data: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let cannot = || format!("cannot make the folder {}", data.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data).with_context(cannot)?;
    let ignore = data.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, "*\n").with_context(cannot)?;
    }
    Ok(())
}

/// The project is named after the folder.
fn project_name(folder: &Path) -> Slug {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Slug::near(&name, "my-app")
}

/// Links this folder to the project, unless it is linked elsewhere already.
fn link_folder(args: &DevArgs, dev: &DevFile) -> anyhow::Result<()> {
    let home: PathBuf = args.folder.join(".carnet");
    let same =
        |a: &Path, b: &Path| a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if !same(&home, &args.data) {
        return Ok(());
    }
    let file = home.join("project.json");
    let loopback = |url: &str| url.starts_with("http://127.0.0.1:");
    let elsewhere = std::fs::read_to_string(&file)
        .ok()
        .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        .and_then(|link| link.get("url").and_then(Value::as_str).map(|url| !loopback(url)));
    if elsewhere == Some(true) {
        return Ok(());
    }
    let link = json!({
        "projectId": dev.project_id,
        "teamId": dev.team_id,
        "projectName": dev.project_name,
        "url": dev.url,
    });
    folder::replace(&file, serde_json::to_string_pretty(&link)?.as_bytes(), 0o644)
        .with_context(|| format!("cannot write {}", file.display()))
}

fn say(args: &DevArgs, dev: &DevFile, sown: &Sown) {
    let file = args.data.join("dev.json");
    if args.json {
        let things = sown.things.iter();
        let things = things.map(|(kind, name, how)| json!({"kind": kind, "name": name, "outcome": how}));
        let seed = json!({"things": things.collect::<Vec<_>>(), "notes": sown.notes});
        let mut said = json!({"url": dev.url, "api": format!("{}/v1", dev.url), "devFile": file});
        if let Some(said) = said.as_object_mut().filter(|_| !args.seed.is_empty()) {
            said.insert("seed".to_owned(), seed);
        }
        return server::announce(&said.to_string());
    }
    let kept = match (&args.database_url, args.memory) {
        (Some(_), _) => "in PostgreSQL".to_owned(),
        (None, true) => "in memory; gone at the end".to_owned(),
        (None, false) => format!("{}  (delete it to begin anew)", args.data.display()),
    };
    let there = sown.things.iter().filter(|(_, _, how)| *how == "was there").count();
    let seeded = match args.seed.as_slice() {
        [] => String::new(),
        files => {
            let made = sown.things.len() - there;
            format!("\n  Seed        {}: {made} made, {there} were there", seed::named(files))
        }
    };
    for note in &sown.notes {
        tracing::warn!("seed: {note}");
    }
    let DevFile { url, project_name, .. } = dev;
    server::announce(&format!(
        "\n  carnet {version} · development\n\n  \
         Dashboard   {url}\n  \
         API         {url}/v1\n  \
         Data        {kept}\n  \
         Project     {project_name} · development{seeded}\n\n  \
         Try         carnet token demo/hello --subject app\n  \
         And         carnet token demo/hello --subject user --yes\n  \
         Your app    eval \"$(carnet env print)\"  or  carnet env pull\n\n  \
         Never expose this port. For production: carnet serve --help\n",
        version = env!("CARGO_PKG_VERSION"),
    ));
}

fn origins(pairs: &[String]) -> Result<Vec<(Place, Place)>, Failure> {
    let wrong = |pair: &str, why: String| Failure {
        exit: Exit::Usage,
        ..Failure::new("invalid_configuration", format!("--provider-origin {pair:?}: {why}."))
    };
    pairs
        .iter()
        .map(|pair| {
            let (from, to) = pair.split_once('=').ok_or_else(|| {
                wrong(pair, "write it as https://slack.com=http://127.0.0.1:9411".to_owned())
            })?;
            let read = |text: &str| text.parse::<Place>().map_err(|error| wrong(pair, error.to_string()));
            Ok((read(from)?, read(to)?))
        })
        .collect()
}

const EMAIL: &str = "dev@localhost";
const TOKEN_LIFE: Duration = Duration::from_hours(2160);
