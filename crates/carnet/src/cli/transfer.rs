//! `export` and `import`: what a team has set up, written down, and taken over from there or from elsewhere.
//!
//! An export holds everything but secrets, and is safe to keep in a repository. An import reads a file into a [`plan`],
//! says what it is, and makes it: what is there already is left as it is, one thing that cannot be made keeps no other
//! from being made, and the same command again goes on where it stopped.

pub(crate) mod apply;
mod carnet;
mod env;
pub(crate) mod events;
mod export;
mod nango;
pub(crate) mod plan;
mod settings;
pub(crate) mod team;
mod vercel_connect;

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::args::{ImportAllArgs, Source};
use super::context::{Context, no_project};
use super::data::{self, Data};
use super::failure::Failure;

pub(crate) use export::export;

/// Takes over what a file holds.
pub(crate) async fn import(cx: &mut Context<'_>, args: ImportAllArgs) -> Result<(), Failure> {
    let text = read(cx, &args.file)?;
    let with = match &args.with {
        None => Map::new(),
        Some(flag) => match data::read(flag, None, &cx.place.folder, cx.talk)? {
            Data::Object(object) => object,
            Data::Question => Map::new(),
        },
    };
    let client = cx.client()?;
    let mut plan = match args.from {
        Source::Carnet => {
            let mut plan = carnet::read(&text)?;
            if let Some(file) = &args.secrets {
                let now = cx.now().millis();
                carnet::add_secrets(&mut plan, &read(cx, file)?, now)?;
            }
            plan
        }
        source => {
            let project = match &args.project {
                Some(name) => name.clone(),
                None => cx.settings.project.as_ref().ok_or_else(no_project)?.value.clone(),
            };
            let project = client.project(&project).await?;
            let place = plan::Home { project: project.name, environment: args.environment.clone() };
            match source {
                Source::VercelConnect => vercel_connect::read(&text, &place)?,
                Source::Nango => nango::read(&text, &place)?,
                Source::Env | Source::Carnet => env::read(&text, &place, &args.only)?,
            }
        }
    };
    plan.complete(&with)?;
    plan.replace = args.replace;
    if plan.is_empty() {
        return Err(Failure::usage(format!("There is nothing to take over in {}.", args.file.display()))
            .next("carnet import --help", "to see what the file is expected to hold"));
    }
    if args.dry_run {
        return plan.show(cx);
    }
    if !args.yes {
        for note in plan.in_words() {
            cx.talk.say(&note);
        }
    }
    cx.talk.insist(args.yes, "Make all this?")?;
    apply::apply(cx, &client, plan).await
}

/// The file; what is wrong with it is said without quoting it, because it may hold secrets.
fn read(cx: &mut Context<'_>, file: &Path) -> Result<String, Failure> {
    if file.as_os_str() == "-" {
        return data::from_stdin(cx.talk);
    }
    let path = cx.place.folder.join(file);
    fs::read_to_string(&path).map_err(|error| data::unreadable(&path, &error))
}

/// A file as JSON.
fn json(text: &str, source: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| {
        // The place, and not what stands there.
        let (line, column) = (error.line(), error.column());
        unreadable(source, &format!("it is not JSON at line {line}, column {column}"))
    })
}

fn unreadable(source: &str, why: &str) -> Failure {
    Failure::usage(format!("The file is not one of {source}: {why}."))
        .next("carnet import --help", "to see what the file is expected to hold")
}

fn text_of<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn list_of<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}
