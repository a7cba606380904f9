//! `carnet admin`: what whoever has the data of a deployment in hand may do, and nobody else.
//!
//! Having the data and what opens its keys is the right: it is asked for no other. A server that works on a folder holds
//! it alone, so it is asked through a socket in that folder ([`socket`]); where none runs, and for a database that many
//! may work on, the store is opened here.

mod socket;

use std::io::Write as _;
use std::process::ExitCode;

use carnet_engine::{Broker, Held, Location};
use carnet_model::{Code, Env, Fault, Time};
use serde::{Deserialize, Serialize};

use crate::cli::args::{AdminArgs, AdminVerb};
use crate::cli::failure::{Failure, exit_of_code};
use crate::config::{Kept, address};
use crate::{root_key, server};
pub(crate) use socket::listen;

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Ask {
    /// A link by which the person of this account chooses another passphrase.
    ResetPassword { account: String },
    /// A link that sets the deployment up.
    Bootstrap,
}

/// What came of it: a link, told once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    url: String,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
}

/// Why there is nothing.
#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    code: String,
    message: String,
    /// What mends it: a command, and when it is the right one.
    next: Vec<(String, String)>,
}

/// Does it, and prints the link.
pub(crate) fn run(args: AdminArgs) -> anyhow::Result<ExitCode> {
    let ask = match &args.verb {
        AdminVerb::ResetPassword(named) => Ask::ResetPassword { account: named.account.clone() },
        AdminVerb::Bootstrap => Ask::Bootstrap,
    };
    let link = server::runtime()?.block_on(Box::pin(done(ask, &args)))?;
    let url = link.url;
    let mut out = std::io::stdout();
    if args.json {
        let document = serde_json::json!({"url": url, "email": link.email, "expiresAt": link.expires_at});
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{url}")?;
    let said = match link.email {
        Some(email) => format!("Hand it to {email} and nobody else: it works once, for an hour."),
        None => "Whoever opens it first becomes the owner: it works once, for 15 minutes.".to_owned(),
    };
    writeln!(std::io::stderr(), "{said}")?;
    Ok(ExitCode::SUCCESS)
}

/// Where it can be done.
async fn done(ask: Ask, args: &AdminArgs) -> anyhow::Result<Link> {
    let kept = Kept::read(&args.as_served())?;
    if let Location::Folder(data) = &kept.location {
        if let Some(answer) = socket::ask(data, &ask).await? {
            return Ok(answer?);
        }
        // An empty store would be made a deployment of its own.
        if !data.join("carnet.db").exists() {
            return Err(nothing_in(&data.display().to_string()).into());
        }
    }
    // First, because a link is of no use without it, and takes the place of another.
    let base = address(&args.as_served()).map_err(|_| {
        Failure::usage("Nothing here says under which address the server is reached.")
            .next("carnet admin --url https://connect.example.com …", "with the server's")
    })?;
    let env = Env::system();
    let root = root_key::open_existing(kept.root, kept.next, &kept.location, &env)?;
    let held = Held::at(&kept.location, root, env).await?;
    let link = answer(held.broker(), base.as_str().trim_end_matches('/'), &ask).await;
    held.close().await;
    Ok(link.map_err(Failure::from)?)
}

/// Does it in this deployment.
async fn answer(broker: &Broker, base: &str, ask: &Ask) -> Result<Link, Refusal> {
    match ask {
        Ask::ResetPassword { account } => {
            let link = broker.reset_passphrase_as_operator(account).await?;
            let url = link.at(base);
            Ok(Link { url, email: Some(link.user.email), expires_at: Some(link.expires_at) })
        }
        Ask::Bootstrap => {
            if !broker.needs_setup().await? {
                let fault = Fault::new(Code::Conflict, "The deployment is set up: it has an owner.");
                return Err(fault
                    .next("carnet admin reset-password EMAIL", "if its passphrase is lost")
                    .into());
            }
            let secret = broker.new_setup_secret().await?;
            Ok(Link { url: format!("{base}/setup/{}", secret.expose()), email: None, expires_at: None })
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let next = fault.next.into_iter().map(|step| (step.command, step.when)).collect();
        Self { code: fault.code.as_str().to_owned(), message: fault.message, next }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let failure = Self::new(&refusal.code, refusal.message).exit(exit_of_code(&refusal.code));
        refusal.next.into_iter().fold(failure, |failure, (command, when)| failure.next(command, when))
    }
}

fn nothing_in(data: &str) -> Failure {
    Failure::new("not_found", format!("There is no deployment in {data}."))
        .exit(exit_of_code("not_found"))
        .next("carnet admin --data DIR …", "with the folder that the server was started with")
}
