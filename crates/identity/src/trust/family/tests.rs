use super::*;

#[test]
fn an_issuer_is_known_by_its_name() {
    use Family::{
        Azure, Buildkite, CircleCi, Fly, GitHubActions, GitLab, Google, Kubernetes, Spiffe, Terraform, Vercel,
    };
    for (issuer, want) in [
        ("https://token.actions.githubusercontent.com", Some(GitHubActions)),
        ("https://token.actions.githubusercontent.com/enterprise", Some(GitHubActions)),
        ("https://token.actions.octocorp.ghe.com", Some(GitHubActions)),
        ("https://github.corp.example/_services/token", Some(GitHubActions)),
        ("https://gitlab.com", Some(GitLab)),
        ("https://gitlab.corp.example", Some(GitLab)),
        ("https://kubernetes.default.svc.cluster.local", Some(Kubernetes)),
        ("https://oidc.eks.eu-west-1.amazonaws.com/id/A", Some(Kubernetes)),
        ("https://container.googleapis.com/v1/projects/p/locations/l/clusters/c", Some(Kubernetes)),
        ("https://eastus.oic.prod-aks.azure.com/t/u/", Some(Kubernetes)),
        ("https://oidc.vercel.com", Some(Vercel)),
        ("https://oidc.vercel.com/acme", Some(Vercel)),
        ("https://oidc.fly.io/acme", Some(Fly)),
        ("https://accounts.google.com", Some(Google)),
        ("accounts.google.com", Some(Google)),
        ("https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0", Some(Azure)),
        ("https://sts.windows.net/11111111-2222-3333-4444-555555555555/", Some(Azure)),
        ("spiffe://example.org", Some(Spiffe)),
        ("https://app.terraform.io", Some(Terraform)),
        ("https://oidc.circleci.com/org/11111111-2222-3333-4444-555555555555", Some(CircleCi)),
        ("https://agent.buildkite.com", Some(Buildkite)),
        ("https://idp.example", None),
        ("https://evil.example/oidc.vercel.com", None),
        ("https://oidc.vercel.com.evil.example", None),
        ("https://accounts.google.com.evil.example/", None),
    ] {
        assert_eq!(Family::by_name(issuer), want, "{issuer}");
    }
}

#[test]
fn names_are_distinct_and_read_back() {
    for family in Family::ALL {
        assert_eq!(Family::parse(family.slug()), Ok(family));
    }
    let slugs: std::collections::BTreeSet<_> = Family::ALL.iter().map(|family| family.slug()).collect();
    assert_eq!(slugs.len(), Family::ALL.len());
    let said = UnknownFamily.to_string();
    assert!(Family::ALL.iter().all(|family| said.contains(family.slug())), "{said}");
}

#[test]
fn an_issuer_that_is_named_after_an_account_needs_it() {
    let tenant = "11111111-2222-3333-4444-55555555555a";
    for (family, account, want) in [
        (Family::GitHubActions, None, Ok("https://token.actions.githubusercontent.com".to_owned())),
        (Family::Vercel, Some("acme"), Ok("https://oidc.vercel.com/acme".to_owned())),
        (Family::Fly, Some("acme"), Ok("https://oidc.fly.io/acme".to_owned())),
        (Family::Spiffe, Some("example.org"), Ok("spiffe://example.org".to_owned())),
        (Family::Azure, Some(tenant), Ok(format!("https://login.microsoftonline.com/{tenant}/v2.0"))),
        (Family::CircleCi, Some(tenant), Ok(format!("https://oidc.circleci.com/org/{tenant}"))),
        (Family::GitHubActions, Some("x"), Err("leave account out")),
        (Family::Vercel, None, Err("give the team's slug as account")),
        (Family::Vercel, Some("a/b"), Err("give the team's slug as account")),
        (Family::Vercel, Some(".."), Err("give the team's slug as account")),
        (Family::Azure, Some("common"), Err("give the tenant's id as account")),
        (Family::Azure, Some("contoso.onmicrosoft.com"), Err("give the tenant's id as account")),
        (Family::Kubernetes, Some("x"), Err("give its issuer")),
        (Family::Generic, None, Err("give its issuer")),
    ] {
        match (family.issuer_for(account), want) {
            (Ok(issuer), Ok(want)) => assert_eq!(issuer, want),
            (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
            (got, want) => panic!("{family} {account:?}: {got:?}, not {want:?}"),
        }
    }
    for family in Family::ALL {
        let made = family.issuer_form();
        let named = made.map(|form| form.replace("<the tenant's id>", tenant).replace(['<', '>'], ""));
        let known = named.map(|issuer| Family::by_name(&issuer.replace([' ', '\''], "-")));
        assert!(known.is_none_or(|known| known == Some(family)), "{family} is known by its own issuer");
    }
}

#[test]
fn an_identifier_has_its_form() {
    for (form, text, fits) in [
        (Form::Number, "123", true),
        (Form::Number, "", false),
        (Form::Number, "12x", false),
        (Form::Uuid, "11111111-2222-3333-4444-55555555555a", true),
        (Form::Uuid, "11111111-2222-3333-4444-55555555555A", false),
        (Form::Uuid, "111111112222333344445555555555550000", false),
        (Form::Uuid, "11111111-2222-3333-4444-5555555555", false),
        (Form::SpiffeId, "spiffe://a/b", true),
        (Form::SpiffeId, "spiffe://a", false),
        (Form::Text, "x", true),
        (Form::Text, "", false),
    ] {
        assert_eq!(form.fits(text), fits, "{form:?} {text}");
    }
}
