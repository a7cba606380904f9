//! `token`: asks for a token and prints it, and nothing else, on stdout.

use std::sync::Arc;

use carnet_model::{Code, Next};
use carnet_sdk::{AskedSubject, Client, Token, TokenRequest};

use super::args::{AskArgs, SubjectArg, TokenArgs};
use super::consent::{self, Consent};
use super::context::Context;
use super::failure::Failure;

/// A token that somebody wants.
pub(crate) struct Wish<'a> {
    /// Of this connector.
    pub(crate) connector: &'a str,
    /// With these flags.
    pub(crate) ask: &'a AskArgs,
    /// Whether a browser may be opened without asking.
    pub(crate) yes: bool,
    /// The command that opens it.
    pub(crate) again: &'a str,
}

/// Asks for a token. When a person has to consent, or to install, first and one is there, sees to
/// it and asks again.
pub(crate) async fn token(cx: &mut Context<'_>, args: TokenArgs) -> Result<(), Failure> {
    if !args.print && cx.place.agent.is_some() {
        // There is something better than to print it.
        let flags = args.ask.line();
        let instead = format!("carnet run -c {}{flags} -- CMD", args.connector);
        cx.may_print_token(false, &format!("carnet token {}{flags}", args.connector)).map_err(
            |mut failure| {
                let when = "to give it to one command, and to nobody else".to_owned();
                failure.next.insert(0, Next { command: instead, when });
                failure
            },
        )?;
    }
    let client = cx.client()?;
    let again = again(&args.connector, &args.ask);
    let wish = Wish { connector: &args.connector, ask: &args.ask, yes: args.yes, again: &again };
    let issued = obtain(cx, &client, &wish).await?;
    if cx.talk.wants_json() {
        return cx.talk.json_text(issued.body());
    }
    if args.header {
        return cx.talk.answer(&format!("Authorization: Bearer {}", issued.token.expose()));
    }
    cx.talk.answer(issued.token.expose())
}

/// The command that asks for the same and opens the browser.
pub(crate) fn again(connector: &str, ask: &AskArgs) -> String {
    format!("carnet token {connector}{} --yes", ask.line())
}

/// The token, after consent if that is missing and a person is there to give it.
pub(crate) async fn obtain(
    cx: &mut Context<'_>,
    client: &Client,
    wish: &Wish<'_>,
) -> Result<Arc<Token>, Failure> {
    let mut ask = request(wish.ask)?;
    match client.get_token_response(wish.connector, &ask).await {
        Ok(issued) => Ok(issued),
        Err(error) if error.is(Code::NotFound) => {
            let Some(found) = cx.begun(client, wish.connector, &error).await? else {
                return Err(error.into());
            };
            let again = again(&found.uid, wish.ask);
            let wish = Wish { connector: &found.uid, again: &again, ..*wish };
            Box::pin(obtain(cx, client, &wish)).await
        }
        Err(error) if error.is(Code::UserAuthorizationRequired) || error.is(Code::InstallationRequired) => {
            let Consent { installation_id } = consent::obtain(cx, client, wish, error).await?;
            if installation_id.is_some() {
                ask.installation_id = installation_id;
            }
            Ok(client.get_token_response(wish.connector, &ask).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// What the flags ask for.
pub(crate) fn request(args: &AskArgs) -> Result<TokenRequest, Failure> {
    let subject = match (args.subject, &args.user) {
        (Some(SubjectArg::App), Some(_)) => {
            return Err(Failure::usage("--user names whom a token acts as, and --subject app says: nobody.")
                .next("the same command without one of them", "to say which is meant"));
        }
        (Some(SubjectArg::App), None) => Some(AskedSubject::App),
        (_, Some(id)) => Some(AskedSubject::user(id)),
        // The server knows who asks.
        (Some(SubjectArg::User), None) => Some(AskedSubject::User { id: None, issuer: None }),
        (None, None) => None,
    };
    Ok(TokenRequest {
        subject,
        scopes: Some(scopes(args)),
        installation_id: args.installation_id.clone(),
        ..TokenRequest::default()
    })
}

/// The scopes that the flags ask for; `*` for the connector's own.
pub(crate) fn scopes(args: &AskArgs) -> Vec<String> {
    match &args.scopes {
        Some(text) => {
            text.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        }
        None if args.no_default_scopes => Vec::new(),
        None => vec!["*".to_owned()],
    }
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
        serde_json::to_value(request(&args.ask).unwrap()).unwrap()
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
            ("--user_alice", json!({"subject": {"type": "user", "id": "alice"}, "scopes": ["*"]})),
            ("--installation-id_T1", json!({"scopes": ["*"], "installationId": "T1"})),
        ] {
            assert_eq!(wire(line), body, "{line}");
        }
    }
}
