//! The platforms: their tokens in the form of their documentation are recognised, with every algorithm, and a rule that
//! would let their strangers in is refused.

mod cases;

use carnet_identity::{
    Algorithm, Family, JwtError, Presented, Setting, TrustedIssuer, TrustedIssuerConfig, Weakness, lint,
};
use carnet_model::{Environment, Id};
use serde_json::{Value, json};

use crate::forge::{AUDIENCE, NOW, header, jwks, key_set, token, with, without};
use cases::{Case, cases};

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const OBJECT: &str = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb";
const PIPELINE: &str = "0184990a-4782-42b5-afc1-16715b10b1b0";

/// The case's configuration, with its keys pinned and every algorithm allowed.
fn issuer(case: &Case, setting: &[(&str, Value)]) -> TrustedIssuer {
    let rule =
        json!({"project": "prj_0000000000000000000001", "environment": "production", "claims": case.rule});
    let config = with(
        &case.config,
        &[
            ("audiences", json!([AUDIENCE])),
            ("jwks", jwks()),
            ("algorithms", json!(Algorithm::ALL)),
            ("rules", json!([rule])),
        ],
    );
    read(&with(&config, setting))
}

fn read(config: &Value) -> TrustedIssuer {
    let config: TrustedIssuerConfig = serde_json::from_str(&config.to_string()).unwrap();
    TrustedIssuer::from_config(Id::from_bytes([1; 16]), Id::from_bytes([2; 16]), config).unwrap()
}

fn complete(claims: &Value) -> Value {
    let times =
        json!({"iat": NOW.secs() - 5, "nbf": NOW.secs() - 5, "exp": NOW.secs() + 295, "aud": AUDIENCE});
    let own: Vec<_> = claims.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    with(&times, &own)
}

fn signed(algorithm: Algorithm, typed: bool, claims: &Value) -> String {
    let head = if typed { header(algorithm) } else { without(&header(algorithm), "typ") };
    token(algorithm, &head, claims)
}

fn recognised(issuer: &TrustedIssuer, token: &str) -> Result<Environment, String> {
    let presented = Presented::parse(token).map_err(|error| error.to_string())?;
    let verified =
        presented.verify(&key_set(&jwks()), &issuer.expectation(), NOW).map_err(|error| error.to_string())?;
    issuer.recognise(&verified).map(|rule| rule.environment).map_err(|error| error.to_string())
}

#[test]
fn every_familys_tokens_are_recognised_with_every_algorithm() {
    let mut accepted = 0;
    let mut families = std::collections::BTreeSet::new();
    for case in cases() {
        let issuer = issuer(&case, &[]);
        assert_eq!(lint(&issuer, Setting::Production), [], "{}", case.config);
        assert_eq!(issuer.family, case.family, "{}", case.config);
        for algorithm in Algorithm::ALL {
            let token = signed(algorithm, case.typed, &complete(&case.claims));
            let outcome = recognised(&issuer, &token);
            assert_eq!(outcome, Ok(Environment::Production), "{algorithm} {}", case.config);
            accepted += 1;
        }
        families.insert(case.family);
    }
    assert_eq!(families.len(), Family::ALL.len(), "every family has a case");
    assert!(accepted >= 60, "{accepted}");
}

#[test]
fn a_token_that_differs_in_any_claim_of_the_rule_is_not_recognised() {
    let mut refused = 0;
    for case in cases() {
        let issuer = issuer(&case, &[]);
        for claim in case.rule.as_object().unwrap().keys() {
            for change in ["missing", "another", "list"] {
                let Some(changed) = changed(&complete(&case.claims), claim, change) else { continue };
                let token = signed(Algorithm::Es256, case.typed, &changed);
                assert!(recognised(&issuer, &token).is_err(), "{change} {claim}: {}", case.config);
                refused += 1;
            }
        }
    }
    assert!(refused >= 100, "{refused}");
}

/// The claims with the one at `path` left out, with another value or as a list of its value.
fn changed(claims: &Value, path: &str, change: &str) -> Option<Value> {
    let mut claims = claims.clone();
    let (holder, name) = match path.strip_prefix("kubernetes.io.") {
        None => (&mut claims, path),
        Some(rest) => {
            let inner = claims.get_mut("kubernetes.io")?;
            match rest.split_once('.') {
                None => (inner, rest),
                Some((first, last)) => (inner.get_mut(first)?, last),
            }
        }
    };
    let members = holder.as_object_mut()?;
    let value = members.get(name)?.clone();
    match change {
        "missing" => members.remove(name),
        "another" => members.insert(name.to_owned(), json!("someone-else")),
        _ => members.insert(name.to_owned(), json!([value])),
    };
    Some(claims)
}

