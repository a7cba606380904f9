//! The command line.
//!
//! [`run()`] is the whole of it: it reads the arguments, does the one thing asked for and returns the exit code. What is
//! promised: stdout holds the answer and nothing else; talk, progress and warnings go to stderr; with `--json` stdout
//! holds exactly one JSON document, for a failure too; a command never waits for a person where no person can be;
//! every failure names what mends it, and its exit code follows from its stable code ([`failure::Exit`]).
//!
//! Nothing here knows the engine. A client command speaks HTTP through `carnet-sdk` as any other program would;
//! `dev`, `serve`, `backup`, `restore` and `admin` are handed in by `main` as [`Servers`]. Neither a runtime nor TLS is set up before
//! a command needs it, so that `carnet --help` costs nothing.

pub(crate) mod access;
pub(crate) mod args;
mod audit;
mod branding;
pub(crate) mod browser;
mod catalog;
mod check;
mod complete;
mod completions;
mod connector_keys;
mod consent;
mod contacts;
mod context;
mod contexts;
mod create;
mod data;
mod deliveries;
mod doctor;
mod eject;
mod envfile;
mod explain;
pub(crate) mod failure;
pub(crate) mod folder;
mod git;
mod grants;
mod hit;
mod identity;
mod import;
mod installations;
mod jq;
mod keys;
mod link;
mod list;
mod login;
mod logins;
mod man;
mod managed;
mod members;
mod open;
mod page;
mod project_urls;
mod projects;
mod pull;
mod redirect_uris;
mod remove;
mod revoke;
mod run;
mod settings;
mod show;
mod status;
mod surroundings;
mod table;
mod talk;
mod teams;
mod token;
mod tokens;
pub(crate) mod transfer;
mod tree;
mod trust;
mod update;
mod usage;
mod version;
mod whoami;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use args::{
    AdminArgs, AuditVerb, BackupArgs, BackupVerb, CatalogVerb, Cli, ClientCommand, Command, ConnectVerb,
    ContactsVerb, ContextVerb, DeliveriesVerb, DevArgs, EnvVerb, Global, GrantsVerb, InstallationsVerb,
    KeysVerb, ManagedVerb, MembersVerb, ProjectsVerb, RestoreArgs, RunArgs, ServeArgs, TeamsVerb,
    TokensListArgs, TokensVerb, Verb,
};
use context::Context;
use failure::{Exit, Failure};
pub(crate) use surroundings::Surroundings;

/// The commands that know the engine: two servers, which stay in the foreground until they are stopped, and three for
/// whoever has the data in hand.
#[derive(Clone, Copy)]
pub(crate) struct Servers {
    /// `carnet dev`
    pub(crate) dev: fn(DevArgs) -> anyhow::Result<ExitCode>,
    /// `carnet serve`
    pub(crate) serve: fn(ServeArgs) -> anyhow::Result<ExitCode>,
    /// `carnet backup`
    pub(crate) backup: fn(BackupArgs) -> anyhow::Result<ExitCode>,
    /// `carnet restore`
    pub(crate) restore: fn(RestoreArgs) -> anyhow::Result<ExitCode>,
    /// `carnet admin`
    pub(crate) admin: fn(AdminArgs) -> anyhow::Result<ExitCode>,
}

