//! `carnet serve`: production. One set-up link at the first start, no default password, nothing unsafe.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

use carnet_engine::{Broker, Location, Root as EngineRoot, Settings};
use carnet_model::Env;
use carnet_vault::{FileKey, Location as KeyPlace};
use serde_json::json;

use crate::cli::args::ServeArgs;
use crate::config::{Config, Root, variable};
use crate::server;

pub(crate) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = Config::read(&args)?;
    if args.print_config {
        let text = if args.json {
            serde_json::to_string_pretty(&config.shown)?
        } else {
            toml::to_string(&config.shown)?
        };
        writeln!(std::io::stdout(), "{}", text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    server::log_to_stderr(variable("CARNET_LOG").as_deref(), "info");
    server::runtime()?.block_on(Box::pin(start(config, args.json)))?;
    Ok(ExitCode::SUCCESS)
}

async fn start(config: Config, json: bool) -> anyhow::Result<()> {
    let env = Env::system();
    let root = open_root(config.root, &config.location, &env)?;
    let settings = Settings {
        url: config.url.clone(),
        development: false,
        spill: Some(config.spill),
        device_codes: config.device_codes,
        managed: BTreeMap::new(),
    };
    let listener = server::listen(config.listen, "carnet serve --listen 127.0.0.1:PORT").await?;
    let broker = Broker::open(settings, &config.location, root, config.policy, env).await?;
    let routes = server::routes(&broker, axum::Router::new());
    let announced = broker.clone();
    server::run(broker, listener, routes, async move {
        tracing::info!(url = %config.url, listen = %config.listen, "ready");
        let base = announced.settings().base().to_owned();
        let setup = if announced.needs_setup().await? {
            Some(format!("{base}/setup/{}", announced.new_setup_secret().await?.expose()))
        } else {
            None
        };
        let mut out = std::io::stdout();
        if json {
            writeln!(
                out,
                "{}",
                json!({"url": base, "listen": config.listen.to_string(), "setupUrl": setup})
            )?;
        } else {
            writeln!(
                out,
                "  carnet {} · ready at {base} (listening on {})",
                env!("CARGO_PKG_VERSION"),
                config.listen
            )?;
            if let Some(link) = setup {
                writeln!(out, "\n  Set-up      {link}")?;
                writeln!(out, "              works once, for 15 minutes; a restart makes a new one")?;
            }
        }
        Ok(())
    })
    .await
}

fn open_root(root: Root, location: &Location, env: &Env) -> anyhow::Result<EngineRoot> {
    let place = match location {
        Location::Folder(data) => KeyPlace::OutsideOf(data),
        Location::Memory | Location::Postgres(_) => KeyPlace::Anywhere,
    };
    Ok(match root {
        Root::Passphrase(passphrase) => EngineRoot::Passphrase(passphrase),
        Root::File { path, make } if make && !path.exists() => {
            let key = FileKey::create(env, &path, place)?;
            tracing::warn!(path = %path.display(), "made a master key; without it the data cannot be read: keep a copy apart from the data");
            EngineRoot::Key(Box::new(key))
        }
        Root::File { path, .. } => EngineRoot::Key(Box::new(FileKey::open(&path, place)?)),
    })
}