fn said(config: &Value) -> Vec<String> {
    lint(&read(config), Setting::Production).iter().map(ToString::to_string).collect()
}

#[test]
fn a_rule_that_would_let_a_platforms_strangers_in_is_refused() {
    let azure = json!({"family": "azure", "account": TENANT});
    let circle = json!({"family": "circleci", "account": TENANT});
    let named = |family: &str| json!({ "family": family });
    let spiffe = json!({"family": "spiffe", "account": "example.org", "jwks": jwks()});
    for (config, claims, says) in [
        (named("google"), json!({"email": "a@b", "email_verified": true}), "unique id"),
        (named("google"), json!({"sub": "a@b"}), "write the digits"),
        (named("google"), json!({"sub": "1", "email": "a@b"}), "email_verified with true"),
        (
            named("google"),
            json!({"sub": "1", "email": "a@b", "email_verified": false}),
            "email_verified with true",
        ),
        (named("google"), json!({"hd": "corp.example"}), "unique id"),
        (azure.clone(), json!({"oid": OBJECT}), "tid with the tenant's id"),
        (azure.clone(), json!({"tid": TENANT}), "oid with the object id"),
        (azure.clone(), json!({"tid": TENANT, "azp": OBJECT}), "oid with the object id"),
        (azure.clone(), json!({"tid": TENANT, "oid": "agent"}), "a UUID in lower case"),
        (azure.clone(), json!({"tid": TENANT.replace('1', "A"), "oid": OBJECT}), "a UUID in lower case"),
        (azure.clone(), json!({"tid": PIPELINE, "oid": OBJECT}), "another tenant than the issuer's"),
        (
            json!({"issuer": "https://login.microsoftonline.com/common/v2.0"}),
            json!({"tid": TENANT, "oid": OBJECT}),
            "speaks for every tenant",
        ),
        (spiffe.clone(), json!({"sub": "spiffe://example.com/a"}), "in the trust domain of the issuer"),
        (spiffe.clone(), json!({"sub": "spiffe://example.org"}), "in the trust domain of the issuer"),
        (spiffe.clone(), json!({"sub": "spiffe://example.org/a/*"}), "looks like a pattern"),
        (
            spiffe.clone(),
            json!({"sub": {"oneBelow": "spiffe://example.com/a"}}),
            "in the trust domain of the issuer",
        ),
        (spiffe.clone(), json!({"team": "a"}), "whole SPIFFE ID"),
        (without(&spiffe, "jwks"), json!({"sub": "spiffe://example.org/a"}), "spire-server bundle show"),
        (named("terraform"), json!({"terraform_organization_id": "org-1"}), "terraform_run_phase"),
        (
            named("terraform"),
            json!({"terraform_organization_id": "org-1", "terraform_workspace_id": "ws-1"}),
            "whoever opens a pull request",
        ),
        (
            named("terraform"),
            json!({"terraform_workspace_id": "ws-1", "terraform_run_phase": "apply"}),
            "terraform_organization_id",
        ),
        (
            named("terraform"),
            json!({"sub": "organization:acme:project:p:workspace:w:run_phase:apply"}),
            "names can be taken over",
        ),
        (circle.clone(), json!({"oidc.circleci.com/project-id": OBJECT}), "a build of a fork"),
        (
            circle.clone(),
            json!({"oidc.circleci.com/project-id": "app", "oidc.circleci.com/vcs-origin": "o",
                "oidc.circleci.com/vcs-ref": "r"}),
            "a UUID in lower case",
        ),
        (
            named("buildkite"),
            json!({"organization_slug": "acme", "pipeline_slug": "app"}),
            "slugs can be taken over",
        ),
        (named("buildkite"), json!({"organization_id": TENANT, "pipeline_id": PIPELINE}), "any branch"),
        (
            named("buildkite"),
            json!({"pipeline_id": PIPELINE, "build_branch": "main"}),
            "signs for every organization",
        ),
        (
            json!({"issuer": "https://code.corp.example", "family": "gitlab"}),
            json!({"project_path": "g/p"}),
            "project_id and namespace_id",
        ),
        (
            json!({"issuer": "https://token.actions.githubusercontent.com", "family": "generic"}),
            json!({"repository": "o/r"}),
            "leave family out",
        ),
        (
            json!({"issuer": "https://token.actions.githubusercontent.com", "family": "generic"}),
            json!({"repository": "o/r"}),
            "repository_id and repository_owner_id",
        ),
    ] {
        let rule =
            json!({"project": "prj_0000000000000000000001", "environment": "production", "claims": claims});
        let config = with(&config, &[("audiences", json!([AUDIENCE])), ("rules", json!([rule]))]);
        let said = said(&config);
        assert!(said.iter().any(|sentence| sentence.contains(says)), "{config}: {said:?}");
    }
}