/// Runs one command line; `args` begins with the program's own name.
pub(crate) fn run(
    args: impl IntoIterator<Item = OsString>,
    surroundings: Surroundings,
    servers: Servers,
) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed =
        Cli::command().try_get_matches_from(&args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return explain(&error, &args, surroundings),
    };
    let (mut talk, place) = surroundings.part(&cli.global);
    let json = talk.wants_json();
    if let Err(failure) = understood(&cli, &place) {
        return talk.fail(&failure);
    }
    let outcome = match cli.command {
        Command::Dev(args) => (servers.dev)(args.at(&place.folder, json)).map_err(Failure::from),
        Command::Serve(args) => (servers.serve)(args.at(&place.folder, json)).map_err(Failure::from),
        Command::Backup(args) => match args.verb() {
            BackupVerb::Create(args) => (servers.backup)(args.at(&place.folder, json)).map_err(Failure::from),
            BackupVerb::Restore(args) => {
                (servers.restore)(args.at(&place.folder, json)).map_err(Failure::from)
            }
            BackupVerb::Verify(args) => {
                let args = RestoreArgs { verify: true, ..args };
                (servers.restore)(args.at(&place.folder, json)).map_err(Failure::from)
            }
        },
        Command::Restore(args) => (servers.restore)(args.at(&place.folder, json)).map_err(Failure::from),
        Command::Admin(args) => {
            (servers.admin)(args.at(&place.folder, json, cli.global.url)).map_err(Failure::from)
        }
        Command::Version => version::print(&mut talk).map(|()| ExitCode::SUCCESS),
        Command::Completions(args) => completions::print(&mut talk, &args).map(|()| ExitCode::SUCCESS),
        Command::Man(args) => man::write(&mut talk, &place.folder, &args).map(|()| ExitCode::SUCCESS),
        Command::CliPage => talk.raw(&page::render()).map(|()| ExitCode::SUCCESS),
        Command::Run(args) => {
            Context::new(&mut talk, &place, &cli.global).and_then(|context| run::run(context, &args))
        }
        Command::Client(
            ClientCommand::Verb(Verb::Token(args))
            | ClientCommand::Connect { verb: ConnectVerb::Verb(Verb::Token(args)) },
        ) if !args.exec.is_empty() => Context::new(&mut talk, &place, &cli.global)
            .and_then(|context| run::run(context, &RunArgs::from(args))),
        Command::Client(command) => Context::new(&mut talk, &place, &cli.global)
            .and_then(|mut context| {
                let done = wait(Box::pin(dispatch(&mut context, command)));
                done.map_err(|failure| context.with_way_back(failure))
            })
            .map(ExitCode::from),
    };
    outcome.unwrap_or_else(|failure| talk.fail(&with_next(failure, &args)))
}

/// A failure that names nothing that mends it leads to what the command takes.
fn with_next(failure: Failure, args: &[OsString]) -> Failure {
    if !failure.next.is_empty() || failure.is_unheard() || failure.code == "canceled" {
        return failure;
    }
    let words: Vec<_> = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let path = tree::named(&tree::root(), &words).0.join(" ");
    failure.next(format!("{path} --help"), "to see what it takes")
}

/// What cannot be said by the flags alone.
fn understood(cli: &Cli, place: &surroundings::Place) -> Result<(), Failure> {
    if let Some(output) =
        place.variables.output.as_deref().filter(|output| !matches!(*output, "json" | "text"))
    {
        let said = talk::plain(output);
        return Err(Failure::usage(format!("CARNET_OUTPUT is {said:?}, and can be json or text."))
            .next("unset CARNET_OUTPUT", "to have answers for people"));
    }
    if let Some(folder) = cli.global.cwd.as_deref().filter(|_| !place.folder.is_dir()) {
        let said = talk::plain(&folder.to_string_lossy());
        return Err(Failure::usage(format!("--cwd {said} is no folder."))
            .next("pwd", "to see from where the path is meant"));
    }
    let serves =
        matches!(cli.command, Command::Dev(_) | Command::Serve(_) | Command::Backup(_) | Command::Restore(_));
    if serves && cli.global.jq.is_some() {
        return Err(Failure::usage(
            "--jq is for the answers of a server, and this command is none's client.",
        )
        .next("the same command with --json", "to have its answer whole"));
    }
    Ok(())
}

/// A client command waits for one server: one thread is enough, and starts fastest.
fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::new("internal", "No runtime can be started.").because(&error))?;
    runtime.block_on(work)
}

