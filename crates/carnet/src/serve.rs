//! `carnet serve`: production. One set-up link at the first start, no default password, nothing unsafe.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use carnet_api::{Listening, Metrics, Tls};
use carnet_engine::{Broker, CertificateState, Settings};
use serde_json::json;

use crate::cli::args::ServeArgs;
use crate::config::{Config, Door, variable, with_what_wraps};
use crate::{admin, hygiene, root_key, server};

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
    hygiene::keep_memory_to_ourselves();
    server::runtime()?.block_on(Box::pin(start(config, args.json)))?;
    Ok(ExitCode::SUCCESS)
}

async fn start(config: Config, json: bool) -> anyhow::Result<()> {
    let env = crate::failpoints::env()?;
    let file = config.shown;
    let tried = file.try_folders(&config.location, &config.spill)?;
    let settings = Settings {
        url: config.url.clone(),
        issuer: config.issuer,
        development: false,
        spill: Some(config.spill),
        refreshes_per_second: config.refreshes_per_second,
        answer_within: Settings::ANSWER_WITHIN,
        device_codes: config.device_codes,
        plans: config.plans,
        sign_in: config.sign_in,
        managed: config.managed,
        catalog: config.catalog,
        recovery_key: config.recovery_key,
        acme: config.door.acme(),
    };
    let listener = server::listen(config.listen, "carnet serve --listen 127.0.0.1:PORT").await?;
    let of_metrics = match config.metrics.listen {
        Some(address) => Some(server::listen(address, "another listen in [metrics]").await?),
        None => None,
    };
    let root = root_key::open(config.root, config.next, &config.location, &env, |member, failure| {
        file.told(member, with_what_wraps(member, &config.location, failure))
    })?;
    tried.keep();
    let broker = Broker::open(settings, &config.location, root, config.policy, env).await;
    let broker = broker.map_err(|error| file.blame(error))?;
    let _operator = admin::listen(&broker, &config.location);
    let metrics = Metrics::new(config.metrics.token);
    let routes = server::routes(&broker, axum::Router::new(), &metrics);
    let own = of_metrics.map(|listener| (listener.into(), metrics.router(broker.clone())));
    let cannot = "TLS cannot be set up";
    let mut watching = None;
    let door = match config.door {
        Door::Plain => Listening::from(listener),
        Door::Files(files) => {
            let tls = Tls::with(files.clone(), config.behind_proxy).context(cannot)?;
            broker.tell_certificate(files.state());
            watching = Some(broker.spawn(files.watch(broker.clone())));
            Listening::secured(listener, tls)
        }
        Door::Acme(_) => {
            // Until the first answer there is none.
            broker.tell_certificate(CertificateState::default());
            let tls = Tls::kept_by(broker.clone(), config.behind_proxy).context(cannot)?;
            Listening::secured(listener, tls)
        }
    };
    let listeners = [(door, routes)].into_iter().chain(own).collect();
    let announced = broker.clone();
    let served = server::run(broker, listeners, async move {
        tracing::info!(url = %config.url, listen = %config.listen, "ready");
        let base = announced.settings().base().to_owned();
        let setup = if announced.needs_setup().await? {
            Some(format!("{base}/setup/{}", announced.new_setup_secret().await?.expose()))
        } else {
            None
        };
        let version = env!("CARGO_PKG_VERSION");
        let link = setup.as_deref().map_or_else(String::new, |link| {
            let about = "works once, for 15 minutes; a restart makes a new one";
            format!("\n\n  Set-up      {link}\n              {about}")
        });
        let said = if json {
            json!({"url": base, "listen": config.listen.to_string(), "setupUrl": setup}).to_string()
        } else {
            format!("  carnet {version} · ready at {base} (listening on {}){link}", config.listen)
        };
        server::announce(&said);
        Ok(())
    })
    .await;
    if let Some(watching) = watching {
        watching.abort();
    }
    served
}