#[test]
fn an_audience_that_the_platform_writes_for_others_is_refused() {
    for (family, audience) in [
        ("github-actions", "https://github.com/octo"),
        ("gitlab", "https://gitlab.com"),
        ("kubernetes", "https://kubernetes.default.svc"),
        ("vercel", "https://vercel.com"),
        ("fly", "https://fly.io/acme"),
        ("google", "32555940559.apps.googleusercontent.com"),
        ("google", "https://storage.googleapis.com/"),
        ("azure", "https://management.azure.com/"),
        ("azure", "https://graph.microsoft.com"),
        ("azure", "00000003-0000-0000-c000-000000000000"),
        ("azure", "https://my-vault.vault.azure.net"),
        ("azure", "api://AzureADTokenExchange"),
        ("terraform", "aws.workload.identity"),
        ("circleci", TENANT),
        ("buildkite", "https://buildkite.com/acme"),
        ("github-actions", "sts.amazonaws.com"),
        ("buildkite", "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"),
    ] {
        let case = cases().into_iter().find(|case| case.family.slug() == family).unwrap();
        let found = lint(&issuer(&case, &[("audiences", json!([audience]))]), Setting::Production);
        let is_foreign = |weakness: &Weakness| {
            matches!(weakness, Weakness::OtherServiceAudience(_) | Weakness::ApiServerAudience(_))
        };
        assert!(found.iter().any(is_foreign), "{family} {audience}: {found:?}");
    }
    // What the official clients send from a deployment, and addresses that a server of ours may have.
    for (family, audience) in [
        ("vercel", "https://vercel.com/acme"),
        ("google", "https://carnet-abc.a.run.app/acme"),
        ("azure", "https://carnet.westeurope.cloudapp.azure.com/acme"),
        ("fly", "https://carnet.fly.dev/acme"),
    ] {
        let case = cases().into_iter().find(|case| case.family.slug() == family).unwrap();
        assert_eq!(lint(&issuer(&case, &[("audiences", json!([audience]))]), Setting::Production), []);
    }
}

/// The same `iss` on two clusters: the keys that were registered decide, never the name.
#[test]
fn two_clusters_of_one_name_are_told_apart_by_their_keys() {
    let case = cases().into_iter().find(|case| case.family == Family::Kubernetes).unwrap();
    let mine = issuer(&case, &[]);
    let other =
        json!({"keys": [carnet_identity::SigningKey::generate(Algorithm::Es256).unwrap().public_jwk()]});
    let token = signed(Algorithm::Es256, false, &complete(&case.claims));
    assert!(recognised(&mine, &token).is_ok());
    let theirs = Presented::parse(&token).unwrap().verify(&key_set(&other), &mine.expectation(), NOW);
    assert_eq!(theirs.err(), Some(JwtError::UnknownKey));
}

