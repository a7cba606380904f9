//! docs/cli.md, made of the commands themselves: `cargo xtask cli-page` writes it, and a test compares it.

use std::fmt::Write;

use clap::{Arg, Command};

use super::failure::CODES;
use super::tree::{root, shown_args, subcommands, takes_value, value_name};

/// The page.
pub(crate) fn render() -> String {
    let root = root();
    let mut page = String::from(HEAD);
    for (exit, meaning) in CODES {
        let _ = writeln!(page, "| {} | {meaning} |", *exit as u8);
    }
    page.push_str(EVERYWHERE);
    table(&mut page, shown_args(&root).filter(|arg| arg.is_global_set()));
    page.push_str("\n## Commands\n");
    contents(&mut page, &root);
    for command in subcommands(&root) {
        // Its commands are those that stand without the word.
        if command.get_name() == "connect" {
            let both = |below: &&Command| root.find_subcommand(below.get_name()).is_some();
            let names: Vec<_> =
                subcommands(command).filter(both).map(|one| format!("`{}`", one.get_name())).collect();
            let _ = writeln!(
                page,
                "\n### `carnet connect`\n\nThe connector commands as `vercel connect` has them. These stand with and \
                 without the word: {}.",
                names.join(", ")
            );
            for below in subcommands(command).filter(|below| root.find_subcommand(below.get_name()).is_none())
            {
                section(&mut page, "carnet connect", below);
            }
        } else {
            section(&mut page, "carnet", command);
        }
    }
    page
}

/// Where each command stands on the page.
fn contents(page: &mut String, root: &Command) {
    page.push_str("\n| | |\n|---|---|\n");
    for command in subcommands(root) {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "| [`carnet {name}`](#carnet-{name}) | {about} |");
    }
}

fn section(page: &mut String, above: &str, command: &Command) {
    let name = format!("{above} {}", command.get_name());
    let _ = writeln!(page, "\n### `{name}`\n");
    if let Some(about) = command.get_about() {
        let _ = writeln!(page, "{about}.");
    }
    let aliases: Vec<_> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        let _ = writeln!(page, "\nAlso as {}.", aliases.join(", "));
    }
    let own: Vec<_> =
        shown_args(command).filter(|arg| !arg.is_global_set() && arg.get_id() != "help").collect();
    if !own.is_empty() {
        page.push('\n');
        table(page, own.into_iter());
    }
    for below in subcommands(command) {
        section(page, &name, below);
    }
}

fn table<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    page.push_str("| | |\n|---|---|\n");
    for arg in args.filter(|arg| arg.get_id() != "help") {
        let mut names: Vec<String> = Vec::new();
        names.extend(arg.get_short().map(|short| format!("-{short}")));
        names.extend(arg.get_long().map(|long| format!("--{long}")));
        let mut name = names.join(", ");
        if takes_value(arg) {
            let value = if arg.get_possible_values().is_empty() {
                value_name(arg)
            } else {
                let values: Vec<_> =
                    arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
                values.join("|")
            };
            name = [name, value].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        }
        let defaults: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default = if defaults.is_empty() || !takes_value(arg) {
            String::new()
        } else {
            format!(" ({})", defaults.join(", "))
        };
        // A bar would end the cell.
        let (name, help) = (name.replace('|', "\\|"), help.replace('|', "\\|"));
        let _ = writeln!(page, "| `{name}` | {help}{default} |");
    }
}

const HEAD: &str = "\
# Command line

This page is made of the commands themselves; `cargo xtask cli-page` writes it anew.

The answer is on stdout, talk and progress on stderr. With `--json` stdout has exactly one JSON document, for a failure \
too: `{\"error\":{\"code\",\"message\",\"next\":[{\"command\",\"when\"}]}}`. What was warned of is in its `warnings` too, and what a terminal would obey, or what turns the direction of writing, is written as `\\uXXXX`. `carnet --help --json` prints the commands \
with their flags as data, and `carnet COMMAND --help --json` one of them. Nothing is asked of a person where stdin and \
stderr are no terminal, where a coding agent runs the shell, or with `--non-interactive`: what is missing is named. \
\
`CARNET_OUTPUT=json` asks for JSON everywhere, and `--jq` for a part of it: each result of the expression is a line, texts \
as they stand; a failure is then told on stderr, unless `--json` is given besides. `--dry-run`, where a command changes what \
others use, says which projects and live grants would be hit, and hits nothing. At a terminal the beginning of a UID is \
enough where only one connector begins so. Secrets come from `@FILE`, from `@-` (stdin) or from the environment, never from the line. Colour is left out with \
`--no-color`, `NO_COLOR` and `TERM=dumb`.

Which server, as whom, about which team and project follows from the flags, then from `CARNET_URL`, `CARNET_TOKEN`, \
`CARNET_OIDC_TOKEN` or `CARNET_OIDC_TOKEN_FILE`, `CARNET_TEAM` and `CARNET_PROJECT`, then from the nearest \
`.carnet/project.json`, then from what `carnet dev` left in `.carnet/dev.json`, then from the current context \
([Signing in](sign-in.md#a-command-line)). `carnet doctor` says which one counted.

A coding agent is known by the variables that its kind sets (`CLAUDECODE`, `CURSOR_AGENT`, `AI_AGENT` and others). \
`carnet token` then prints a token only with `--print`; `carnet run` gives it to one command instead.

## Exit codes

| | |
|---|---|
";
const EVERYWHERE: &str = "
`carnet run` ends with the code of the command that it ran.

## Everywhere

";

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_the_repository_is_that_of_the_commands() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == super::render(), "docs/cli.md is not that of the commands: cargo xtask cli-page");
    }
}
