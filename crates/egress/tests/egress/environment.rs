//! What the process's environment may and may not change. Each case runs in a process of its own.

use std::process::{Command, Stdio};

use carnet_egress::{Call, Egress, Policy, Purpose, SetupError};

use crate::server::{Server, development, get, hasty, team};

const TARGET: &str = "EGRESS_TEST_TARGET";

/// Runs one of the ignored tests below with these variables set, and says whether it passed.
async fn passes_with(test: &str, variables: &[(&str, &str)]) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--ignored", &format!("environment::{test}")]).envs(variables.iter().copied());
    child.env_remove("NO_PROXY").env_remove("no_proxy").stdout(Stdio::piped()).stderr(Stdio::null());
    let done = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    done.status.success() && String::from_utf8_lossy(&done.stdout).contains("1 passed")
}

#[tokio::test]
async fn a_proxy_in_the_environment_is_ignored() {
    let (server, proxy) = (Server::keeping().await, Server::keeping().await);
    let (target, proxy_url) = (server.url("/"), proxy.url("/"));
    let mut variables = vec![(TARGET, target.as_str())];
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        variables.push((name, proxy_url.as_str()));
    }
    assert!(passes_with("one_call_over_http_and_one_over_https", &variables).await);
    assert_eq!((server.accepts(), proxy.accepts()), (2, 0));
}

#[tokio::test]
async fn without_certificate_authorities_development_starts_and_production_does_not() {
    let nowhere = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    assert!(passes_with("there_are_no_certificate_authorities", &nowhere).await);
}

#[tokio::test]
#[ignore = "run in a process of its own"]
async fn one_call_over_http_and_one_over_https() {
    #[expect(clippy::disallowed_methods, reason = "how the test above says where to call")]
    let target = std::env::var(TARGET).unwrap();
    let egress = development();
    egress.send(Call::get(target.parse().unwrap(), Purpose::ProviderApi, team(1))).await.unwrap();
    let secure = target.replace("http://", "https://").parse().unwrap();
    assert!(egress.send(get(secure).limits(hasty())).await.is_err(), "the server speaks no TLS");
}

#[test]
#[ignore = "run in a process of its own"]
fn there_are_no_certificate_authorities() {
    assert!(Egress::new(Policy { loopback: true, ..Policy::default() }).is_ok());
    assert!(matches!(Egress::new(Policy::default()), Err(SetupError::NoRoots)));
}
