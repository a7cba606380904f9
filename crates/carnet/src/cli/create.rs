//! `create`: registers a connector.
//!
//! For a service that the server knows, it says which ways there are and what each needs. Without `--data` the server is
//! asked to take care of the registration itself, where it can. With `--data` the connector is made from what is given
//! there.

mod brought;
mod fitting;

use carnet_model::{Code, SecretString, Time};
use carnet_sdk::{
    Client, ConnectionMethod, Connector, NewConnector, NewTriggers, ServiceDescription, TriggerDestination,
};
use serde_json::{Value, json};

pub(super) use self::brought::{Brought, brought, quoted};
use self::brought::{line, with_what_is_brought};
use self::fitting::{by_data, serves};
use super::args::CreateArgs;
use super::branding;
use super::catalog::parameters;
use super::consent;
use super::context::Context;
use super::data::{self, Data};
use super::failure::Failure;
use super::talk::plain;

/// Registers a connector, attached to the linked project.
pub(crate) async fn create(cx: &mut Context<'_>, args: CreateArgs) -> Result<(), Failure> {
    let data = match (&args.data, &args.key) {
        (Some(flag), _) => Some(data::read(flag, args.connector_type.as_deref(), &cx.place.folder, cx.talk)?),
        (None, Some(flag)) => Some(Data::Object(data::key(flag, cx.place, cx.talk)?)),
        (None, None) => None,
    };
    if args.name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        return Err(Failure::usage("--name is empty.")
            .next(format!("carnet create {} --name NAME", args.service), "to name it"));
    }
    let picture = branding::picture(cx, args.branding.icon.as_deref())?;
    let client = cx.client()?;
    let data = match data {
        Some(Data::Question) => return schema(cx, &client, &args).await,
        Some(Data::Object(object)) => Some(object),
        None => None,
    };
    let project_id = cx.linked_project(&client).await?;
    if args.name.is_none() && project_id.is_none() {
        return Err(Failure::usage("A connector needs a --name where no project is linked.")
            .next(format!("carnet create {} --name NAME", args.service), "to name it"));
    }
    let signing_secret = match &args.triggers.signing_secret {
        Some(flag) => {
            Some(data::secret(flag, "carnet create SERVICE --triggers --signing-secret", cx.place, cx.talk)?)
        }
        None => None,
    };
    let trigger_destination = destination(cx, &client, &args).await?;
    // A type says that everything about the server is in the data.
    let known = match &args.connector_type {
        Some(_) => None,
        None => client.service(&args.service).await?,
    };
    let mut method = match &known {
        Some(known) => way(&args, known, data.is_some())?,
        None => None,
    };
    let r#type = match (&data, &args.connector_type, &known) {
        (Some(_), Some(given), _) => Some(given.clone()),
        (Some(_), None, None) => Some("oauth".to_owned()),
        (Some(data), None, Some(known)) if method.is_none() => {
            let fitting = by_data(&args, known, data);
            method = fitting.method;
            fitting.r#type
        }
        _ => None,
    };
    let new = NewConnector {
        service: args.service.clone(),
        name: args.name.clone(),
        uid: args.uid.clone(),
        project_id,
        environments: None,
        r#type,
        data,
        connection_method: method.map(|method| method.connection_method.clone()),
        target: args.target.clone(),
        params: args.params.iter().cloned().collect(),
        triggers: args.triggers.place.triggers.then_some(NewTriggers { enabled: true, signing_secret }),
        events: args.triggers.events.clone(),
        trigger_destination,
        icon: branding::upload(&client, picture).await?,
        background_color: args.branding.background_color.clone(),
        accent_color: args.branding.accent_color.clone(),
    };
    let had_data = new.data.is_some();
    let made = match make(&client, new, method, &args).await {
        Err(failure) if failure.code == Code::RegistrationRequired.as_str() => {
            register(cx, &client, failure, args.yes).await?
        }
        made => made.map_err(|failure| match &known {
            Some(known) if had_data && method.is_none() && known.connection_methods.len() > 1 => {
                of_several(failure, &args)
            }
            Some(known) => with_what_is_brought(failure, &args, known, method, had_data),
            None => failure,
        })?,
    };
    if cx.talk.wants_json() {
        if let Some(method) = method {
            warn_of_what_nobody_tried(cx, &made, method);
        }
        warn_of_what_is_open(cx, &made);
        warn_of_no_scopes(cx, &made);
        warn_of_no_destination(cx, &made);
        return cx.talk.document(&outline(&made));
    }
    let (service, id, uid) = (&made.service, made.id, &made.uid);
    cx.talk.success(&format!("{service} connector created: {id} (UID {uid})"));
    if let Some(method) = method {
        tell_what_is_left(cx, &made, method);
    }
    if let Some(url) = made.rest.get("triggerUrl").and_then(Value::as_str) {
        cx.talk.say(&format!("  Its provider sends events to {}", plain(url)));
    }
    warn_of_what_is_open(cx, &made);
    warn_of_no_scopes(cx, &made);
    warn_of_no_destination(cx, &made);
    if project_id.is_some() {
        cx.talk.say(&format!("  Attached to the linked project. Try: carnet token {uid}"));
    } else {
        cx.talk.say(&format!("  Attach it to a project: carnet attach {uid} --project PROJECT"));
    }
    Ok(())
}

