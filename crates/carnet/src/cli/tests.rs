//! Whole command lines against a real HTTP server that answers as the contract says.

mod access;
mod asking;
mod catalog;
mod contexts;
mod dry;
mod importing;
mod keys;
mod logging;
mod managed;
mod mending;
mod peer;
mod people;
mod redirecting;
mod running;
mod setting_up;
mod stumbling;
mod trusting;
mod usage;
mod ways;
mod who;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carnet_model::Env;
use serde_json::{Value, json};
use url::Url;

use super::surroundings::{Place, Surroundings, Terminal, Variables};
use super::{Servers, folder, run};

const TEAM: &str = "team_0000000000000000000001";
const PROJECT: &str = "prj_0000000000000000000001";
const USER: &str = "usr_0000000000000000000001";
const CONNECTOR: &str = "scl_0000000000000000000001";
const TOKEN: &str = "crn_000000000000000000000000000000000000";

/// A person at a machine: a folder, variables and a terminal.
struct Desk {
    root: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    agent: Option<&'static str>,
    terminal: bool,
    typed: &'static str,
    closes_after: usize,
    full: bool,
}

/// A disk on which there is no room.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a command did.
#[derive(Debug)]
struct Done {
    exit: ExitCode,
    out: String,
    err: String,
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>, usize);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.0.lock().unwrap();
        if self.1 > 0 && text.split(|byte| *byte == b'\n').count() > self.1 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A browser that really asks for the page.
fn visit(page: &Url) -> io::Result<()> {
    let address = page.socket_addrs(|| None)?;
    let mut stream = std::net::TcpStream::connect(address.as_slice())?;
    write!(stream, "GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", page.path())?;
    stream.read_to_string(&mut String::new()).map(drop)
}

