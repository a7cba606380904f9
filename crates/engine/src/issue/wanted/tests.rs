use carnet_model::Environment;

use super::super::BUFFER;
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
        adds_scopes: true,
        resources: resources.iter().map(ToString::to_string).collect(),
        to_consent: ToConsent::default(),
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

#[test]
fn what_the_person_was_not_asked_for_is_not_granted_by_a_provider_that_gives_more() {
    use ScopeRequest::{Defaults, Exactly, Unscoped};
    for (request, defaults, granted, at_consent, plan) in [
        // The page said a; the provider gave what it remembers from another time.
        (Defaults, "a b", "a b", "a", Plan::Narrow(scopes("a"))),
        (Defaults, "a b", "a b openid", "a openid", Plan::Narrow(scopes("a"))),
        (Defaults, "a b", "b", "a", Plan::Missing(scopes("b"))),
        (Defaults, "a b", "a b c", "a c", Plan::Narrow(scopes("a"))),
        (Unscoped, "a b", "a b", "a", Plan::Narrow(scopes("a"))),
        (Exactly(scopes("b")), "a b", "a b", "a", Plan::Missing(scopes("b"))),
        (Exactly(scopes("a b")), "x", "a b", "a", Plan::Missing(scopes("b"))),
        (Exactly(scopes("a")), "a b", "a b", "a", Plan::Narrow(scopes("a"))),
        // What a provider always adds is nothing that the connector hands out by its defaults.
        (Defaults, "a", "a always", "a", Plan::AsGranted),
        (Unscoped, "", "a always", "a", Plan::AsGranted),
        (Defaults, "", "a always", "a", Plan::AsGranted),
        // All of it was asked for.
        (Defaults, "a b", "a b", "a b", Plan::AsGranted),
        (Defaults, "a b", "a", "a b", Plan::AsGranted),
        (Exactly(scopes("b")), "a b", "a b", "a b", Plan::Narrow(scopes("b"))),
        // By another name, unless it is a name of the connector's own.
        (Exactly(scopes("long/a")), "a b", "long/a", "a", Plan::AsGranted),
        (Exactly(scopes("b")), "a b", "long/a b", "a", Plan::Missing(scopes("b"))),
        (Defaults, "a b", "long/a b", "a", Plan::Missing(scopes("b"))),
    ] {
        let got =
            wanted(request.clone(), defaults, &[]).plan(Some(&scopes(granted)), Some(&scopes(at_consent)));
        assert_eq!(
            got, plan,
            "{request:?} of defaults {defaults:?}: asked {at_consent:?}, given {granted:?}"
        );
    }
}

/// A known service may add names of its own; of any other server, what the page did not say is not handed out.
#[test]
fn what_a_server_that_nobody_knows_adds_is_narrowed_away() {
    use ScopeRequest::{Defaults, Exactly, Unscoped};
    for (request, defaults, granted, at_consent, plan) in [
        (Defaults, "a", "a admin", "a", Plan::Narrow(scopes("a"))),
        (Defaults, "", "a admin", "a", Plan::Narrow(scopes("a"))),
        (Unscoped, "", "a admin", "a", Plan::Narrow(scopes("a"))),
        (Defaults, "a", "a openid email", "a", Plan::AsGranted),
        // One power in place of another.
        (Defaults, "a b", "a admin", "a b", Plan::Narrow(scopes("a"))),
        (Defaults, "a b", "a b/admin", "a b", Plan::Narrow(scopes("a"))),
        (Defaults, "a", "admin", "a", Plan::Missing(scopes("a"))),
        (Defaults, "", "admin", "a", Plan::Missing(scopes("a"))),
        (Unscoped, "", "openid admin", "openid a", Plan::Missing(scopes("a"))),
        (Unscoped, "a b", "a admin", "a b", Plan::Narrow(scopes("a"))),
        (Exactly(scopes("admin")), "a b", "a admin", "a b", Plan::Missing(scopes("admin"))),
        (Exactly(scopes("a")), "a b", "a admin", "a b", Plan::Narrow(scopes("a"))),
        (Exactly(scopes("b")), "a b", "a admin", "a b", Plan::Missing(scopes("b"))),
        // Another name for the same.
        (Defaults, "a", "https://api.example/auth/a", "a", Plan::AsGranted),
        (Defaults, "a b", "a https://api.example/b", "a b", Plan::AsGranted),
        (Defaults, "api://id/a", "a", "api://id/a", Plan::AsGranted),
        (Defaults, "Read", "read", "Read", Plan::AsGranted),
        (Exactly(scopes("api.example/a")), "a", "api.example/a", "a", Plan::AsGranted),
        // Not where it came by its own name too, nor where it is one of the connector's own.
        (Defaults, "a", "a api.example/a", "a", Plan::Narrow(scopes("a"))),
        (Defaults, "a api.example/a", "api.example/a", "a", Plan::Missing(scopes("api.example/a"))),
        (Defaults, "a", "admin/a", "a", Plan::Missing(scopes("a"))),
        (Defaults, "a admin", "a admin", "a admin", Plan::AsGranted),
    ] {
        let wanted = Wanted { adds_scopes: false, ..wanted(request.clone(), defaults, &[]) };
        let got = wanted.plan(Some(&scopes(granted)), Some(&scopes(at_consent)));
        assert_eq!(got, plan, "{request:?} of {defaults:?}: asked {at_consent:?}, given {granted:?}");
    }
}

/// What a server gives the application is held against the defaults that it was asked for: it may add to them, and not
/// give others in their place.
#[test]
fn an_application_is_not_handed_one_scope_in_place_of_another() {
    for (adds_scopes, defaults, given, swapped) in [
        (false, "a b", "a b", ""),
        (false, "a b", "a", ""),
        (false, "a b", "a openid", ""),
        (false, "a b", "a admin", "admin"),
        (false, "a b", "a b admin", ""),
        (false, "a b", "a b profile email custom", ""),
        (false, "a b", "a https://api.example/b admin", ""),
        (false, "a b", "b/admin a", "b/admin"),
        (false, "a b", "a https://api.example/b", ""),
        (false, "", "admin", ""),
        (true, "a b", "a admin", ""),
        (true, "a b", "a b always", ""),
    ] {
        let wanted = Wanted { adds_scopes, ..wanted(ScopeRequest::Defaults, defaults, &[]) };
        assert_eq!(wanted.in_place_of_defaults(&scopes(given)), scopes(swapped), "{defaults:?}: {given:?}");
    }
}