async fn dispatch(cx: &mut Context<'_>, command: ClientCommand) -> Result<Exit, Failure> {
    if !matches!(command, ClientCommand::Login(_) | ClientCommand::Logout(_) | ClientCommand::Context { .. })
    {
        login::renew(cx).await?;
    }
    match command {
        ClientCommand::Login(args) => login::login(cx, args).await,
        ClientCommand::Logout(args) => login::logout(cx, args).await,
        ClientCommand::Context { verb } => match verb.unwrap_or(ContextVerb::List) {
            ContextVerb::List => contexts::list(cx),
            ContextVerb::Use(args) => contexts::choose(cx, args),
            ContextVerb::Add(args) => contexts::add(cx, args).await,
            ContextVerb::Remove(args) => contexts::remove(cx, args).await,
        },
        ClientCommand::Doctor(args) => return doctor::examine(cx, args).await,
        ClientCommand::Connect { verb: ConnectVerb::Keys(args) } => connector_keys::keys(cx, args).await,
        ClientCommand::Connect { verb: ConnectVerb::Contacts { verb: ContactsVerb::Add(args) } } => {
            contacts::add(cx, args).await
        }
        ClientCommand::Connect { verb: ConnectVerb::Explain(args) } => {
            return explain::explain(cx, args).await;
        }
        ClientCommand::Verb(verb) | ClientCommand::Connect { verb: ConnectVerb::Verb(verb) } => match verb {
            Verb::Check(args) => return check::check(cx, args).await,
            Verb::Create(args) => create::create(cx, *args).await,
            Verb::List(args) => list::list(cx, args).await,
            Verb::Show(args) => show::show(cx, &args.connector).await,
            Verb::Token(args) => token::token(cx, args).await,
            Verb::Attach(args) => access::attach(cx, *args).await,
            Verb::Detach(args) => access::detach(cx, args).await,
            Verb::RedirectUris(args) => redirect_uris::redirect_uris(cx, args).await,
            Verb::Update(args) => update::update(cx, *args).await,
            Verb::Eject(args) => eject::eject(cx, args).await,
            Verb::Open(args) => open::open(cx, args).await,
            Verb::Remove(args) => remove::remove(cx, args).await,
            Verb::RevokeTokens(args) => revoke::revoke(cx, args).await,
            Verb::ImportTokens(args) => import::import(cx, args).await,
        },
        ClientCommand::Link(args) => link::link(cx, args).await,
        ClientCommand::Env { verb } => match verb {
            EnvVerb::Pull(args) => pull::pull(cx, args).await,
            EnvVerb::Print(args) => pull::print(cx, args).await,
        },
        ClientCommand::Projects { verb } => match verb.unwrap_or_default() {
            ProjectsVerb::List(args) => projects::list(cx, args).await,
            ProjectsVerb::Create(args) => projects::create(cx, args).await,
            ProjectsVerb::Show(args) => projects::show(cx, args).await,
            ProjectsVerb::Remove(args) => projects::remove(cx, args).await,
            ProjectsVerb::Url(args) => project_urls::url(cx, args).await,
            ProjectsVerb::HealthWebhook(args) => projects::health_webhook(cx, args).await,
            ProjectsVerb::Trust(args) => trust::run(cx, *args).await,
        },
        ClientCommand::Catalog { verb: CatalogVerb::Search(args) } => catalog::search(cx, args).await,
        ClientCommand::Catalog { verb: CatalogVerb::Show(args) } => catalog::show(cx, args).await,
        ClientCommand::Teams { verb } => match verb.unwrap_or(TeamsVerb::List) {
            TeamsVerb::List => teams::list(cx).await,
            TeamsVerb::Create(args) => teams::create(cx, args).await,
            TeamsVerb::Show => teams::show(cx).await,
            TeamsVerb::Update(args) => teams::update(cx, args).await,
            TeamsVerb::Join(args) => teams::join(cx, args).await,
        },
        ClientCommand::Members { verb } => match verb.unwrap_or(MembersVerb::List) {
            MembersVerb::List => members::list(cx).await,
            MembersVerb::Invite(args) => members::invite(cx, args).await,
            MembersVerb::Withdraw(args) => members::withdraw(cx, args).await,
            MembersVerb::Update(args) => members::update(cx, args).await,
            MembersVerb::ResetPassphrase(args) => members::reset_passphrase(cx, args).await,
            MembersVerb::Remove(args) => members::remove(cx, args).await,
        },
        ClientCommand::Tokens { verb } => match verb.unwrap_or(TokensVerb::List(TokensListArgs::default())) {
            TokensVerb::List(args) => tokens::list(cx, args).await,
            TokensVerb::Create(args) => tokens::create(cx, args).await,
            TokensVerb::Revoke(args) => tokens::revoke(cx, args).await,
        },
        ClientCommand::Complete(args) => complete::complete(cx, args).await,
        ClientCommand::Explain(args) => return explain::explain(cx, args).await,
        ClientCommand::Grants { verb } => match verb.unwrap_or_default() {
            GrantsVerb::List(args) => grants::list(cx, args).await,
            GrantsVerb::Show(args) => grants::show(cx, args).await,
            GrantsVerb::Revoke(args) => grants::revoke(cx, args).await,
        },
        ClientCommand::Deliveries { verb } => match verb {
            DeliveriesVerb::List(args) => deliveries::list(cx, args).await,
            DeliveriesVerb::Show(args) => deliveries::show(cx, args).await,
            DeliveriesVerb::Replay(args) => deliveries::replay(cx, args).await,
        },
        ClientCommand::Installations { verb } => match verb {
            InstallationsVerb::List(args) => installations::list(cx, args).await,
            InstallationsVerb::Add(args) => installations::add(cx, args).await,
            InstallationsVerb::Remove(args) => installations::remove(cx, args).await,
        },
        ClientCommand::Export(args) => transfer::export(cx, args).await,
        ClientCommand::Import(args) => transfer::import(cx, args).await,
        ClientCommand::Status => status::status(cx).await,
        ClientCommand::Audit { verb } => match verb {
            AuditVerb::Tail(args) => audit::tail(cx, args).await,
            AuditVerb::Verify => audit::verify(cx).await,
            AuditVerb::Export(args) => audit::export(cx, args).await,
        },
        ClientCommand::Usage(args) => usage::usage(cx, args).await,
        ClientCommand::Keys { verb } => match verb {
            KeysVerb::Status => keys::status(cx).await,
            KeysVerb::Rotate(args) => keys::rotate(cx, args).await,
            KeysVerb::Verify => keys::verify(cx).await,
        },
        ClientCommand::Managed { verb } => match verb.unwrap_or(ManagedVerb::List) {
            ManagedVerb::List => managed::list(cx).await,
            ManagedVerb::Show(args) => managed::show(cx, args).await,
            ManagedVerb::Add(args) => managed::add(cx, args).await,
            ManagedVerb::Update(args) => managed::update(cx, args).await,
            ManagedVerb::Remove(args) => managed::remove(cx, args).await,
        },
        ClientCommand::Whoami => whoami::whoami(cx).await,
    }
    .map(|()| Exit::Done)
}

