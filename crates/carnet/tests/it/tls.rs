//! `carnet serve` with a certificate of its own.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::broker::free_port;

/// Ended by its own process id.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Puts a new certificate for this name into the folder; what a client trusts that knows it.
fn renew(home: &Path, name: &str) -> reqwest::Certificate {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    write_key(home, &signing_key.serialize_pem());
    std::fs::write(home.join("cert.pem"), cert.pem()).unwrap();
    reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap()
}

fn write_key(home: &Path, pem: &str) {
    std::fs::write(home.join("key.pem"), pem).unwrap();
    std::fs::set_permissions(home.join("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn serve(home: &Path, port: u16) -> Command {
    let text = "[tls]\ncertificate = \"cert.pem\"\nprivate_key = \"key.pem\"\n";
    std::fs::write(home.join("carnet.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command
        .args(["serve", "--json", "--config", "carnet.toml", "--url", &format!("https://localhost:{port}")])
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

fn trusting(certificate: reqwest::Certificate) -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([certificate]).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_served_and_another_one_as_soon_as_it_is_there() {
    let (home, port) = (tempfile::tempdir().unwrap(), free_port());
    let first = trusting(renew(home.path(), "localhost"));
    let mut child = serve(home.path(), port).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    let _server = Server(child);
    let url = format!("https://localhost:{port}/livez");
    let answer = first.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(
        plain.get(format!("http://127.0.0.1:{port}/livez")).send().await.is_err(),
        "nothing in the clear"
    );

    // Files that cannot be used change nothing, and it is told.
    std::fs::write(home.path().join("cert.pem"), "nonsense").unwrap();
    let anew = || reqwest::Client::builder().no_proxy();
    let ready = format!("https://localhost:{port}/readyz");
    let begun = Instant::now();
    loop {
        let answer = first.get(&ready).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let told: serde_json::Value = answer.json().await.unwrap();
        let told = told["checks"]["certificate"].as_str().unwrap().to_owned();
        if told.contains("no newer one: tls.certificate cannot be used") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let begun = Instant::now();
    let second = renew(home.path(), "localhost");
    loop {
        // A client of its own each time, so that there is a handshake.
        let client = anew().tls_certs_only([second.clone()]).build().unwrap();
        if client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the other certificate is not served");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start_with_its_line() {
    let (home, port) = (tempfile::tempdir().unwrap(), free_port());
    let refused = |says: &str| {
        let done = serve(home.path(), port).output().unwrap();
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(!done.status.success() && said.contains(says), "{says}: {said}");
    };
    refused("carnet.toml line 2: tls.certificate cert.pem cannot be read");
    renew(home.path(), "elsewhere.example");
    refused("carnet.toml line 2: tls.certificate cert.pem is not for localhost");
    renew(home.path(), "localhost");
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write_key(home.path(), &other.signing_key.serialize_pem());
    refused("carnet.toml line 3: tls.private_key key.pem is not the key of the certificate");
    write_key(home.path(), "nonsense");
    refused("carnet.toml line 3: tls.private_key key.pem holds no private key");
    std::fs::set_permissions(home.path().join("key.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("can be read by everybody");
    std::fs::write(home.path().join("cert.pem"), "nonsense").unwrap();
    refused("carnet.toml line 2: tls.certificate cert.pem has no certificate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_and_says_nothing_is_let_go_and_what_looks_like_a_proxy_is_not_believed() {
    use std::io::Read as _;
    let (home, port) = (tempfile::tempdir().unwrap(), free_port());
    let client = trusting(renew(home.path(), "localhost"));
    let mut child = serve(home.path(), port).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    let _server = Server(child);
    // One is silent from the beginning, one in the middle of its handshake.
    let begun = Instant::now();
    let open = |said: &[u8]| {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(said).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    for mut stream in [open(b""), open(b"\x16\x03\x01\x02\x00\x01")] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(16), "{took:?}");
    // `/metrics` is for this machine, and not for what came by a proxy.
    let answer = client
        .get(format!("https://localhost:{port}/metrics"))
        .header("x-forwarded-for", "203.0.113.9")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "nobody stands between, so it is a program of this machine");
}
