//! What could stand at the end of a line, for the shells: commands, flags, their values, and the names of what there is.
//!
//! The scripts that [`completions`](super::completions) prints ask this. Names come from the server if it answers within
//! a second; that it does not is never a failure here, and nothing is ever asked of a person.

use std::time::Duration;

use carnet_sdk::ConnectorFilter;
use clap::{Arg, Command};
use serde_json::json;

use super::args::CompleteArgs;
use super::context::Context;
use super::failure::Failure;
use super::login;
use super::talk::plain;
use super::tree::{self, shown_args, subcommands, takes_value, value_name};

/// A candidate and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    text: String,
    about: String,
}

/// What is expected where the cursor stands.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// One of these.
    Of(Vec<Candidate>),
    /// The name of a thing.
    Named(Thing),
}

/// What a server can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Connector,
    Project,
    Environment,
    Context,
}

/// Prints what could complete the last of these words, one a line, with what it is after a tab.
pub(crate) async fn complete(cx: &mut Context<'_>, args: CompleteArgs) -> Result<(), Failure> {
    let (last, words) = match args.words.split_last() {
        Some((last, words)) => (last.as_str(), words),
        None => ("", &[][..]),
    };
    let found = match expected(&tree::root(), words, last) {
        Expected::Of(candidates) => candidates,
        Expected::Named(thing) => {
            tokio::time::timeout(PATIENCE, names(cx, thing, last)).await.unwrap_or_default()
        }
    };
    // What stands before `=` stays: VARIABLE=CONNECTOR.
    let (kept, last) = last
        .split_once('=')
        .map_or(("", last), |(variable, rest)| (last.get(..=variable.len()).unwrap_or_default(), rest));
    let fits: Vec<_> = found.into_iter().filter(|candidate| candidate.text.starts_with(last)).collect();
    // A shell asks, and `CARNET_OUTPUT` is not meant for it.
    if cx.asks_for_json() {
        let all: Vec<_> = fits
            .iter()
            .map(|found| json!({"value": format!("{kept}{}", found.text), "about": found.about}))
            .collect();
        return cx.talk.document(&json!({ "candidates": all }));
    }
    for candidate in fits {
        let about = plain(&candidate.about);
        cx.talk.answer(format!("{kept}{}\t{about}", plain(&candidate.text)).trim_end())?;
    }
    Ok(())
}

/// What may stand after these words, where `last` has been begun.
fn expected(root: &Command, words: &[String], last: &str) -> Expected {
    let mut here = root;
    let mut positions = 0;
    let mut wanting: Option<&Arg> = None;
    for word in words {
        if wanting.take().is_some() {
            continue;
        }
        if word == "--" {
            return Expected::Of(Vec::new());
        }
        if word.starts_with('-') {
            wanting = flag(here, word).filter(|arg| takes_value(arg) && !word.contains('='));
        } else if let Some(next) = here.find_subcommand(word) {
            here = next;
            positions = 0;
        } else {
            positions += 1;
        }
    }
    if let Some(arg) = wanting {
        return of_arg(arg);
    }
    if last.starts_with('-') {
        let flags = shown_args(here).filter_map(|arg| Some((arg.get_long()?, arg)));
        return Expected::Of(
            flags.map(|(long, arg)| candidate(format!("--{long}"), arg.get_help())).collect(),
        );
    }
    let below: Vec<_> = subcommands(here)
        .map(|command| candidate(command.get_name().to_owned(), command.get_about()))
        .collect();
    if !below.is_empty() && positions == 0 {
        return Expected::Of(below);
    }
    here.get_positionals().nth(positions).map_or_else(|| Expected::Of(Vec::new()), of_arg)
}

fn flag<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let long = word.strip_prefix("--").map(|long| long.split('=').next().unwrap_or_default());
    let short = word.strip_prefix('-').and_then(|short| short.chars().next());
    command.get_arguments().find(|arg| match long {
        Some(long) => arg.get_long() == Some(long),
        None => short.is_some() && arg.get_short() == short,
    })
}

