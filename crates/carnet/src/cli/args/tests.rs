use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_commands_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn connector_commands_stand_with_and_without_the_word_connect() {
    for line in ["carnet token a/b -s app", "carnet connect token a/b -s app"] {
        let Command::Client(
            ClientCommand::Verb(verb) | ClientCommand::Connect { verb: ConnectVerb::Verb(verb) },
        ) = parse(line).unwrap().command
        else {
            panic!("{line}")
        };
        let Verb::Token(args) = verb else { panic!("{line}") };
        assert_eq!((args.connector.as_str(), args.ask.subject), ("a/b", Some(SubjectArg::App)));
    }
}

#[test]
fn dev_has_its_defaults() {
    let Command::Dev(args) = parse("carnet dev --memory").unwrap().command else { panic!() };
    assert_eq!((args.data, args.port, args.memory), (PathBuf::from(".carnet"), 7070, true));
}

#[test]
fn serve_has_its_own_url_and_everything_else_a_hidden_one() {
    let cli = parse("carnet serve --url https://c.example --data /d").unwrap();
    let Command::Serve(args) = cli.command else { panic!() };
    assert_eq!(args.url.as_deref(), Some("https://c.example"));
    for line in ["carnet --url http://h:1 list", "carnet list --url http://h:1"] {
        assert_eq!(parse(line).unwrap().global.url.as_deref(), Some("http://h:1"));
    }
    let mut list = Cli::command().find_subcommand("list").unwrap().clone();
    assert!(!list.render_long_help().to_string().contains("--url"));
}

#[test]
fn what_could_be_misread_is_refused() {
    for line in [
        "carnet",
        "carnet connect",
        "carnet nope",
        "carnet create",
        "carnet create x --connector-type oauth",
        "carnet token a/b --subject martian",
        "carnet token a/b --format yaml",
        "carnet token a/b --token t",
        "carnet revoke-tokens a/b",
        "carnet revoke-tokens a/b --my-tokens --all-tokens",
        "carnet serve --provider-origin https://a=http://b",
        "carnet serve --data d --database-url postgres://h/d",
        "carnet dev --port 70000",
        "carnet list --limit 0",
        "carnet projects trust p --issuer https://i --account a -e production",
        "carnet projects trust p --family x --jwks-uri https://i --jwks-file f -e production",
        "carnet projects trust p --algorithm HS256",
        "carnet projects trust list --family x",
        "carnet teams update",
        "carnet teams update --strict-connectors perhaps",
        "carnet members invite",
        "carnet members update a@b --role king",
        "carnet tokens create",
        "carnet tokens create x --expires 5",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_wish_for_json_is_seen_in_a_line_that_cannot_be_read() {
    let asks = |line: &str| asks_for_json(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
    for line in ["carnet nope --json", "carnet -F json nope", "carnet x --format=json", "carnet x -Fjson"] {
        assert!(asks(line), "{line}");
    }
    for line in ["carnet nope", "carnet x -F yaml", "carnet x -- --json"] {
        assert!(!asks(line), "{line}");
    }
}

#[test]
fn what_clap_says_becomes_one_sentence() {
    let error = parse("carnet create").unwrap_err();
    assert_eq!(sentence(&error), "the following required arguments were not provided: <SERVICE>");
}
