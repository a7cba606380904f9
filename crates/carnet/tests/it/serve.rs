//! `carnet serve`: what it refuses, what it says, and the set-up link.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use carnet_testpg::{Database, Server};
use serde_json::{Value, json};

use crate::broker::{Broker, client, free_port};

fn serve(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.arg("serve").args(args).current_dir(home).env_remove("CARNET_URL").stdin(Stdio::null());
    command
}

fn refused(home: &Path, args: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = serve(home, args).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn an_unsafe_set_up_is_refused_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("bad.toml"), "url = \"https://a.example\"\n\nbehind_prxy = true\n")
        .unwrap();
    std::fs::write(home.path().join("type.toml"), "url = 7\n").unwrap();
    std::fs::write(home.path().join("net.toml"), "[egress]\nallow = [\"127.0.0.0/8\"]\n").unwrap();
    let lines = [
        ("url = 'http://connect.example'", "line 2: The public address must be https"),
        ("url = 'https://connect.example'\nlisten = 'nonsense'", "line 3: --listen"),
        ("url = 'https://connect.example'\nrefreshes_per_second = 0", "line 3: refreshes_per_second"),
        (
            "url = 'https://connect.example'\n[egress]\nallow = [\n'10.0.0.0/8',\n'127.0.0.0/8']",
            "line 6: egress",
        ),
        ("url = 'https://connect.example'\n[egress]\nallow = ['nothing 10.0.0.0/8']", "line 4: egress.allow"),
        ("url = 'https://connect.example'\n[egress]\nroots_file = '/nowhere'", "line 4: Cannot read"),
        ("url = 'https://connect.example'\npassphrase_file = '/nowhere'", "line 3: Cannot read"),
        ("url = 'https://connect.example'\nrecovery_key = 'age2x'", "line 3: recovery_key"),
        ("url = 'https://connect.example'\n[metrics]\ntoken_file = '/nowhere'", "line 4: Cannot read"),
        ("url = 'https://connect.example'\n[metrics]\nlisten = '0.0.0.0:9'", "line 4: metrics.listen"),
        ("url = 'https://connect.example'\n[metrics]\nlisten = '127.0.0.1:7070'", "line 4: metrics.listen"),
        (
            "url = 'https://connect.example'\n[acme]\nterms_accepted = true\ndomains = ['x.example']",
            "line 5: The certificate",
        ),
        (
            "url = 'https://connect.example'\n[acme]\ndomains = ['connect.example']",
            "line 3: The authority at",
        ),
        (
            "url = 'https://connect.example'\n[acme]\n[tls]\ncertificate = 'a'\nprivate_key = 'b'",
            "line 3: The certificate",
        ),
        ("url = 'https://connect.example'\n[usage]\nplan = 'golden'", "line 4: [usage]: there is no plan"),
        (
            "url = 'https://connect.example'\n[[sign_in]]\nname = 'a'\nissuer = 'http://a.example'\nclient_id = 'x'",
            "line 5: sign_in \"a\": issuer",
        ),
    ];
    for (text, says) in lines {
        std::fs::write(home.path().join("line.toml"), format!("# ours\n{text}\n")).unwrap();
        let (code, stderr) = refused(home.path(), &["--config", "line.toml"]);
        assert!(code != 0 && stderr.contains(&format!("line.toml {says}")), "{text} → {code}: {stderr}");
    }
    // What a flag says instead is not the file's fault.
    let args = ["--config", "line.toml", "--url", "http://connect.example"];
    let (code, stderr) = refused(home.path(), &args);
    assert!(code != 0 && stderr.contains("must be https") && !stderr.contains("line 2"), "{stderr}");
    std::fs::write(home.path().join("open.key"), [7_u8; 32]).unwrap();
    for (args, says) in [
        (&["--listen", "127.0.0.1:0"][..], "public address is missing"),
        (&["--url", "http://connect.example"], "must be https"),
        (&["--url", "https://connect.example/path"], "an origin"),
        (&["--url", "https://connect.example", "--listen", "0.0.0.0:7070"], "plain http to the network"),
        (&["--url", "https://connect.example", "--listen", "nonsense"], "not ADDRESS:PORT"),
        (&["--acme", "a.example"], "nobody has said so"),
        (
            &["--acme", "a.example", "--acme-accept-terms", "--url", "https://b.example"],
            "clients would refuse it",
        ),
        (&["--acme", "*.a.example", "--url", "https://b.example"], "proved by DNS alone"),
        (
            &["--acme", "a.example", "--acme-accept-terms", "--acme-directory", "http://ca.example"],
            "no https address",
        ),
        (&["--acme", "a.example", "--acme-accept-terms", "--acme-contact", "ops"], "no mail address"),
        (&["--acme-accept-terms", "--url", "https://a.example"], "names for the certificate are missing"),
        (&["--config", "bad.toml"], "line 3"),
        (&["--config", "type.toml"], "line 1"),
        (&["--config", "missing.toml"], "Cannot read"),
        (&["--url", "https://connect.example", "--database-url", "postgres://x/y"], "same master key"),
        (&["--url", "https://connect.example", "--config", "net.toml"], "127.0.0.0/8"),
    ] {
        let (code, stderr) = refused(home.path(), args);
        assert!(code != 0 && stderr.contains(says), "{args:?} → {code}: {stderr}");
    }
    let exposed = serve(home.path(), &["--url", "https://connect.example", "--listen", "127.0.0.1:0"])
        .env("CARNET_MASTER_KEY_FILE", "open.key")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&exposed.stderr).into_owned();
    assert!(!exposed.status.success() && stderr.contains("fix: chmod 600 "), "{stderr}");
    let (code, stderr) = refused(
        home.path(),
        &["--url", "https://connect.example", "--provider-origin", "https://a.example=http://b"],
    );
    assert!(code == 2, "serve has no --provider-origin: {stderr}");
}

