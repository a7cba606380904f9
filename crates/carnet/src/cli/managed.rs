//! `managed`: the applications that connectors of all teams are made from, for the operator.

use std::collections::BTreeMap;

use carnet_sdk::{ManagedApp, ManagedAppChange, NewManagedApp, OfferedTo};
use serde_json::{Map, Value, json};

use super::args::{ManagedAddArgs, ManagedRemoveArgs, ManagedShowArgs, ManagedUpdateArgs, Switch};
use super::context::Context;
use super::data::{self, Data};
use super::failure::Failure;
use super::hit::Would;
use super::table::{moment, sheet, table};
use super::talk::plain;

/// Lists them.
pub(crate) async fn list(cx: &mut Context<'_>) -> Result<(), Failure> {
    let apps = cx.settings.client_without_project()?.managed_apps().await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "managedApps": apps }));
    }
    if apps.is_empty() {
        cx.talk.say("No application is registered for all teams.");
        cx.talk.say("  carnet managed add SERVICE --data @FILE registers one");
        return Ok(());
    }
    let rows: Vec<_> = apps
        .iter()
        .map(|app| {
            let state = if app.overridden { "the configuration has another" } else { "" };
            vec![
                app.service.clone(),
                way(app),
                whose(app),
                app.connectors.to_string(),
                app.source.clone(),
                state.to_owned(),
            ]
        })
        .collect();
    let lines = table(&["Service", "Way", "For", "Connectors", "Where", ""], &rows);
    lines.iter().try_for_each(|line| cx.talk.answer(line))
}

/// Shows one.
pub(crate) async fn show(cx: &mut Context<'_>, args: ManagedShowArgs) -> Result<(), Failure> {
    let app = cx.settings.client_without_project()?.managed_app(&args.service).await?;
    told(cx, &app)
}

/// Registers one.
pub(crate) async fn add(cx: &mut Context<'_>, args: ManagedAddArgs) -> Result<(), Failure> {
    let kind = args.connector_type.as_deref();
    let Data::Object(data) = data::read(&args.data, kind, &cx.place.folder, cx.talk)? else {
        return Err(no_data(&args.service));
    };
    let new = NewManagedApp {
        service: args.service,
        r#type: args.connector_type,
        connection_method: args.connection_method,
        params: args.params.into_iter().collect(),
        data,
        teams: Some(args.only).filter(|teams| !teams.is_empty()),
        goes_along: args.goes_along,
    };
    let app = cx.settings.client_without_project()?.register_managed_app(&new).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&app);
    }
    cx.talk.success(&format!("The application for {} is registered, for {}.", app.service, whose(&app)));
    if let Some(uri) = &app.redirect_uri {
        cx.talk.say(&format!("  Where people come back to, to enter at the provider: {uri}"));
    }
    cx.talk.say(&format!("  A team makes a connector from it: carnet create {}", app.service));
    Ok(())
}