fn of_arg(arg: &Arg) -> Expected {
    let values = arg.get_possible_values();
    if !values.is_empty() {
        let of =
            |value: &clap::builder::PossibleValue| candidate(value.get_name().to_owned(), value.get_help());
        return Expected::Of(values.iter().map(of).collect());
    }
    match value_name(arg).as_str() {
        "CONNECTOR" => Expected::Named(Thing::Connector),
        "PROJECT" => Expected::Named(Thing::Project),
        "ENVIRONMENT" => Expected::Named(Thing::Environment),
        "CONTEXT" => Expected::Named(Thing::Context),
        _ => Expected::Of(Vec::new()),
    }
}

fn candidate(text: String, about: Option<&clap::builder::StyledStr>) -> Candidate {
    Candidate { text, about: about.map(ToString::to_string).unwrap_or_default() }
}

/// The names of what there is; none if the server cannot be asked.
async fn names(cx: &Context<'_>, thing: Thing, last: &str) -> Vec<Candidate> {
    let named = |text: String, about: String| Candidate { text, about };
    if thing == Thing::Context {
        let Ok(logins) = login::file(cx) else { return Vec::new() };
        return logins.all().map(|known| named(known.name, known.url)).collect();
    }
    let Ok(client) = cx.settings.client_without_project() else { return Vec::new() };
    match thing {
        Thing::Context => Vec::new(),
        Thing::Connector => {
            let search = last.rsplit('=').next().filter(|text| !text.is_empty()).map(str::to_owned);
            let filter = ConnectorFilter { limit: Some(100), search, ..ConnectorFilter::default() };
            let found = client.connectors(&filter).await.map(|page| page.connectors).unwrap_or_default();
            found.into_iter().map(|connector| named(connector.uid, connector.name)).collect()
        }
        Thing::Project => {
            let search = last.rsplit('=').next().filter(|text| !text.is_empty());
            let found = client.projects(search, Some(100)).await.unwrap_or_default();
            found.into_iter().map(|project| named(project.name, project.id.to_string())).collect()
        }
        Thing::Environment => {
            let built_in = carnet_model::Environment::BUILT_IN.iter().map(ToString::to_string);
            let mut all: Vec<_> = built_in.map(|text| named(text, String::new())).collect();
            if let Some(project) = &cx.settings.project {
                let own = client.custom_environments(&project.value).await.unwrap_or_default();
                all.extend(own.into_iter().map(|one| named(one.slug, one.id.to_string())));
            }
            all
        }
    }
}

/// A shell waits for this at every tab.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn after(line: &str) -> Expected {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (last, words) = words.split_last().unwrap();
        expected(&tree::root(), words, last)
    }

    fn texts(line: &str) -> Vec<String> {
        let Expected::Of(found) = after(line) else { panic!("{line}") };
        found.into_iter().map(|candidate| candidate.text).collect()
    }

    #[test]
    fn commands_flags_values_and_names_are_expected_where_they_may_stand() {
        assert!(texts("").contains(&"connect".to_owned()) && !texts("").contains(&"complete".to_owned()));
        assert!(texts("connect rev").contains(&"revoke-tokens".to_owned()));
        assert!(texts("token --").contains(&"--no-default-scopes".to_owned()));
        assert!(texts("--json --").contains(&"--team".to_owned()));
        assert_eq!(texts("token -s "), ["app", "user"]);
        assert_eq!(texts("token a/b --subject "), ["app", "user"]);
        assert_eq!(after("token "), Expected::Named(Thing::Connector));
        assert_eq!(after("connect token "), Expected::Named(Thing::Connector));
        assert_eq!(after("run -c "), Expected::Named(Thing::Connector));
        assert_eq!(after("attach a/b -p "), Expected::Named(Thing::Project));
        assert_eq!(after("attach a/b -e "), Expected::Named(Thing::Environment));
        assert_eq!(after("--team x token "), Expected::Named(Thing::Connector));
        assert_eq!(after("context use "), Expected::Named(Thing::Context));
        assert_eq!(after("list --context "), Expected::Named(Thing::Context));
        assert_eq!(texts("token a/b "), Vec::<String>::new());
        assert_eq!(texts("run -c a/b -- "), Vec::<String>::new());
    }
}