/// Where a new connector's events go, if that was said; the place of the linked project then.
async fn destination(
    cx: &mut Context<'_>,
    client: &Client,
    args: &CreateArgs,
) -> Result<Option<TriggerDestination>, Failure> {
    let (place, project) = (&args.triggers.place, args.triggers.trigger_project.as_deref());
    if !place.triggers || !(place.name_a_place() || project.is_some()) {
        return Ok(None);
    }
    let project = cx.project(client, project).await?;
    super::access::destination(client, &project, place).await.map(Some)
}

/// What is not managed and comes without data is asked for all the same: the server says what is missing and where it
/// is had.
async fn make(
    client: &Client,
    new: NewConnector,
    method: Option<&ConnectionMethod>,
    args: &CreateArgs,
) -> Result<Connector, Failure> {
    let managed = new.data.is_none() && method.is_none_or(|method| method.create.managed);
    if managed {
        client.create_managed_connector(&new).await.map_err(|error| unmanaged(error, args))
    } else {
        let new = NewConnector { data: Some(new.data.unwrap_or_default()), ..new };
        Ok(client.create_connector(&new).await?)
    }
}

/// Has an application registered in the browser, if a person is there or `--yes` was given; otherwise fails with the page
/// to open.
async fn register(
    cx: &mut Context<'_>,
    client: &Client,
    failure: Failure,
    yes: bool,
) -> Result<Connector, Failure> {
    let text = |name: &str| failure.extra.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(page), Some(verifier)) = (text("registerUrl"), text("verifier")) else { return Err(failure) };
    let Ok(page) = page.parse() else { return Err(failure) };
    let expires_at = failure.extra.get("expiresAt").and_then(Value::as_i64).map(Time::from_millis);
    if !yes && !cx.talk.may_ask() {
        return Err(failure);
    }
    cx.talk.say(&failure.message);
    consent::lead(cx, &page, yes, &failure)?;
    cx.talk.say("Waiting for the application…");
    let verifier = SecretString::new(verifier);
    consent::wait(cx, client, &verifier, expires_at, "registration").await?;
    match client.result_connector(&verifier).await? {
        Some(made) => Ok(client.connector_metadata(&made).await?),
        None => Err(failure),
    }
}

/// The way that is meant: the one that was named, or the only one. `None` leaves it to the server.
fn way<'a>(
    args: &CreateArgs,
    known: &'a ServiceDescription,
    has_data: bool,
) -> Result<Option<&'a ConnectionMethod>, Failure> {
    let ways = &known.connection_methods;
    let failure = |sentence: String| {
        ways.iter().fold(Failure::usage(sentence), |failure, way| {
            let params = if args.params.is_empty() { parameters(way) } else { String::new() };
            failure.next(plain(&format!("{}{params}", line(args, Some(way)))), plain(&way.label))
        })
    };
    let service = plain(&args.service);
    match (&args.connection_method, ways.as_slice()) {
        (Some(name), _) => ways
            .iter()
            .find(|way| way.connection_method == *name)
            .map(Some)
            .ok_or_else(|| failure(format!("{service} has no connection method {}.", plain(name)))),
        (None, [only]) => Ok(Some(only)),
        (None, []) => Ok(None),
        (None, _) if has_data => Ok(None),
        (None, _) if let Some(usual) = usual(args, known) => Ok(Some(usual)),
        (None, _) => Err(failure(format!("{service} can be connected in several ways; name one."))),
    }
}

/// What was brought is refused, and of several ways none was named: another one may take it.
fn of_several(mut failure: Failure, args: &CreateArgs) -> Failure {
    let of_data = |field: &str| field.starts_with("data.");
    if failure.extra.get("field").and_then(Value::as_str).is_some_and(of_data) {
        let command = plain(&format!("carnet catalog show {}", args.service));
        failure.next.retain(|next| next.command != command);
        failure = failure.next(command, "to see its ways, and name one with --connection-method");
    }
    failure
}

/// The way that the server means where nobody names one, if it is for what is to be connected.
fn usual<'a>(args: &CreateArgs, known: &'a ServiceDescription) -> Option<&'a ConnectionMethod> {
    let meant = known.resolved_connection_method.as_ref()?;
    let way = known.connection_methods.iter().find(|way| way.connection_method == *meant)?;
    serves(way, args.target.as_deref()).then_some(way)
}

fn tell_what_is_left(cx: &mut Context<'_>, made: &Connector, method: &ConnectionMethod) {
    if let (Some(redirect), false) =
        (made.rest.get("redirectUri").and_then(Value::as_str), method.create.managed)
    {
        let at = method.settings_url.as_ref().map(|page| format!(" at {page}")).unwrap_or_default();
        cx.talk.say(&format!("  Redirect URI to enter{at}: {redirect}"));
    }
    warn_of_what_nobody_tried(cx, made, method);
}