/// Changes one.
pub(crate) async fn update(cx: &mut Context<'_>, args: ManagedUpdateArgs) -> Result<(), Failure> {
    let mut data = match &args.data {
        None => Map::new(),
        Some(flag) => match data::read(flag, None, &cx.place.folder, cx.talk)? {
            Data::Object(object) => object,
            Data::Question => return Err(no_data(&args.service)),
        },
    };
    if let Some(flag) = &args.rotate_secret {
        let name = "carnet managed update SERVICE --rotate-secret";
        let secret = data::secret(flag, name, cx.place, cx.talk)?;
        data.insert("clientSecret".to_owned(), secret.into());
    }
    let client = cx.settings.client_without_project()?;
    let teams = match (args.all_teams, args.only.is_empty()) {
        (true, _) => Some(OfferedTo::All),
        (_, false) => Some(OfferedTo::Only(args.only)),
        (_, true) => None,
    };
    let params = Some(args.params.into_iter().collect()).filter(|params: &BTreeMap<_, _>| !params.is_empty());
    if args.dry_run {
        let app = client.managed_app(&args.service).await?;
        let mut members: Vec<String> = data.keys().map(|name| format!("data.{name}")).collect();
        members.extend(params.iter().map(|_| "params".to_owned()));
        members.extend(teams.iter().map(|_| "teams".to_owned()));
        members.extend(args.goes_along.iter().map(|_| "goesAlong".to_owned()));
        let what = format!(
            "change {} of the application for {}, from which {} connectors are made",
            members.join(", "),
            app.service,
            app.connectors
        );
        let would = Would::new(what).fact("service", app.service).fact("members", members);
        return would.fact("connectors", app.connectors).tell(cx);
    }
    let change = ManagedAppChange {
        data: Some(data).filter(|data| !data.is_empty()),
        params,
        teams,
        goes_along: args.goes_along.map(|switch| switch == Switch::On),
        force: args.force,
    };
    let app = client.update_managed_app(&args.service, &change).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&app);
    }
    cx.talk.success(&format!(
        "The application for {} is changed, for {} connectors.",
        app.service, app.connectors
    ));
    Ok(())
}

/// Removes one.
pub(crate) async fn remove(cx: &mut Context<'_>, args: ManagedRemoveArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    if args.dry_run {
        let app = client.managed_app(&args.service).await?;
        let what = format!(
            "remove the application for {}, from which {} connectors are made",
            app.service, app.connectors
        );
        return Would::new(what).fact("service", app.service).fact("connectors", app.connectors).tell(cx);
    }
    let question =
        format!("Remove the application for {}? Connectors made from it stop working.", args.service);
    cx.talk.insist(args.yes, &question)?;
    let removed = client.remove_managed_app(&args.service, args.force).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&removed);
    }
    cx.talk.success(&format!("The application for {} is removed.", removed.service));
    if removed.connectors > 0 {
        cx.talk.warn(&format!(
            "{} connectors were made from it; what was granted to them is kept until it is there again",
            removed.connectors
        ));
    }
    Ok(())
}

fn told(cx: &mut Context<'_>, app: &ManagedApp) -> Result<(), Failure> {
    if cx.talk.wants_json() {
        return cx.talk.document(app);
    }
    let (now, relative) = (cx.now(), cx.talk.is_read_by_a_person());
    let in_words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines = vec![
        ("Service", app.service.clone()),
        ("Way", way(app)),
        ("For", whose(app)),
        ("Connectors", app.connectors.to_string()),
        ("Where", app.source.clone()),
    ];
    let said: Vec<_> = app.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.extend(Some(said.join(", ")).filter(|said| !said.is_empty()).map(|said| ("Filled in", said)));
    lines.extend(app.redirect_uri.clone().map(|uri| ("Redirect URI", uri)));
    if app.goes_along {
        lines.push(("Ejecting", "a team may take it along".to_owned()));
    }
    lines.extend(app.created_at.map(|at| ("Registered", moment(at, now, relative))));
    lines.extend(app.updated_at.map(|at| ("Changed", moment(at, now, relative))));
    lines.push(("Sealed", app.encrypted_fields.join(", ")));
    let data: Vec<_> = app
        .data
        .iter()
        .map(|(name, value)| format!("  {}: {}", plain(name), plain(&in_words(value))))
        .collect();
    sheet(&lines).iter().chain(&data).try_for_each(|line| cx.talk.answer(line))
}

fn way(app: &ManagedApp) -> String {
    app.connection_method.clone().unwrap_or_else(|| app.r#type.clone())
}

fn whose(app: &ManagedApp) -> String {
    match &app.teams {
        None => "all teams".to_owned(),
        Some(teams) if teams.is_empty() => "nobody".to_owned(),
        Some(teams) => teams.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn no_data(service: &str) -> Failure {
    Failure::usage("--data has nothing in it.")
        .next(format!("carnet catalog show {service}"), "to see what the application is registered with")
}