#[test]
fn a_jwt_svid_is_held_to_its_trust_domain() {
    let case = cases().into_iter().find(|case| case.config["issuer"] == "spiffe://example.org").unwrap();
    let issuer = issuer(&case, &[]);
    let with_subject = |subject: &str| complete(&json!({"sub": subject}));
    for (claims, want) in [
        (with_subject("spiffe://example.org/ns/shop/sa/a"), Ok(())),
        (with_subject("spiffe://example.org/ns/shop/sa"), Err("no rule")),
        (with_subject("spiffe://example.org/ns/shop/sa/a/b"), Err("no rule")),
        (with_subject("spiffe://example.org/ns/shop/sax/a"), Err("no rule")),
        (with_subject("spiffe://example.com/ns/shop/sa/a"), Err("issuer is another")),
        (with_subject("spiffe://example.org"), Err("iss is missing")),
        (with_subject("spiffe://example.org/ns/shop/sa/"), Err("iss is missing")),
        (with_subject("spiffe://example.org/ns/shop/sa/../x"), Err("iss is missing")),
        (with_subject("spiffe://EXAMPLE.org/ns/shop/sa/a"), Err("iss is missing")),
        (with_subject("workload"), Err("iss is missing")),
        (
            complete(&json!({"iss": "spiffe://example.org", "sub": "spiffe://example.com/ns/shop/sa/a"})),
            Err("trust domain"),
        ),
        (complete(&json!({"iss": "spiffe://example.org", "sub": "agent"})), Err("trust domain")),
        (complete(&json!({"iss": null, "sub": "spiffe://example.org/ns/shop/sa/a"})), Err("iss is missing")),
        (complete(&json!({"iss": "", "sub": "spiffe://example.org/ns/shop/sa/a"})), Err("iss is missing")),
        (
            complete(&json!({"iss": "https://spire.example", "sub": "spiffe://example.org/ns/shop/sa/a"})),
            Err("issuer is another"),
        ),
        (
            complete(&json!({"iss": "spiffe://example.org", "sub": "spiffe://example.org/ns/shop/sa/a"})),
            Ok(()),
        ),
    ] {
        let outcome = recognised(&issuer, &signed(Algorithm::Es256, true, &claims));
        match (outcome, want) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(says)) => assert!(error.contains(says), "{claims}: {error}"),
            (outcome, _) => panic!("{claims}: {outcome:?}"),
        }
    }
}

/// SPIFFE Trust Domain and Bundle §4.2: keys for X.509 stand beside those for JWTs.
#[test]
fn a_bundle_gives_its_keys_for_jwts_and_no_others() {
    let bundle = |usage: &str| {
        let keys = jwks()["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|jwk| with(jwk, &[("use", usage.into())]))
            .collect();
        key_set(&with(
            &json!({"spiffe_sequence": 1, "spiffe_refresh_hint": 300}),
            &[("keys", Value::Array(keys))],
        ))
    };
    assert!(bundle("jwt-svid").has("es256"));
    assert!(bundle("x509-svid").is_empty());
}

#[test]
fn a_tokens_claims_are_shown_beside_the_rule() {
    for case in cases() {
        let issuer = issuer(&case, &[]);
        let token = signed(Algorithm::Es256, case.typed, &complete(&case.claims));
        let presented = Presented::parse(&token).unwrap();
        let rule = issuer.rules.first().unwrap();
        let lines: Vec<_> =
            issuer.compare(&presented, NOW).into_iter().chain(rule.compare(&presented)).collect();
        assert!(lines.iter().all(|line| line.fits), "{}: {lines:?}", case.config);
        assert_eq!(lines.len(), 6 + case.rule.as_object().unwrap().len());
        // What does not fit is named, and only that.
        let stranger = with(&complete(&case.claims), &[("aud", json!("https://elsewhere.example"))]);
        let token = signed(Algorithm::Es256, case.typed, &stranger);
        let lines = issuer.compare(&Presented::parse(&token).unwrap(), NOW);
        let wrong: Vec<_> = lines.iter().filter(|line| !line.fits).map(|line| line.what.as_str()).collect();
        assert_eq!(wrong, ["aud"], "{}", case.config);
    }
    let case = &cases()[0];
    let issuer = issuer(case, &[]);
    let hour = 3600;
    for (times, says) in [
        (json!({"iat": NOW.secs() - hour, "exp": NOW.secs() - hour + 300}), "ended 3300 s ago"),
        (
            json!({"iat": NOW.secs() + hour, "nbf": NOW.secs() + hour, "exp": NOW.secs() + hour + 300}),
            "3600 s in the future",
        ),
    ] {
        let own: Vec<_> = times.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
        let token = signed(Algorithm::Es256, true, &with(&complete(&case.claims), &own));
        let lines = issuer.compare(&Presented::parse(&token).unwrap(), NOW);
        let age = lines.iter().find(|line| line.what == "age").unwrap();
        assert_eq!((age.fits, age.found.as_ref()), (false, Some(&json!(says))));
    }
}
