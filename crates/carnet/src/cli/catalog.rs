//! `catalog`: the services that are known, and how each is connected.

use std::time::Duration;

use carnet_sdk::{ConnectionMethod, ServiceDescription, TemplateField};
use serde_json::{Value, json};

use super::args::{CatalogSearchArgs, CatalogShowArgs};
use super::context::Context;
use super::create::{Brought, brought};
use super::failure::{Exit, Failure};
use super::table::{sheet, table};
use super::talk::plain;

/// Lists the services in which some words stand.
pub(crate) async fn search(cx: &mut Context<'_>, args: CatalogSearchArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let found = client.services(&args.words.join(" "), args.category.as_deref()).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "services": found }));
    }
    if found.is_empty() {
        cx.talk.say("No service of the catalog fits. Any other server is connected by its address: carnet create HOST");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|service| {
            let checked = match service.verified.as_str() {
                "read" => "read, not tried",
                known => known,
            };
            vec![
                service.id.clone(),
                service.name.clone(),
                service.methods.join(", "),
                service.categories.join(", "),
                checked.to_owned(),
            ]
        })
        .collect();
    for line in table(&["Service", "Name", "Methods", "Categories", "Facts"], &rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

/// Shows one.
pub(crate) async fn show(cx: &mut Context<'_>, args: CatalogShowArgs) -> Result<(), Failure> {
    let client = cx.client()?;
    let Some(service) = client.service(&args.service).await? else {
        return Err(Failure::new(
            "not_found",
            format!("The catalog has no service {}.", plain(&args.service)),
        )
        .exit(Exit::NotFound)
        .next("carnet catalog search", "to see what there is")
        .next("carnet create HOST", "to connect a server by its address"));
    };
    if cx.talk.wants_json() {
        return cx.talk.document(&service);
    }
    let mut lines = sheet(&about(&service));
    for method in &service.connection_methods {
        lines.push(String::new());
        lines.push(plain(&format!("{}: {}", method.connection_method, method.label)));
        lines.extend(sheet(&way(&args.service, method)).into_iter().map(|line| format!("  {line}")));
        for line in method.instructions.iter().flat_map(|text| text.lines()) {
            lines.push(plain(&format!("  {line}")));
        }
    }
    if !service.scopes.is_empty() {
        lines.push(String::new());
        lines.push("With these scopes it will be able to:".to_owned());
        let rows: Vec<(&str, String)> =
            service.scopes.iter().map(|scope| (scope.scope.as_str(), scope.description.clone())).collect();
        lines.extend(sheet(&rows).into_iter().map(|line| plain(&format!("  {line}"))));
    }
    for line in lines {
        cx.talk.answer(line.trim_end())?;
    }
    Ok(())
}

/// What stands below the help of `create SERVICE`: by which ways the server connects it and what each takes, if it can be
/// asked, and else where that is told.
pub(super) async fn ways(cx: &mut Context<'_>, service: &str) -> String {
    let known = match cx.client() {
        Ok(client) => tokio::time::timeout(PATIENCE, client.service(service)).await.ok().and_then(Result::ok),
        Err(_) => None,
    };
    let service = plain(service);
    let mut lines = vec![String::new()];
    if let Some(known) = known.flatten() {
        lines.push(plain(&format!("{}:", known.name.as_deref().unwrap_or(&service))));
        for method in &known.connection_methods {
            lines.push(plain(&format!("  {}: {}", method.connection_method, method.label)));
            lines.extend(sheet(&way(&service, method)).into_iter().map(|line| format!("    {line}")));
            for field in &method.template_fields {
                let help = field.rest.get("help").and_then(Value::as_str).unwrap_or_default();
                lines.push(plain(&format!("    --param {}={}  {help}", field.key, example(field))));
            }
        }
        lines.push(String::new());
    }
    lines.push(format!("All that is known of it: carnet catalog show {service}"));
    lines.push(format!("What --data may hold:    carnet create {service} --data ''"));
    lines.iter().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn about(service: &ServiceDescription) -> Vec<(&'static str, String)> {
    let text = |name: &str| service.rest.get(name).and_then(Value::as_str).map(str::to_owned);
    let list = |name: &str| {
        let all = service.rest.get(name).and_then(Value::as_array)?;
        let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
        Some(all.join(", ")).filter(|all| !all.is_empty())
    };
    let checked = text("checked").unwrap_or_default();
    let facts = match service.verified.as_deref() {
        Some("tried") => format!("tried, {checked}"),
        Some("read") => format!("read in its own documentation, {checked}"),
        _ => format!("unverified: nobody has tried them ({checked})"),
    };
    let targets: Vec<String> = service.targets.iter().map(|target| target.target.clone()).collect();
    [
        ("Service", service.name.clone()),
        ("About", text("description")),
        ("Categories", list("categories")),
        ("Website", text("website")),
        ("Docs", list("docs")),
        ("Variable", text("env")),
        ("Hosts", list("hosts")),
        ("Targets", Some(targets.join(", ")).filter(|targets| !targets.is_empty())),
        ("Facts", Some(facts)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// The parameters that a person must give, as flags with an example each.
pub(super) fn parameters(method: &ConnectionMethod) -> String {
    let asked = method.template_fields.iter().filter(|field| !field.rest.contains_key("default"));
    asked.fold(String::new(), |flags, field| flags + " --param " + &field.key + "=" + &example(field))
}

fn way(service: &str, method: &ConnectionMethod) -> Vec<(&'static str, String)> {
    let name = &method.connection_method;
    let params = parameters(method);
    let data = match brought(method) {
        _ if method.create.managed => String::new(),
        Brought::Key => " --key @-".to_owned(),
        Brought::Object(_) if method.r#type.r#type == "oauth" => " --data @client.json".to_owned(),
        Brought::Object(_) => " --data @FILE".to_owned(),
    };
    let mut rows = vec![
        ("Connect", format!("carnet create {service} --connection-method {name}{params}{data}")),
        ("Type", method.r#type.r#type.clone()),
    ];
    rows.extend(method.description.clone().map(|text| ("When", text)));
    if method.rest.get("verified").and_then(Value::as_str) == Some("unverified") {
        rows.push(("Facts", "unverified".to_owned()));
    }
    let needs = method.rest.get("needs").and_then(Value::as_array);
    let needs: Vec<&str> = needs.into_iter().flatten().filter_map(Value::as_str).collect();
    match brought(method) {
        Brought::Object(object) if !needs.is_empty() || method.r#type.r#type == "api-key" => {
            rows.push(("Needs", format!("{object} in --data")));
        }
        _ => {}
    }
    rows.extend(method.settings_url.clone().map(|page| ("Made at", page)));
    let class = method.rest.get("refresh").and_then(|refresh| refresh.get("class")).and_then(Value::as_str);
    rows.extend(class.map(|class| {
        let words = match class {
            "absent" => "there are no refresh tokens",
            "none" => "a refresh token lives on when it was used",
            "grace" => "a used refresh token lives on for a moment",
            "strict" => "a refresh token works once",
            _ => "not known; a refresh token is taken to work once",
        };
        ("Refresh", words.to_owned())
    }));
    rows
}

/// Help does not keep anybody waiting for a server.
const PATIENCE: Duration = Duration::from_secs(3);

/// What stands in the place of what a person has to fill in.
fn example(field: &TemplateField) -> String {
    field.rest.get("placeholder").and_then(Value::as_str).map_or_else(|| "VALUE".to_owned(), str::to_owned)
}