#[tokio::test]
async fn the_first_owner_comes_by_a_link_that_works_once() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut child = serve(home.path(), &["--json", "--url", &url, "--listen", &format!("127.0.0.1:{port}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let link = said["setupUrl"].as_str().unwrap().to_owned();
    let http = client();
    let page = http.get(&link).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let secret = link.rsplit('/').next().unwrap().to_owned();
    let form = [
        ("form_token", secret.as_str()),
        ("team", "Acme Inc"),
        ("name", "Ada"),
        ("email", "ada@acme.test"),
        ("passphrase", "correct horse battery"),
    ];
    let body = form
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace(' ', "+").replace('@', "%40")))
        .collect::<Vec<_>>()
        .join("&");
    let post = async || {
        http.post(&link)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.clone())
            .send()
            .await
            .unwrap()
    };
    let done = post().await;
    assert_eq!(done.status(), 200);
    let text = done.text().await.unwrap();
    let at = text.find("crn_").unwrap();
    let token = &text[at..at + 40];
    let me: Value =
        http.get(format!("{url}/v2/user")).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    assert_eq!(me["user"]["email"], "ada@acme.test");
    let team: Value = http
        .get(format!("{url}/teams/acme-inc"))
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(team["name"], "Acme Inc");
    assert_eq!(post().await.status(), 410, "the link works once");
    // A loopback provider is for development only.
    let refused = http
        .post(format!("{url}/v1/connect/connectors"))
        .bearer_auth(token)
        .json(&json!({"service": "x", "name": "x", "type": "oauth", "data": {"clientId": "a", "serverUrl": "http://127.0.0.1:1"}}))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 422);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The database goes away under a running server: 503 within two seconds, no token, and service again when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_is_said_within_two_seconds() {
    if Database::create().await.unwrap().is_none() {
        return;
    }
    let server = Server::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start(home.path(), free_port(), Some(&format!("{}/postgres", server.url()))).await;
    let dev = broker.dev().await;
    let http = client();
    let ask = async || {
        http.post(format!("{}/v1/connect/token/demo%2Fhello", broker.url))
            .bearer_auth(dev["oidcToken"].as_str().unwrap())
            .json(&json!({"subject": {"type": "app"}}))
            .send()
            .await
            .unwrap()
    };
    assert_eq!(ask().await.status(), 200);
    drop(server);
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        let answer = ask().await;
        let took = begun.elapsed();
        assert_eq!(answer.status(), 503, "no token without a durable record");
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "store_unavailable");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert_eq!(http.get(format!("{}/livez", broker.url)).send().await.unwrap().status(), 200);
    // What was found out a moment ago may still be said.
    let begun = std::time::Instant::now();
    while http.get(format!("{}/readyz", broker.url)).send().await.unwrap().status() != 503 {
        assert!(begun.elapsed() < Duration::from_secs(2), "ready without a database");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(http.get(format!("{}/.well-known/jwks", broker.url)).send().await.unwrap().status(), 200);
}