impl Desk {
    /// In an empty folder, with nothing set.
    fn bare() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            agent: None,
            terminal: false,
            typed: "",
            closes_after: 0,
            full: false,
        }
    }

    /// Where `carnet dev` runs at this address.
    fn dev(url: &str) -> Self {
        let desk = Self::bare();
        desk.write_dev(url);
        desk
    }

    fn write_dev(&self, url: &str) {
        let dev = json!({"url": url, "teamId": TEAM, "teamSlug": "dev", "projectId": PROJECT,
            "projectName": "my-app", "userId": USER, "accessToken": TOKEN, "oidcToken": "a.b.c"});
        fs::create_dir_all(self.path(".carnet")).unwrap();
        folder::replace(&self.path(".carnet/dev.json"), dev.to_string().as_bytes(), 0o600).unwrap();
    }

    fn write_project(&self, url: &str) {
        let project = json!({"projectId": PROJECT, "teamId": TEAM, "projectName": "my-app", "url": url});
        fs::create_dir_all(self.path(".carnet")).unwrap();
        fs::write(self.path(".carnet/project.json"), project.to_string()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn at_a_terminal(mut self, typed: &'static str) -> Self {
        self.terminal = true;
        self.typed = typed;
        self
    }

    fn typing(mut self, typed: &'static str) -> Self {
        self.typed = typed;
        self
    }

    fn run(&self, line: &[&str]) -> Done {
        self.run_words(line.iter().map(OsString::from).collect())
    }

    fn run_words(&self, line: Vec<OsString>) -> Done {
        let variable =
            |name| self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let (out, err) = (Paper(Arc::default(), self.closes_after), Paper::default());
        let surroundings = Surroundings {
            terminal: Terminal {
                stdin: Box::new(io::Cursor::new(self.typed)),
                stdout: if self.full { Box::new(Full) } else { Box::new(out.clone()) },
                stderr: Box::new(err.clone()),
                stdin_tty: self.terminal,
                stdout_tty: self.terminal,
                stderr_tty: self.terminal,
                color: false,
                echo: |_| {},
            },
            place: Place {
                folder: self.root.path().to_owned(),
                variables: Variables {
                    url: variable("CARNET_URL"),
                    token: variable("CARNET_TOKEN").map(Into::into),
                    oidc_token: variable("CARNET_OIDC_TOKEN").map(Into::into),
                    oidc_token_file: variable("CARNET_OIDC_TOKEN_FILE").map(Into::into),
                    allow_http: variable("CARNET_ALLOW_HTTP").as_deref() == Some("1"),
                    team: variable("CARNET_TEAM"),
                    project: variable("CARNET_PROJECT"),
                    context: variable("CARNET_CONTEXT"),
                    output: variable("CARNET_OUTPUT"),
                },
                agent: self.agent,
                env: Env::system(),
                open: visit,
                become_command: |mut command| command.status().map(super::run::code_of),
                config: Some(self.path("config")),
                patience: Duration::from_millis(5),
            },
        };
        let servers = Servers {
            dev: |args| anyhow::bail!("{} is in use by port {}", args.data.display(), args.port),
            serve: |args| Ok(ExitCode::from(u8::from(args.print_config))),
            backup: |args| anyhow::bail!("{} is not made in a test", args.to.display()),
            restore: |args| anyhow::bail!("{} is not read in a test", args.from.display()),
            admin: |args| anyhow::bail!("{:?} is not done in a test", args.verb),
        };
        let args = std::iter::once(OsString::from("carnet")).chain(line).collect::<Vec<_>>();
        let exit = run(args, surroundings, servers);
        let text = |paper: Paper| String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        Done { exit, out: text(out), err: text(err) }
    }
}

impl Done {
    #[track_caller]
    fn exits(self, code: u8) -> Self {
        assert_eq!(self.exit, ExitCode::from(code), "{self:?}");
        self
    }

    /// The one document on stdout.
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

#[test]
fn help_and_version_are_answers() {
    let desk = Desk::bare();
    for line in [&["--help"][..], &["connect", "--help"], &["serve", "--help"], &["-V"], &["version"]] {
        let done = desk.run(line).exits(0);
        assert!(!done.out.is_empty() && done.err.is_empty(), "{done:?}");
    }
    assert_eq!(desk.run(&["version", "--json"]).exits(0).json()["name"], "carnet");
}

#[test]
fn a_wrong_command_line_exits_with_2_and_is_json_where_json_was_asked_for() {
    let desk = Desk::bare();
    let done = desk.run(&["token"]).exits(2);
    assert!(done.out.is_empty() && done.err.contains("<CONNECTOR>"), "{done:?}");
    for line in
        [&["token", "--json"][..], &["nope", "-F", "json"], &["list", "--format=json", "--limit", "x"]]
    {
        let error = desk.run(line).exits(2).json()["error"].clone();
        assert_eq!(error["code"], "usage");
        assert!(error["message"].is_string() && error["next"][0]["command"].is_string());
    }
}

#[test]
fn a_wrong_line_is_answered_with_what_why_and_the_next_command() {
    let desk = Desk::bare();
    for (line, said, fix) in [
        (&["token", "a/b", "--subjct", "app"][..], "'--subjct'", "carnet token --subject"),
        (&["tokn"], "'tokn'", "carnet token"),
        (&["projects", "lst"], "'lst'", "carnet projects list"),
        (&["token", "a/b", "--subject", "martian"], "'martian'", "carnet token --help"),
        (&["create"], "<SERVICE>", "carnet create --help"),
        (&["create", "x", "--accent-color", "red"], "#RRGGBB", "carnet create --help"),
        (&["list", "--jq", ".a["], "closing bracket", "carnet list --help"),
        (&["list", "--context", "a b"], "letters", "carnet list --help"),
    ] {
        let done = desk.run(line).exits(2);
        assert_eq!(done.err.lines().count(), 2, "{done:?}");
        assert!(done.out.is_empty() && done.err.contains(said), "{done:?}");
        assert!(done.err.contains(&format!("fix: {fix}   ")), "{fix}: {done:?}");
        let error = desk.run(&[line, &["--json"]].concat()).exits(2).json()["error"].clone();
        assert_eq!((&error["code"], &error["next"][0]["command"]), (&json!("usage"), &json!(fix)));
    }
    assert!(desk.run(&["projects", "trust"]).exits(2).err.lines().count() <= 2);
    let told = desk.run(&["connect", "--json"]).exits(2).json();
    assert_eq!(told["error"]["next"][0]["command"], "carnet connect --help");
}

#[test]
fn an_answer_can_be_json_by_a_variable_and_one_member_of_it_by_an_expression() {
    let peer = peer::Peer::usual();
    let desk = Desk::dev(&peer.url);
    assert_eq!(desk.run(&["list", "--jq", ".connectors[].uid"]).exits(0).out, "demo/hello\n");
    assert_eq!(desk.run(&["list", "--json", "--jq", ".connectors | length"]).exits(0).out, "1\n");
    assert_eq!(desk.run(&["token", "demo/hello", "--jq", ".token"]).exits(0).out, "demo-token\n");
    assert_eq!(desk.run(&["version", "--jq=.name"]).exits(0).out, "carnet\n");
    assert_eq!(desk.run(&["--help", "--jq", ".path"]).exits(0).out, "carnet\n");
    // A pipe behind it gets nothing that is no answer; whoever asks for JSON besides has the failure so.
    let done = desk.run(&["show", "a/b", "--jq", ".uid"]).exits(3);
    assert!(done.out.is_empty() && done.err.contains("[not_found]"), "{done:?}");
    assert_eq!(
        desk.run(&["show", "a/b", "--json", "--jq", ".x"]).exits(3).json()["error"]["code"],
        "not_found"
    );
    let done = desk.run(&["list", "--jq", ".connectors.uid"]).exits(2);
    assert!(done.out.is_empty() && done.err.contains("[jq_failed]"), "{done:?}");
    let before = peer.lines().len();
    desk.run(&["remove", "demo/hello", "-a", "-y", "--jq", ".a["]).exits(2);
    assert_eq!(peer.lines().len(), before, "nothing is done for an expression that cannot be read");
    desk.run(&["serve", "--jq", "."]).exits(2);

    let desk = Desk::dev(&peer.url).set("CARNET_OUTPUT", "json");
    assert_eq!(desk.run(&["list"]).exits(0).json()["connectors"][0]["uid"], "demo/hello");
    assert_eq!(desk.run(&["nope"]).exits(2).json()["error"]["code"], "usage");
    assert_eq!(desk.run(&["complete", "--", "token", "dem"]).exits(0).out, "demo/hello\tHello\n");
    let done = Desk::dev(&peer.url).set("CARNET_OUTPUT", "yaml").run(&["list"]).exits(2);
    assert!(done.err.contains("CARNET_OUTPUT") && done.err.contains("json or text"), "{done:?}");
    assert!(Desk::dev(&peer.url).set("CARNET_OUTPUT", "text").run(&["list"]).exits(0).out.starts_with("UID"));
}

#[test]
fn the_beginning_of_a_uid_is_enough_for_a_person_and_never_for_a_script() {
    let peer = peer::Peer::with(|route, _, _| {
        let mut other = peer::connector();
        other["uid"] = json!("demo/other");
        other["id"] = json!("scl_0000000000000000000002");
        (route == "GET /v1/connect/connectors").then(|| (200, json!({"clients": [peer::connector(), other]})))
    });
    let by_id = format!("GET /v1/connect/connectors/{CONNECTOR}");
    let desk = Desk::dev(&peer.url);
    for line in [&["show", "demo/h"][..], &["token", "demo/h"], &["remove", "demo/h", "-a", "-y"]] {
        desk.run(line).exits(3);
    }
    assert!(!peer.lines().contains(&"GET /v1/connect/connectors".to_owned()));
    let desk = desk.at_a_terminal("");
    desk.run(&["show", "demo/h", "--json"]).exits(3);
    let done = desk.run(&["token", "demo/h"]).exits(0);
    assert!(done.out == "demo-token\n" && done.err.contains("demo/hello it is"), "{done:?}");
    desk.run(&["show", "demo/h"]).exits(0);
    assert!(peer.lines().contains(&by_id), "it was asked for by its identifier");
    let done = desk.run(&["show", "demo/"]).exits(3);
    assert!(done.err.contains("fix: demo/hello") && done.err.contains("fix: demo/other"), "{done:?}");
    desk.run(&["show", "nothing"]).exits(3);
}

#[test]
fn servers_are_started_by_main_and_their_failures_look_like_all_others() {
    let desk = Desk::bare();
    desk.run(&["serve", "--print-config"]).exits(1);
    desk.run(&["serve"]).exits(0);
    let error = desk.run(&["dev", "--port", "7", "--json"]).exits(1).json()["error"].clone();
    assert!(error["message"].as_str().unwrap().ends_with("/.carnet is in use by port 7"), "{error}");
    let error = desk.run(&["dev", "--cwd", "/", "--data", "d", "--json"]).exits(1).json()["error"].clone();
    assert_eq!(error["message"], "/d is in use by port 7070");
    let error = desk.run(&["dev", "--cwd", "/elsewhere", "--json"]).exits(2).json()["error"].clone();
    assert_eq!(
        (&error["message"], &error["next"][0]["command"]),
        (&json!("--cwd /elsewhere is no folder."), &json!("pwd"))
    );
}

#[test]
fn every_shell_has_completions() {
    let desk = Desk::bare();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(desk.run(&["completions", shell]).exits(0).out.contains("carnet"), "{shell}");
    }
    assert_eq!(desk.run(&["completions", "bash", "--json"]).exits(0).json()["shell"], "bash");
}

#[test]
fn help_is_data_where_json_is_asked_for() {
    let desk = Desk::bare();
    let tree = desk.run(&["--help", "--json"]).exits(0).json();
    let commands = tree["commands"].as_array().unwrap();
    assert!(commands.iter().any(|command| command["path"] == "carnet token"), "{tree}");
    assert_eq!(desk.run(&["--version", "--json"]).exits(0).json()["name"], "carnet");
    let one = desk.run(&["grants", "revoke", "--help", "--json"]).exits(0).json();
    assert_eq!((&one["path"], &one["args"][0]["id"]), (&json!("carnet grants revoke"), &json!("grant")));
}

#[test]
fn names_that_a_server_has_complete_a_line() {
    let peer = peer::Peer::usual();
    let desk = Desk::dev(&peer.url);
    assert_eq!(desk.run(&["complete", "--", "token", "dem"]).exits(0).out, "demo/hello\tHello\n");
    assert_eq!(desk.run(&["complete", "--", "run", "-c", "X=demo/"]).exits(0).out, "X=demo/hello\tHello\n");
    assert_eq!(
        desk.run(&["complete", "--", "attach", "a/b", "-p", ""]).exits(0).out,
        format!("my-app\t{PROJECT}\n")
    );
    let environments = desk.run(&["complete", "--", "attach", "a/b", "-e", ""]).exits(0).out;
    assert_eq!(environments.lines().next(), Some("production"), "{environments}");
    assert!(desk.run(&["complete", "--", "tok"]).exits(0).out.starts_with("token\t"));
    assert!(desk.run(&["complete", "--", "token", "--sub"]).exits(0).out.starts_with("--subject\t"));
    // Where there is no server, there are no names, and no complaint.
    let done = Desk::dev("http://127.0.0.1:1").run(&["complete", "--", "token", ""]).exits(0);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
    let done = Desk::bare().run(&["complete", "--", "token", ""]).exits(0);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
}

#[test]
fn bash_completes_by_asking() {
    let peer = peer::Peer::usual();
    let desk = Desk::dev(&peer.url);
    let script = desk.run(&["completions", "bash"]).exits(0).out;
    let answer = desk.run(&["complete", "--", "token", "dem"]).exits(0).out;
    fs::write(desk.path("script"), &script).unwrap();
    fs::write(desk.path("answer"), &answer).unwrap();
    // The command itself stands in a function here: what is tried is what the script makes of its answer.
    let run = "carnet() { printf '%s|' \"$@\" > asked; cat answer; }; source ./script; COMP_WORDS=(carnet token dem); \
               COMP_CWORD=2; _carnet; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output =
        std::process::Command::new("bash").args(["-c", run]).current_dir(desk.root.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "demo/hello\n");
    assert_eq!(fs::read_to_string(desk.path("asked")).unwrap(), "complete|--|token|dem|");
}

#[test]
fn every_command_has_a_manual_page() {
    let desk = Desk::bare();
    let done = desk.run(&["man", "pages", "--json"]).exits(0).json();
    let pages = done["pages"].as_array().unwrap();
    assert!(pages.contains(&json!("carnet-grants-revoke.1")) && pages.contains(&json!("carnet.1")), "{done}");
    let page = fs::read_to_string(desk.path("pages/carnet-token.1")).unwrap();
    assert!(page.contains("no\\-default\\-scopes") && page.contains(".TH"), "{page}");
    fs::write(desk.path("file"), "").unwrap();
    assert_eq!(desk.run(&["man", "file", "--json"]).exits(1).json()["error"]["code"], "file_failed");
}
