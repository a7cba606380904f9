//! The commands as data: what `--help --json` prints, what completion knows, and what docs/cli.md is made of.

use clap::{Arg, ArgAction, Command, CommandFactory};
use serde_json::{Map, Value, json};

use super::args::Cli;

/// The command that a line names, as far as it names one: its path and itself.
pub(crate) fn named<'a>(root: &'a Command, words: &[String]) -> (Vec<String>, &'a Command) {
    let mut path = vec![root.get_name().to_owned()];
    let mut here = root;
    for word in words.iter().filter(|word| !word.starts_with('-')) {
        let Some(next) = here.find_subcommand(word) else { break };
        path.push(next.get_name().to_owned());
        here = next;
    }
    (path, here)
}

/// The whole tree, with what every command inherits.
pub(crate) fn root() -> Command {
    let mut root = Cli::command();
    root.build();
    root
}

/// A command with its flags, arguments and everything below it.
pub(crate) fn describe(path: &[String], command: &Command) -> Value {
    let mut out = Map::new();
    out.insert("name".to_owned(), command.get_name().into());
    out.insert("path".to_owned(), path.join(" ").into());
    if let Some(about) = command.get_about() {
        out.insert("about".to_owned(), about.to_string().into());
    }
    let aliases: Vec<_> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        out.insert("aliases".to_owned(), json!(aliases));
    }
    let args: Vec<Value> = shown_args(command).map(argument).collect();
    out.insert("args".to_owned(), args.into());
    let commands: Vec<Value> = subcommands(command)
        .map(|below| describe(&[path, &[below.get_name().to_owned()]].concat(), below))
        .collect();
    if !commands.is_empty() {
        out.insert("commands".to_owned(), commands.into());
    }
    Value::Object(out)
}

/// What stands below a command, without what clap adds and what is hidden.
pub(crate) fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

/// The flags and arguments that people are told of.
pub(crate) fn shown_args(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set())
}

/// Whether a flag or argument takes something.
pub(crate) fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// What it is called in help: `CONNECTOR`.
pub(crate) fn value_name(arg: &Arg) -> String {
    let given = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    given.unwrap_or_else(|| arg.get_id().as_str().to_uppercase())
}

fn argument(arg: &Arg) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("id", arg.get_id().as_str().into());
    if let Some(long) = arg.get_long() {
        put("long", format!("--{long}").into());
    }
    if let Some(short) = arg.get_short() {
        put("short", format!("-{short}").into());
    }
    if takes_value(arg) {
        put("value", value_name(arg).into());
        let values: Vec<_> =
            arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        if !values.is_empty() {
            put("values", json!(values));
        }
        let defaults: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        if !defaults.is_empty() {
            put("default", json!(defaults));
        }
    }
    put("required", arg.is_required_set().into());
    put("repeats", matches!(arg.get_action(), ArgAction::Append).into());
    put("everywhere", arg.is_global_set().into());
    if let Some(help) = arg.get_help() {
        put("help", help.to_string().into());
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_says_what_a_program_needs_to_call_a_command() {
        let root = root();
        let words: Vec<String> = ["connect", "--json", "token"].map(str::to_owned).to_vec();
        let (path, command) = named(&root, &words);
        assert_eq!(path, ["carnet", "connect", "token"]);
        let told = describe(&path, command);
        assert_eq!(told["path"], "carnet connect token");
        let args = told["args"].as_array().unwrap();
        let arg = |id: &str| args.iter().find(|arg| arg["id"] == id).unwrap_or_else(|| panic!("{id}"));
        assert_eq!(
            (&arg("connector")["required"], &arg("connector")["value"]),
            (&json!(true), &json!("CONNECTOR"))
        );
        assert_eq!(arg("subject")["values"], json!(["app", "user"]));
        assert_eq!((&arg("json")["long"], &arg("json")["everywhere"]), (&json!("--json"), &json!(true)));
        assert!(args.iter().all(|arg| arg["id"] != "url"), "what is hidden stays so");
        all_are_told(&describe(&["carnet".to_owned()], &root));
    }

    /// Every command says what it is for, and so does every flag.
    fn all_are_told(command: &Value) {
        assert!(command["about"].is_string(), "{}", command["path"]);
        for arg in command["args"].as_array().unwrap() {
            assert!(arg["help"].is_string(), "{}: {}", command["path"], arg["id"]);
        }
        command["commands"].as_array().into_iter().flatten().for_each(all_are_told);
    }
}
