//! Malformed, oversized, slow and half-open: a plain refusal or a closed connection, never a 5xx and never a hang.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::broker::{Broker, client, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_get_a_4xx_with_a_code() {
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start(home.path(), free_port(), None).await;
    let dev = broker.dev().await;
    let workload = dev["oidcToken"].as_str().unwrap();
    let http = client();
    let token = format!("{}/v1/connect/token/demo%2Fhello", broker.url);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("{{\"subject\":{{\"type\":\"app\"}},\"scopes\":[\"{}\"]}}", "x".repeat(200_000));
    let huge = "x".repeat(300 * 1024);
    let many = json!({"scopes": (0..500).map(|n| format!("s{n}")).collect::<Vec<_>>()}).to_string();
    for (name, body, media, want) in [
        ("no JSON", "{", "application/json", 400),
        ("a list", "[]", "application/json", 400),
        ("null", "null", "application/json", 400),
        ("deep", deep.as_str(), "application/json", 400),
        ("long scope", long.as_str(), "application/json", 400),
        ("many scopes", many.as_str(), "application/json", 400),
        ("huge", huge.as_str(), "application/json", 413),
        ("text", "{}", "text/plain", 415),
        ("a form", "subject=app", "application/x-www-form-urlencoded", 415),
        ("unknown member", r#"{"martian":1}"#, "application/json", 400),
        ("unknown subject", r#"{"subject":{"type":"martian"}}"#, "application/json", 400),
        (
            "extra in token subject",
            r#"{"subject":{"type":"token","token":"t","x":1}}"#,
            "application/json",
            400,
        ),
        ("number as scopes", r#"{"scopes":7}"#, "application/json", 400),
        ("star not alone", r#"{"scopes":["*","a"]}"#, "application/json", 400),
        ("negative buffer", r#"{"validityBufferMs":-1}"#, "application/json", 400),
        ("huge buffer", r#"{"validityBufferMs":1e300}"#, "application/json", 400),
        ("NUL in user", "{\"subject\":{\"type\":\"user\",\"id\":\"a\\u0000b\"}}", "application/json", 400),
        ("bad details", r#"{"authorizationDetails":["x"]}"#, "application/json", 400),
        ("bad resources", r#"{"resources":[""]}"#, "application/json", 400),
        ("not UTF-8 escapes", r#"{"subject":{"type":"user","id":"\ud800"}}"#, "application/json", 400),
    ] {
        let answer = http
            .post(&token)
            .bearer_auth(workload)
            .header("content-type", media)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        assert_eq!(status, want, "{name}: {body}");
        assert!(body["error"]["code"].is_string() && body["error"]["message"].is_string(), "{name}: {body}");
    }
    for (method, path, want) in [
        ("GET", "/nope", 404),
        ("GET", "/v1/connect/token/demo%2Fhello", 405),
        ("POST", "/v1/connect/token/nope", 404),
        ("POST", "/v1/connect/token/..%2F..%2Fetc", 404),
        ("POST", "/v1/connect/token/%00", 404),
        ("POST", "/v1/connect/token/demo%2Fhello?teamId=a&teamId=b", 400),
        ("POST", "/v1/connect/token/demo%2Fhello?teamId=a&slug=b", 400),
        ("POST", "/v1/connect/token/demo%2Fhello?teamId=team_nope", 403),
        ("GET", "/v1/connect/networks", 404),
        ("GET", "/v1/connect/result/nope", 404),
        ("DELETE", "/v1/connect/connectors/nope", 403),
        ("GET", "/teams/other", 403),
        ("GET", "/v1/connect/connectors?limit=banana", 400),
        ("GET", "/v1/connect/connectors?limit=0", 400),
        ("GET", "/v2/connect/connectors?limit=101", 400),
        ("GET", "/v9/projects?limit=0", 400),
        ("GET", "/v1/audit?limit=1001", 400),
        ("GET", "/nope/.well-known/jwks", 404),
        ("GET", "/%FF/.well-known/jwks", 400),
        ("GET", "/v1/connect/connectors/demo%2fhello%2f", 404),
    ] {
        let request =
            http.request(method.parse().unwrap(), format!("{}{path}", broker.url)).bearer_auth(workload);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, want, "{method} {path}: {text}");
        assert!(
            serde_json::from_str::<Value>(&text).is_ok_and(|body| body["error"]["code"].is_string()),
            "{path}: {text}"
        );
    }
    // A template that had nothing to fill in names no team.
    let unnamed = http.post(format!("{token}?teamId=&slug=")).bearer_auth(workload).send().await.unwrap();
    assert_eq!(unnamed.status(), 200, "{}", unnamed.text().await.unwrap());
    for (path, want) in [
        ("/authorize/%ff", 400),
        ("/callback/%ff", 400),
        ("/setup/%ff", 400),
        ("/authorize/nope", 404),
        ("/assets/nope", 404),
    ] {
        let answer = http.get(format!("{}{path}", broker.url)).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, want, "{path}: {text}");
        assert!(text.starts_with("<!doctype html>"), "a page for people: {path}: {text}");
    }
    for credential in ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer a.b.c", "Bearer crn_x", "bearer \t"] {
        let answer = http.post(&token).header("authorization", credential).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{credential:?}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "unauthorized", "{credential:?}");
    }
    let anonymous = http.post(&token).send().await.unwrap();
    assert_eq!(
        (anonymous.status().as_u16(), anonymous.headers()["www-authenticate"].to_str().unwrap()),
        (401, "Bearer")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_and_half_open_connections_are_closed_within_ten_seconds() {
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start(home.path(), free_port(), None).await;
    let address = broker.url.trim_start_matches("http://").to_owned();
    let begun = Instant::now();
    let cases: [(&str, &[u8]); 6] = [
        ("nothing at all", b""),
        ("half a preface of HTTP/2", b"PRI * HT"),
        ("half a request line", b"POST /v1/conn"),
        ("half the headers", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: "),
        ("half a body", b"POST /v1/connect/token/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"),
        ("idle after an answer", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"),
    ];
    let tasks: Vec<_> = cases
        .into_iter()
        .map(|(name, bytes)| {
            let address = address.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(bytes).await.unwrap();
                let mut rest = Vec::new();
                let closed =
                    tokio::time::timeout(Duration::from_secs(11), stream.read_to_end(&mut rest)).await;
                (name, closed.is_ok())
            })
        })
        .collect();
    // Others are served meanwhile.
    for _ in 0..20 {
        assert_eq!(client().get(format!("{}/livez", broker.url)).send().await.unwrap().status(), 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for task in tasks {
        let (name, closed) = task.await.unwrap();
        assert!(closed, "{name} was still open after {:?}", begun.elapsed());
    }
}

/// `CARNET_TEST_LONG=1` for ten thousand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_half_requests_are_closed_in_time_and_hold_little() {
    let long = std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1");
    let many = if long { 10_000 } else { 400 };
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start(home.path(), free_port(), None).await;
    let address = broker.url.trim_start_matches("http://").to_owned();
    let mut open = tokio::task::JoinSet::new();
    for n in 0..many {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let half =
            format!("POST /v1/connect/token/x HTTP/1.1\r\nHost: x\r\nX-Half: {}", "y".repeat(n % 4096));
        stream.write_all(half.as_bytes()).await.unwrap();
        open.spawn(async move {
            let begun = Instant::now();
            let _ = stream.read_to_end(&mut Vec::new()).await;
            begun.elapsed()
        });
    }
    let http = client();
    let mut most = 0;
    let mut slowest = Duration::ZERO;
    let watched = Instant::now();
    while watched.elapsed() < Duration::from_secs(2) {
        let asked = Instant::now();
        assert_eq!(http.get(format!("{}/livez", broker.url)).send().await.unwrap().status(), 200);
        slowest = slowest.max(asked.elapsed());
        most = most.max(broker.resident());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut longest = Duration::ZERO;
    while let Some(took) = open.join_next().await {
        longest = longest.max(took.unwrap());
    }
    eprintln!(
        "{many} half requests: {} MB at most, closed after {longest:?}, others {slowest:?}",
        most / 1_000_000
    );
    assert!(longest < Duration::from_secs(10), "one was open for {longest:?}");
    assert!(most < 200_000_000, "{most} bytes of memory");
    assert!(slowest < Duration::from_secs(1), "others waited {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start(home.path(), free_port(), None).await;
    let address = broker.url.trim_start_matches("http://").to_owned();
    let big = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(64 * 1024));
    let fields = (0..200).fold(String::new(), |fields, n| fields + &format!("X{n}: y\r\n"));
    let many = format!("GET /livez HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    for (name, bytes) in [
        (
            "two lengths",
            "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        ),
        (
            "bad chunk",
            "POST /v1/connect/token/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        ),
        ("space before colon", "GET /livez HTTP/1.1\r\nHost : x\r\n\r\n"),
        ("folded header", "GET /livez HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"),
        ("no HTTP", "\u{16}\u{3}\u{1}hello\r\n\r\n"),
        ("no host", "GET /livez HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        ("half a host", "GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n"),
        ("an empty host", "GET /livez HTTP/1.1\r\nHost:\r\n\r\n"),
        (
            "a length and chunks",
            "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunks and a length",
            "POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunks of something",
            "POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunks twice",
            "POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a coding nobody reads",
            "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
        ),
        (
            "two types",
            "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 2\r\n\r\n{}",
        ),
        ("an odd wish", "GET /livez HTTP/1.1\r\nHost: x\r\nExpect: nonsense\r\n\r\n"),
        ("large headers", big.as_str()),
        ("many headers", many.as_str()),
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let _ = stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "{name}: left open");
        let answer = String::from_utf8_lossy(&answer);
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{name}: {answer}");
        if !answer.is_empty() {
            assert!(code_of(&answer).is_some(), "{name}: {answer}");
            // As hyper reads them, they would be told of the method instead.
            assert!(!answer.contains("method_not_allowed"), "{name}: {answer}");
        }
    }
}

/// RFC 9112 §6.1: later ones are read as chunks, and nothing that follows is taken for a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_request_with_two_lengths_nothing_more_is_read() {
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start(home.path(), free_port(), None).await;
    let address = broker.url.trim_start_matches("http://").to_owned();
    let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for (one, other) in [(length, chunked), (chunked, length)] {
        let get = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
        let both = format!("POST /livez HTTP/1.1\r\nHost: x\r\n{one}{other}\r\n0\r\n\r\n");
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let _ = stream.write_all(format!("{get}{both}{get}").as_bytes()).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "left open");
        let answer = String::from_utf8_lossy(&answer);
        let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).filter_map(|one| one.get(..3)).collect();
        assert_eq!(statuses, ["200", "405"], "{answer}");
    }
}

/// Most clients read nothing before they have sent everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_told_to_who_listens_only_afterwards() {
    let home = tempfile::tempdir().unwrap();
    let broker = Broker::start(home.path(), free_port(), None).await;
    let address = broker.url.trim_start_matches("http://").to_owned();
    let dev = broker.dev().await;
    let begin = format!(
        "POST /v1/connect/token/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n",
        dev["oidcToken"].as_str().unwrap()
    );
    let four = 4 * 1024 * 1024;
    let chunk = format!("10000\r\n{}\r\n", "y".repeat(0x10000));
    for (name, request, status) in [
        ("a body", format!("{begin}Content-Length: {four}\r\n\r\n{}", "y".repeat(four)), 413),
        ("chunks", format!("{begin}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(64)), 413),
        ("a field", format!("{begin}X-Long: {}\r\n\r\n", "y".repeat(200_000)), 431),
        ("an address", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(200_000)), 431),
    ] {
        for _ in 0..5 {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut answer = Vec::new();
            let read = tokio::time::timeout(Duration::from_secs(30), async {
                while code_of(&String::from_utf8_lossy(&answer)).is_none() {
                    if stream.read_buf(&mut answer).await.unwrap_or_else(|error| panic!("{name}: {error}"))
                        == 0
                    {
                        break;
                    }
                }
            });
            assert!(read.await.is_ok(), "{name}: no answer");
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
            assert_eq!(code_of(&answer).as_deref(), Some("payload_too_large"), "{name}: {answer}");
        }
    }
}

/// The code of the envelope in a whole answer.
fn code_of(answer: &str) -> Option<String> {
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let body: Value = serde_json::from_str(body).ok()?;
    Some(body["error"]["code"].as_str()?.to_owned())
}
