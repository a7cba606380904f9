//! Calls to one place sent to another, for trying a provider against an emulator.

use carnet_egress::{Egress, EgressError, Policy, UrlRefused};
use url::Url;

use crate::server::{Server, get, post};

fn rerouting(pairs: &[(&str, &str)]) -> Egress {
    let origins = pairs.iter().map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())).collect();
    Egress::new(Policy { loopback: true, origins, ..Policy::default() }).unwrap()
}

#[tokio::test]
async fn calls_to_an_origin_go_where_the_operator_sends_them() {
    let emulator = Server::keeping().await;
    let egress = rerouting(&[("https://slack.com", &format!("http://{}", emulator.address))]);
    let url: Url = "https://slack.com/api/oauth.v2.access?a=b".parse().unwrap();
    assert_eq!(egress.reroute(&url), emulator.url("/api/oauth.v2.access?a=b"));
    assert_eq!(egress.send(post(url)).await.unwrap().status.as_u16(), 200);
    assert_eq!(emulator.accepts(), 1);

    let other: Url = "https://api.slack.com/x".parse().unwrap();
    assert_eq!(egress.reroute(&other), other);
}

#[test]
fn of_several_places_the_one_that_says_most_decides() {
    let egress = rerouting(&[
        ("https://login.example", "http://127.0.0.1:1"),
        ("https://login.example/organizations/oauth2", "http://127.0.0.1:3/o"),
        ("https://login.example/organizations", "http://127.0.0.1:2"),
    ]);
    for (url, there) in [
        ("https://login.example/common/token?a=b", "http://127.0.0.1:1/common/token?a=b"),
        ("https://login.example/organizations/v2.0/token", "http://127.0.0.1:2/v2.0/token"),
        ("https://login.example/organizations/oauth2/token", "http://127.0.0.1:3/o/token"),
        ("https://login.example/organizations-and-more", "http://127.0.0.1:1/organizations-and-more"),
    ] {
        assert_eq!(egress.reroute(&url.parse().unwrap()).as_str(), there, "{url}");
    }
}

#[tokio::test]
async fn the_new_place_is_judged_like_any_other() {
    let egress = rerouting(&[
        ("https://a.example", "http://10.0.0.1:80"),
        ("https://b.example", "http://c.example"),
        ("https://c.example", "https://d.example:8443"),
    ]);
    for (url, why) in [
        ("https://a.example/", UrlRefused::Address),
        ("https://b.example/", UrlRefused::Scheme),
        ("https://c.example/", UrlRefused::Port(8443)),
    ] {
        let error = egress.send(get(url.parse().unwrap())).await.unwrap_err();
        assert_eq!(error, EgressError::Refused(why));
    }
}

#[test]
fn production_refuses_the_map() {
    let origins = vec![("https://slack.com".parse().unwrap(), "https://evil.example".parse().unwrap())];
    assert!(Egress::new(Policy { origins, ..Policy::default() }).is_err());
}
