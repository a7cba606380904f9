//! `token`: asks for a token and prints it, and nothing else, on stdout.

use carnet_model::Code;
use carnet_sdk::{AskedSubject, TokenRequest};

use super::args::{SubjectArg, TokenArgs};
use super::consent::{self, Consent};
use super::context::Context;
use super::failure::{Exit, Failure};

/// Asks for a token. When a person has to consent first and one is there, sees to it and asks again.
pub(crate) async fn token(cx: &mut Context<'_>, args: TokenArgs) -> Result<(), Failure> {
    if let (Some(agent), false) = (cx.place.agent, args.print) {
        return Err(read_along(agent, &args.connector));
    }
    let client = cx.client()?;
    let mut ask = request(&args);
    let issued = match client.get_token_response(&args.connector, &ask).await {
        Ok(issued) => issued,
        Err(error) if error.is(Code::UserAuthorizationRequired) => {
            let Consent { installation_id } = consent::obtain(cx, &client, &args, error).await?;
            if installation_id.is_some() {
                ask.installation_id = installation_id;
            }
            client.get_token_response(&args.connector, &ask).await?
        }
        Err(error) => return Err(error.into()),
    };
    if cx.talk.wants_json() { cx.talk.answer(issued.body()) } else { cx.talk.answer(issued.token.expose()) }
}

/// What the flags ask for.
pub(crate) fn request(args: &TokenArgs) -> TokenRequest {
    let subject = args.subject.map(|subject| match subject {
        SubjectArg::App => AskedSubject::App,
        // The server knows who asks.
        SubjectArg::User => AskedSubject::User { id: None, issuer: None },
    });
    let scopes = match &args.scopes {
        Some(text) => {
            text.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        }
        None if args.no_default_scopes => Vec::new(),
        None => vec!["*".to_owned()],
    };
    TokenRequest {
        subject,
        scopes: Some(scopes),
        installation_id: args.installation_id.clone(),
        ..TokenRequest::default()
    }
}

fn read_along(agent: &str, connector: &str) -> Failure {
    let message = format!(
        "A coding agent reads along ({agent} is set), and would put the token into its model's context."
    );
    Failure::new("agent_reads_along", message)
        .exit(Exit::Denied)
        .next(format!("carnet token {connector} --print"), "if it may know the token")
        .next("carnet env pull", "to let your program ask for its own")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::args::{Cli, ClientCommand, Command, Verb};

    fn wire(line: &str) -> Value {
        let words = ["carnet", "token", "a/b"].into_iter().chain(line.split('_'));
        let cli = Cli::try_parse_from(words.filter(|word| !word.is_empty())).unwrap();
        let Command::Client(ClientCommand::Verb(Verb::Token(args))) = cli.command else { panic!() };
        serde_json::to_value(request(&args)).unwrap()
    }

    #[test]
    fn flags_become_the_request_of_the_wire() {
        for (line, body) in [
            ("", json!({"scopes": ["*"]})),
            ("-s_app", json!({"subject": {"type": "app"}, "scopes": ["*"]})),
            ("--subject_user", json!({"subject": {"type": "user"}, "scopes": ["*"]})),
            ("--scopes_a,b", json!({"scopes": ["a", "b"]})),
            ("--scopes_a b, c", json!({"scopes": ["a", "b", "c"]})),
            ("--no-default-scopes", json!({"scopes": []})),
            ("--no-default-scopes_--scopes_a", json!({"scopes": ["a"]})),
            ("--installation-id_T1", json!({"scopes": ["*"], "installationId": "T1"})),
        ] {
            assert_eq!(wire(line), body, "{line}");
        }
    }
}
