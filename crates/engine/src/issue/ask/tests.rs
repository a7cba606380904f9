use super::*;

fn scopes(text: &str) -> Scopes {
    Scopes::parse_joined(text).unwrap()
}

fn wanted(request: ScopeRequest, defaults: &str, resources: &[&str]) -> Wanted {
    Wanted {
        subject: Subject::App,
        place: Place {
            team: Id::from_bytes([0; 16]),
            connector: Id::from_bytes([0; 16]),
            project: None,
            environment: Environment::Preview,
            subject: "user:u".to_owned(),
            installation: None,
        },
        installation: None,
        scopes: request,
        defaults: scopes(defaults),
        bounded: false,
        resources: resources.iter().map(ToString::to_string).collect(),
        audience: Vec::new(),
        details: Vec::new(),
        buffer: BUFFER,
        key: [0; 32],
    }
}

#[test]
fn a_grant_never_gives_more_than_was_asked() {
    use ScopeRequest::{Defaults, Exactly, Unscoped};
    for (request, defaults, granted, resources, plan) in [
        (Defaults, "a b", Some("a b"), &[][..], Plan::AsGranted),
        // The person left one out: what is there is what the defaults mean.
        (Defaults, "a b", Some("a"), &[], Plan::AsGranted),
        // The defaults became fewer after consent.
        (Defaults, "a", Some("a b"), &[], Plan::Narrow(scopes("a"))),
        (Defaults, "", Some("a b"), &[], Plan::AsGranted),
        (Defaults, "a", Some("a openid offline_access"), &[], Plan::AsGranted),
        (Defaults, "a", None, &[], Plan::AsGranted),
        (Defaults, "a", Some("a"), &["https://api"], Plan::Narrow(scopes("a"))),
        (Unscoped, "a", Some("a b"), &[], Plan::AsGranted),
        (Exactly(scopes("a b")), "x", Some("a b"), &[], Plan::AsGranted),
        (Exactly(scopes("a")), "x", Some("a b"), &[], Plan::Narrow(scopes("a"))),
        (Exactly(scopes("a c")), "a c", Some("a b"), &[], Plan::Missing(scopes("c"))),
        (Exactly(scopes("a")), "a b", None, &[], Plan::Narrow(scopes("a"))),
    ] {
        let got = wanted(request.clone(), defaults, resources).plan(granted.map(scopes).as_ref(), None);
        assert_eq!(got, plan, "{request:?} of defaults {defaults:?}, granted {granted:?}");
    }
}

#[test]
fn a_provider_may_call_the_defaults_by_other_names() {
    let ask = |at_consent: &str| {
        wanted(ScopeRequest::Defaults, "email", &[])
            .plan(Some(&scopes("long.name/email")), Some(&scopes(at_consent)))
    };
    assert_eq!(ask("email openid"), Plan::AsGranted);
    // More was asked for then than the defaults are now.
    assert_eq!(ask("email files"), Plan::Narrow(Scopes::empty()));
}