/// The service of `create SERVICE --help`.
fn service_asked_about(args: &[OsString]) -> Option<String> {
    let words: Vec<_> = args.iter().skip(1).map_while(|word| word.to_str()).collect();
    let create = words.iter().position(|word| *word == "create")?;
    let service = words.get(create + 1).filter(|word| !word.starts_with('-'))?;
    // Of connectors; other things are created too.
    let is_of_connectors = |word: &&str| *word == "connect" || word.starts_with('-');
    words.iter().take(create).all(is_of_connectors).then(|| (*service).to_owned())
}

/// Help is an answer. Everything else that clap says is a failure of usage, in the form that was asked for.
fn explain(error: &clap::Error, args: &[OsString], surroundings: Surroundings) -> ExitCode {
    let jq = args::asked_jq(args).filter(|expression| jq::expression(expression).is_ok());
    let global = Global { json: args::asks_for_json(args), jq, ..Global::default() };
    let (mut talk, place) = surroundings.part(&global);
    if error.kind() == ErrorKind::DisplayHelp && talk.wants_json() {
        let root = tree::root();
        let words: Vec<_> = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        let (path, command) = tree::named(&root, &words);
        let told = talk.document(&tree::describe(&path, command));
        return told.map_or_else(|failure| talk.fail(&failure), |()| ExitCode::SUCCESS);
    }
    if error.kind() == ErrorKind::DisplayVersion && talk.wants_json() {
        let told = version::print(&mut talk);
        return told.map_or_else(|failure| talk.fail(&failure), |()| ExitCode::SUCCESS);
    }
    if !error.use_stderr() {
        let mut text = error.render().to_string();
        if let Some(service) = service_asked_about(args) {
            let known = Context::new(&mut talk, &place, &global)
                .and_then(|mut cx| wait(Box::pin(async move { Ok(catalog::ways(&mut cx, &service).await) })));
            text.push_str(&known.unwrap_or_default());
        }
        return match talk.raw(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => talk.fail(&failure),
        };
    }
    let root = tree::root();
    let words: Vec<_> = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let path = tree::named(&root, &words).0.join(" ");
    let unsaid = matches!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
    );
    if unsaid && !talk.wants_json() {
        talk.explain(error.render().to_string().trim_end());
        return Exit::Usage.into();
    }
    let message =
        if unsaid { format!("{path} does something only with a command.") } else { args::sentence(error) };
    let failure = Failure::usage(message);
    talk.fail(&match args::suggested(error) {
        Some(meant) => failure.next(format!("{path} {meant}"), "if that was meant"),
        None => failure.next(format!("{path} --help"), "to see what it takes"),
    })
}
