//! Names whose addresses are not what they should be.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carnet_egress::{Allowance, Egress, EgressError, Policy, Purpose, UrlRefused};
use tokio::net::TcpListener;
use url::Url;

use crate::server::{Answering, Server, addresses, get, keep_answering, post};
use crate::tls::Authority;

fn resolving(
    policy: Policy,
    answer: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
) -> Egress {
    Egress::with_resolver(policy, Arc::new(Answering(answer))).unwrap()
}

#[tokio::test]
async fn one_private_address_among_the_answers_refuses_the_name() {
    let server = Server::keeping().await;
    let port = server.address.port();
    // Documentation addresses, allowed, stand for the good ones: no test may call a stranger, however it fails.
    let allow = ["203.0.113.0/24", "2001:db8::/32"]
        .map(|network| Allowance { purpose: None, network: network.parse().unwrap() });
    let good = Policy { allow: allow.to_vec(), ports: vec![port], ..Policy::default() };
    for answer in [
        &["127.0.0.1"][..],
        &["127.0.0.1", "10.0.0.1"],
        &["127.0.0.1", "203.0.113.34"],
        &["203.0.113.34", "127.0.0.1"],
        &["203.0.113.34", "2001:db8::34", "127.0.0.1"],
        &["2001:db8::34", "::1"],
        &["::ffff:127.0.0.1"],
        &["::ffff:203.0.113.34"],
        &["::127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["2002:7f00:1::"],
        &["0.0.0.0"],
        &["::"],
        &["169.254.169.254"],
        &["fe80::1"],
        &["fd00::1"],
        &["100.64.0.1"],
        &["168.63.129.16"],
    ] {
        let found = addresses(answer);
        let egress = resolving(good.clone(), move |_| Ok(found.clone()));
        let url: Url = format!("https://rebind.example:{port}/").parse().unwrap();
        assert!(egress.check(url.as_str(), Purpose::Discovery).is_ok(), "the text alone is harmless");
        for call in [get(url.clone()), post(url)] {
            let error = egress.send(call).await.unwrap_err();
            assert_eq!(error, EgressError::Refused(UrlRefused::Address), "{answer:?}");
            assert!(!error.maybe_received());
        }
    }
    assert_eq!(server.accepts(), 0);
}

#[tokio::test]
async fn a_name_without_address_does_not_resolve() {
    let egress = resolving(Policy::default(), |host| match host {
        "empty.example" => Ok(Vec::new()),
        _ => Err(io::Error::other("no such name")),
    });
    for url in ["https://empty.example/", "https://unknown.example/"] {
        let error = egress.send(post(url.parse().unwrap())).await.unwrap_err();
        assert_eq!(error, EgressError::Resolve);
        assert!(!error.maybe_received());
    }
}

#[tokio::test]
async fn every_connection_is_judged_anew_when_the_answer_flips() {
    let authority = Authority::new();
    let server = authority.serve(&["flip.example"], &[]).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let egress = resolving(authority.policy(&server), move |_| {
        Ok(addresses(if counter.fetch_add(1, Ordering::SeqCst) == 0 {
            &["127.0.0.1"]
        } else {
            &["10.0.0.1"]
        }))
    });
    let url: Url = format!("https://flip.example:{}/", server.address.port()).parse().unwrap();
    assert_eq!(egress.send(post(url.clone())).await.unwrap().status.as_u16(), 200);
    assert_eq!(egress.send(post(url)).await.unwrap_err(), EgressError::Refused(UrlRefused::Address));
    assert_eq!((asked.load(Ordering::SeqCst), server.accepts()), (2, 1));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let authority = Authority::new();
    let server = authority.serve(&["two.example"], &[]).await;
    let port = server.address.port();
    // nobody listens on 127.0.0.9
    let egress = resolving(authority.policy(&server), |_| Ok(addresses(&["127.0.0.9", "127.0.0.1"])));
    let url: Url = format!("https://two.example:{port}/").parse().unwrap();
    assert_eq!(egress.send(post(url)).await.unwrap().status.as_u16(), 200);
    assert_eq!(server.accepts(), 1);
}

#[tokio::test]
async fn a_name_with_very_many_addresses_is_tried_at_a_few() {
    let authority = Authority::new();
    let server = authority.serve(&["many.example"], &[]).await;
    let port = server.address.port();
    let egress = resolving(authority.policy(&server), |_| {
        let mut found: Vec<IpAddr> = (1..=250).map(|last| IpAddr::from([127, 9, 9, last])).collect();
        found.push(IpAddr::from([127, 0, 0, 1]));
        Ok(found)
    });
    let url: Url = format!("https://many.example:{port}/").parse().unwrap();
    assert_eq!(egress.send(post(url)).await.unwrap_err(), EgressError::Connect);
    assert_eq!(server.accepts(), 0);
}

#[tokio::test]
async fn localhost_is_this_machine_whatever_a_resolver_says() {
    let server = Server::keeping().await;
    let egress =
        resolving(Policy { loopback: true, ..Policy::default() }, |host| panic!("{host} was looked up"));
    for host in ["localhost", "demo.localhost"] {
        let url: Url = format!("http://{host}:{}/", server.address.port()).parse().unwrap();
        assert_eq!(egress.send(post(url)).await.unwrap().status.as_u16(), 200);
    }
}

#[tokio::test]
async fn a_connection_made_under_an_allowance_is_not_used_for_another_purpose() {
    // Loopback stands for the allowed network, which a test machine does not have: what is shown is that another
    // purpose asks the resolver again, and so is judged again.
    let authority = Authority::new();
    let server = authority.serve(&["internal.example"], &[]).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let egress = resolving(authority.policy(&server), move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(addresses(&["127.0.0.1"]))
    });
    let url: Url = format!("https://internal.example:{}/", server.address.port()).parse().unwrap();
    for (purpose, judged) in [(Purpose::Forward, 1), (Purpose::ProviderApi, 2), (Purpose::Discovery, 3)] {
        let mut call = get(url.clone());
        call.purpose = purpose;
        egress.send(call).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), judged);
    }
}

#[tokio::test]
async fn an_allowance_never_opens_the_way_to_loopback() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::on(listener, keep_answering);
    let port = server.address.port();
    let allow = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
        .map(|network| Allowance { purpose: None, network: network.parse().unwrap() });
    let egress = resolving(Policy { allow: allow.to_vec(), ports: vec![port], ..Policy::default() }, |_| {
        Ok(addresses(&["10.0.0.1", "127.0.0.1"]))
    });
    for url in [format!("https://mixed.example:{port}/"), format!("https://127.0.0.1:{port}/")] {
        let error = egress.send(post(url.parse().unwrap())).await.unwrap_err();
        assert_eq!(error, EgressError::Refused(UrlRefused::Address));
    }
    assert_eq!(server.accepts(), 0);
    for network in ["127.0.0.0/8", "::1/128", "169.254.0.0/16", "0.0.0.0/0", "::/0"] {
        let allow = vec![Allowance { purpose: None, network: network.parse().unwrap() }];
        assert!(Egress::new(Policy { allow, loopback: true, ..Policy::default() }).is_err(), "{network}");
    }
}