/// A proxy on this machine must not open the figures, whatever it writes into requests.
#[tokio::test]
async fn figures_are_read_with_a_token_or_at_a_listener_of_their_own() {
    let http = client();
    let get = async |port: u16, path: &str, headers: &[(&str, &str)]| {
        let mut request = http.get(format!("http://127.0.0.1:{port}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let token = "0123456789abcdef0123456789abcdef";
    for with_token in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let (door, own) = (free_port(), free_port());
        let mut text = format!("[metrics]\nlisten = \"127.0.0.1:{own}\"\n");
        if with_token {
            std::fs::write(home.path().join("token"), format!("{token}\n")).unwrap();
            let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(home.path().join("token"), own).unwrap();
            text = format!("{text}token_file = \"{}\"\n", home.path().join("token").display());
        }
        std::fs::write(home.path().join("carnet.toml"), text).unwrap();
        let listen = format!("127.0.0.1:{door}");
        let args = ["--config", "carnet.toml", "--url", "https://connect.example", "--listen", &listen];
        let mut child = serve(home.path(), &[&args[..], &["--json"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();

        let bearer = format!("Bearer {token}");
        let right = [("authorization", bearer.as_str())];
        let wrong = [("authorization", "Bearer 0123456789abcdef0123456789abcdeF")];
        let proxied = [("x-forwarded-for", "203.0.113.7"), right[0]];
        let asked = [
            get(door, "/metrics", &[]).await.0,
            get(door, "/metrics", &wrong).await.0,
            get(door, "/metrics", &right).await.0,
            get(door, "/metrics", &proxied).await.0,
            get(own, "/metrics", &[]).await.0,
            get(own, "/metrics", &[("x-real-ip", "127.0.0.1")]).await.0,
            get(own, "/metrics", &right).await.0,
        ];
        let (own_answer, elsewhere) =
            (get(own, "/metrics", &right).await.1, get(own, "/readyz", &right).await.0);
        child.kill().unwrap();
        child.wait().unwrap();
        let want = if with_token {
            [401, 401, 200, 200, 401, 401, 200]
        } else {
            [404, 404, 404, 404, 200, 404, 200]
        };
        assert_eq!(asked, want, "with a token: {with_token}");
        assert!(own_answer.contains("carnet_ready 1"), "{own_answer}");
        assert_eq!(elsewhere, 404, "nothing else is there");
    }
}

/// A full disk behind the log, and a reader of it that has gone.
#[tokio::test]
async fn a_log_that_cannot_be_written_costs_its_lines_and_nothing_else() {
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let outputs: [&dyn Fn() -> Stdio; 2] = [&full, &gone];
    for output in outputs {
        for words in [&["dev", "--no-open", "--memory"][..], &["serve", "--data", "data"]] {
            let home = tempfile::tempdir().unwrap();
            let port = free_port();
            let (url, listen) = (format!("http://127.0.0.1:{port}"), format!("127.0.0.1:{port}"));
            let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
            command.args(words).current_dir(home.path()).env_remove("CARNET_URL").env("CARNET_LOG", "debug");
            match words[0] {
                "dev" => command.args(["--port", &port.to_string()]),
                _ => command.args(["--url", &url, "--listen", &listen]),
            };
            let mut child = command.stdin(Stdio::null()).stdout(output()).stderr(output()).spawn().unwrap();
            let ready =
                async || client().get(format!("{url}/readyz")).send().await.is_ok_and(|a| a.status() == 200);
            for _ in 0..600 {
                assert!(child.try_wait().unwrap().is_none(), "{words:?} ended at its start");
                if ready().await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let nothing = client().get(format!("{url}/v1/nope")).send().await.unwrap();
            assert_eq!(nothing.status(), 404);
            assert!(ready().await && child.try_wait().unwrap().is_none(), "{words:?}");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

#[tokio::test]
async fn the_first_signal_says_what_is_waited_for_and_the_second_ends_at_once() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let said = home.path().join("said");
    let mut child = Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(["dev", "--no-open", "--memory", "--port", &port.to_string()])
        .current_dir(home.path())
        .env_remove("CARNET_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let until = async |done: &mut dyn FnMut() -> bool| {
        for _ in 0..600 {
            if done() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never came: {}", std::fs::read_to_string(&said).unwrap());
    };
    // A request that is not done: its body is awaited for eight seconds.
    let head = "POST /device HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 100\r\n\r\nc";
    for _ in 0..600 {
        if client()
            .get(format!("http://127.0.0.1:{port}/readyz"))
            .send()
            .await
            .is_ok_and(|a| a.status() == 200)
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    // Whoever comes later has been served when this one is.
    client().get(format!("http://127.0.0.1:{port}/livez")).send().await.unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    until(&mut || std::fs::read_to_string(&said).unwrap().contains("a second signal ends at once")).await;
    assert!(child.try_wait().unwrap().is_none());
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut status = None;
    until(&mut || {
        status = child.try_wait().unwrap();
        status.is_some()
    })
    .await;
    assert_eq!(status.unwrap().code(), Some(1));
    assert!(std::fs::read_to_string(&said).unwrap().contains("with work unfinished"));
    drop(stream);
}

#[tokio::test]
async fn a_development_server_whose_port_is_taken_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let done = Command::new(env!("CARGO_BIN_EXE_carnet"))
        .args(["dev", "--no-open", "--port", &port])
        .current_dir(home.path())
        .env_remove("CARNET_URL")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("Cannot listen on"), "{done:?}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}