fn warn_of_what_nobody_tried(cx: &mut Context<'_>, made: &Connector, method: &ConnectionMethod) {
    if method.rest.get("verified").and_then(Value::as_str) == Some("unverified") {
        cx.talk.warn(&format!(
            "Nobody has tried what the catalog says of {}. See where it comes from: carnet catalog show {}",
            made.service, made.service
        ));
    }
}

/// What the provider was asked about, and did not speak about.
fn warn_of_what_is_open(cx: &mut Context<'_>, made: &Connector) {
    let open = made.rest.get("data").and_then(|data| data.get("notChecked")?.as_array());
    let names: Vec<&str> = open.into_iter().flatten().filter_map(Value::as_str).collect();
    if !names.is_empty() {
        cx.talk.warn(&format!(
            "{} did not say whether these are right: {}. Whether they are shows with the first token: carnet token {}",
            made.service,
            plain(&names.join(", ")),
            made.uid
        ));
    }
}

/// Events that are received, acknowledged and forwarded to nobody.
fn warn_of_no_destination(cx: &mut Context<'_>, made: &Connector) {
    let is_on =
        made.rest.get("triggers").and_then(|triggers| triggers.get("enabled")) == Some(&Value::Bool(true));
    let has_some =
        made.rest.get("triggerDestinations").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    if is_on && !has_some {
        cx.talk.warn(&format!(
            "Its events are received and go nowhere, as no project is attached. To forward them: carnet attach {} --project \
             PROJECT --triggers",
            made.uid
        ));
    }
}

/// An OpenID provider refuses whoever asks people for nothing, and says so only to them.
fn warn_of_no_scopes(cx: &mut Context<'_>, made: &Connector) {
    let Some(data) = made.rest.get("data") else { return };
    let texts = |place: &str| data.pointer(place).and_then(Value::as_array).into_iter().flatten();
    let is_openid = texts("/serverConfig/scopes_supported").any(|scope| scope == "openid");
    let asks_nobody = data.pointer("/userAuthorization/enabled") == Some(&Value::Bool(false));
    if is_openid && !asks_nobody && texts("/userAuthorization/scopes").next().is_none() {
        cx.talk.warn(&format!(
            "People will be asked for no scopes, and this server is an OpenID provider, which may refuse that. To ask who they \
             are: carnet update {} --default-scopes openid",
            made.uid
        ));
    }
}

/// The members that `vercel connect create --json` prints, `null` where there is nothing.
fn outline(made: &Connector) -> Value {
    let rest = |name: &str| made.rest.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": made.id,
        "uid": made.uid,
        "type": made.driver(),
        "name": made.name,
        "supportedSubjectTypes": made.supported_subject_types,
        "icon": rest("icon"),
        "backgroundColor": rest("backgroundColor"),
        "accentColor": rest("accentColor"),
        "service": made.service,
        "connectionMethod": rest("connectionMethod"),
        "target": rest("target"),
    })
}

/// What `--data` may hold, as the server says.
async fn schema(cx: &mut Context<'_>, client: &Client, args: &CreateArgs) -> Result<(), Failure> {
    let known = client.service(&args.service).await?;
    let known = known.as_ref();
    let method = match known {
        Some(known) => way(args, known, true)?,
        None => None,
    };
    let wanted = args.connector_type.as_deref();
    let of_method = method.and_then(|method| method.r#type.create_input_schema.as_ref());
    let of_type = || {
        let mut types = known?.types.iter();
        types.find(|known| wanted.is_none_or(|wanted| wanted == known.r#type))?.create_input_schema.as_ref()
    };
    match of_method.or_else(of_type) {
        Some(schema) => cx.talk.document(schema),
        None => Err(Failure::usage(format!("The server has no schema of --data for {}.", args.service))
            .next(
                format!("carnet create {} --connector-type oauth --data @FILE", args.service),
                "with clientId, clientSecret and serverConfig or serverUrl",
            )),
    }
}

fn unmanaged(error: carnet_sdk::Error, args: &CreateArgs) -> Failure {
    // What is wrong with its name, or with how it looks, no data mends.
    let field = error.refusal().and_then(|refusal| refusal.text("field")).unwrap_or_default();
    let of_data = field.is_empty() || field.starts_with("data") || field == "service";
    let by_hand = of_data && (error.is(Code::InvalidConnector) || error.is(Code::InvalidRequest));
    let named = error.refusal().is_some_and(|refusal| !refusal.next.is_empty());
    let mut failure = Failure::from(error);
    if by_hand && !named {
        failure.next.clear();
        // No client makes a host answer.
        let (more, when) = if failure.message.contains("the host cannot be reached") {
            ("", "once it answers")
        } else {
            (" --data @FILE", "with the client that you registered there")
        };
        failure = failure.next(plain(&format!("{}{more}", line(args, None))), when);
    }
    failure
}
