//! `run`: fresh tokens in the environment of one child process, and nowhere else.
//!
//! The tokens are asked for, the variables set, and this process becomes the command: what it prints, the signals it
//! gets and its exit code are its own, and nothing of the tokens is left here. With `--mask` this process stays, hands
//! signals on and replaces the tokens in what the command prints: bytes only, not what the command makes of them.

mod masked;

#[cfg(test)]
pub(crate) use masked::code_of;

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitCode};

use carnet_model::{Environment, SecretString};
use carnet_sdk::{Client, Connector, Credential};

use super::args::RunArgs;
use super::context::{Context, no_project};
use super::envfile::is_name;
use super::failure::{Exit, Failure};
use super::token::{Wish, again, obtain};

/// Asks for the tokens and becomes the command.
pub(crate) fn run(mut cx: Context<'_>, args: &RunArgs) -> Result<ExitCode, Failure> {
    let Some((program, words)) = args.command.split_first() else {
        return Err(Failure::usage("There is no command after --."));
    };
    let variables =
        super::wait(Box::pin(gather(&mut cx, args))).map_err(|failure| cx.with_way_back(failure))?;
    let mut command = child(program, words, &variables);
    command.current_dir(&cx.place.folder);
    let failed = |error: &io::Error| {
        let name = program.to_string_lossy();
        let failure = Failure::new("command_failed", format!("{name} cannot be started.")).because(error);
        match error.kind() {
            io::ErrorKind::NotFound => failure
                .exit(Exit::NotFound)
                .next(format!("command -v {name}"), "to see whether it is installed, and where"),
            _ => failure.next(format!("ls -l {name}"), "to see whether you may run it"),
        }
    };
    if args.mask {
        let tokens = variables.into_iter().map(|(_, token)| token).collect();
        return super::wait(masked::run(&mut cx, command, tokens, failed));
    }
    (cx.place.become_command)(command).map_err(|error| failed(&error))
}

/// The command with the tokens that were asked for, and without what they were asked for with: that gets any other.
fn child(program: &OsString, words: &[OsString], variables: &[(String, SecretString)]) -> Command {
    let mut command = Command::new(program);
    command.args(words).env_remove("CARNET_TOKEN").env_remove("CARNET_OIDC_TOKEN");
    command.envs(variables.iter().map(|(name, token)| (name, token.expose())));
    command
}

/// The variables with their tokens, in the order of the flags.
async fn gather(cx: &mut Context<'_>, args: &RunArgs) -> Result<Vec<(String, SecretString)>, Failure> {
    let client = cx.client()?;
    let client = match &args.environment {
        Some(environment) => as_project(cx, &client, environment).await?,
        None => client,
    };
    let mut variables: Vec<(String, SecretString)> = Vec::with_capacity(args.connector.len());
    for flag in &args.connector {
        let (chosen, name) = match flag.split_once('=') {
            Some((variable, name)) if is_name(variable) => (Some(variable.to_owned()), name),
            Some((variable, _)) => {
                return Err(Failure::usage(format!("{variable:?} cannot name a variable."))
                    .next("carnet run -c NAME=CONNECTOR -- CMD", "with a name of letters, digits and _"));
            }
            None => (None, flag.as_str()),
        };
        let (variable, name) = if let Some(variable) = chosen {
            (variable, name.to_owned())
        } else {
            let found = cx.connector(&client, name).await?;
            (usual(&found), found.uid)
        };
        let name = name.as_str();
        if variables.iter().any(|(known, _)| *known == variable) {
            return Err(Failure::usage(format!("Two connectors would set {variable}."))
                .next(format!("carnet run -c NAME={name} … -- CMD"), "to give one another variable"));
        }
        let again = again(name, &args.ask);
        let wish = Wish { connector: name, ask: &args.ask, yes: args.yes, again: &again };
        let issued = obtain(cx, &client, &wish).await?;
        variables.push((variable, issued.token.duplicate()));
    }
    Ok(variables)
}

/// The same client, as a workload of the linked project.
async fn as_project(cx: &Context<'_>, client: &Client, environment: &str) -> Result<Client, Failure> {
    if !client.is_member() {
        return Err(Failure::usage("A workload identity says in which environment it is; leave -e out."));
    }
    if cx.settings.project.is_none() {
        return Err(no_project());
    }
    let project = cx.project(client, None).await?;
    let environment: Environment = super::access::environment(client, &project, environment).await?;
    let identity = client.identity_token(&project.id.to_string(), environment, None).await?;
    Ok(client.with_credential(Credential::Identity(identity)))
}

/// The variable that the service's own tools read, if the server knows it; else one named after the connector.
fn usual(connector: &Connector) -> String {
    let known = connector.rest.get("tokenVariable").and_then(serde_json::Value::as_str);
    match known.filter(|name| is_name(name) && names_a_secret(name)) {
        Some(name) => name.to_owned(),
        None => of_uid(&connector.uid),
    }
}

/// `CARNET_TOKEN_<UID>`
fn of_uid(uid: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("CARNET_TOKEN_{}", uid.chars().map(letter).collect::<String>())
}

/// No answer of a server sets what programs obey, such as `PATH` or `LD_PRELOAD`.
fn names_a_secret(name: &str) -> bool {
    let words: Vec<_> = name.split('_').collect();
    ["TOKEN", "KEY", "SECRET", "PASSWORD", "PAT", "APIKEY"].iter().any(|word| words.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_not_given_what_its_tokens_were_asked_for_with() {
        let of = |variable: &str| {
            let tokens = [(variable.to_owned(), "secret".to_owned().into())];
            let command = child(&"true".into(), &[], &tokens);
            let told = command.get_envs().map(|(name, value)| {
                (name.to_str().unwrap().to_owned(), value.map(|value| value.to_str().unwrap().to_owned()))
            });
            told.collect::<std::collections::BTreeMap<_, _>>()
        };
        let usual = of("SLACK_TOKEN");
        assert_eq!(usual["SLACK_TOKEN"].as_deref(), Some("secret"));
        for name in ["CARNET_TOKEN", "CARNET_OIDC_TOKEN"] {
            assert_eq!(usual.get(name), Some(&None), "{name} is taken out");
            assert_eq!(of(name)[name].as_deref(), Some("secret"), "unless it was named for a token");
        }
    }

    #[test]
    fn a_variable_is_named_after_the_connector_unless_the_service_has_its_own() {
        assert_eq!(of_uid("slack/my-bot"), "CARNET_TOKEN_SLACK_MY_BOT");
        assert_eq!(of_uid("mcp.linear.app/x"), "CARNET_TOKEN_MCP_LINEAR_APP_X");
        for (name, sound) in [
            ("GITHUB_TOKEN", true),
            ("OPENAI_API_KEY", true),
            ("PATH", false),
            ("LD_PRELOAD", false),
            ("NODE_OPTIONS", false),
            ("MONKEY", false),
        ] {
            assert_eq!(names_a_secret(name), sound, "{name}");
        }
    }
}
