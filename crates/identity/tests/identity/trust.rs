//! Trusted issuers: which rule a token meets, and which rules are refused.

use carnet_identity::{
    ConfigError, NoRule, Setting, TrustRule, TrustedIssuer, TrustedIssuerConfig, VerifiedClaims, Weakness,
    lint,
};
use carnet_model::{Environment, Id, SubjectKind};
use serde_json::{Value, json};

use crate::forge::{AUDIENCE, ISSUER, Policy, claims, header, jwks, key_set, token, with, without};

const PROJECT: &str = "prj_0000000000000000000001";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn rule(claims: &Value) -> Value {
    json!({"project": PROJECT, "environment": "production", "claims": claims})
}

fn config(issuer: &str, rules: &[Value]) -> Value {
    json!({"issuer": issuer, "audiences": [AUDIENCE], "rules": rules})
}

fn read(config: &Value) -> Result<TrustedIssuer, ConfigError> {
    let config: TrustedIssuerConfig = serde_json::from_str(&config.to_string()).unwrap();
    TrustedIssuer::from_config(Id::from_bytes([1; 16]), Id::from_bytes([2; 16]), config)
}

fn weaknesses(config: &Value) -> Vec<Weakness> {
    lint(&read(config).unwrap(), Setting::Production)
}

fn verified(members: &[(&str, Value)]) -> VerifiedClaims {
    let algorithm = carnet_identity::Algorithm::Es256;
    let token = token(algorithm, &header(algorithm), &with(&claims(), members));
    Policy::default().verify(&token, &key_set(&jwks())).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_first_rule_whose_claims_all_match_decides() {
    let issuer = read(&config(
        ISSUER,
        &[
            with(
                &rule(&json!({"repository_id": "42", "environment": "production"})),
                &[("subjects", json!(["app"]))],
            ),
            with(
                &rule(&json!({"repository_id": "42", "ref": ["main", "next"]})),
                &[("environment", "preview".into())],
            ),
            with(
                &rule(&json!({"kubernetes.io.serviceaccount.uid": "u", "n": 7, "b": true})),
                &[("environment", "development".into())],
            ),
        ],
    ))
    .unwrap();
    let stands_for =
        |members: &[(&str, Value)]| issuer.recognise(&verified(members)).map(|rule| rule.environment).ok();
    let cluster = json!({"serviceaccount": {"uid": "u"}});
    for (members, want) in [
        (vec![("environment", json!("production"))], Some(Environment::Production)),
        (vec![("environment", json!("production")), ("ref", json!("main"))], Some(Environment::Production)),
        (vec![("ref", json!("next"))], Some(Environment::Preview)),
        (vec![("ref", json!("nex"))], None),
        (vec![("ref", json!(["main"]))], None),
        (vec![("environment", json!("Production"))], None),
        (vec![("environment", json!("production ")), ("repository_id", json!("42"))], None),
        (vec![("environment", json!("production")), ("repository_id", json!(42))], None),
        (
            vec![("kubernetes.io", cluster.clone()), ("n", json!(7)), ("b", json!(true))],
            Some(Environment::Development),
        ),
        (vec![("kubernetes.io", cluster.clone()), ("n", json!(7.0)), ("b", json!(true))], None),
        (vec![("kubernetes.io", cluster.clone()), ("n", json!("7")), ("b", json!(true))], None),
        (vec![("kubernetes.io", cluster.clone()), ("n", json!(7)), ("b", json!("true"))], None),
        (
            vec![
                ("kubernetes.io", cluster),
                ("n", json!(7)),
                ("b", json!(true)),
                ("kubernetes.io.serviceaccount.uid", json!("u")),
            ],
            None,
        ),
        (vec![], None),
    ] {
        assert_eq!(stands_for(&members), want, "{members:?}");
    }
    let first = issuer.recognise(&verified(&[("environment", json!("production"))]));
    assert_eq!(first.map(|rule| rule.subjects.clone()), Ok(vec![SubjectKind::App]));
    assert_eq!(issuer.recognise(&verified(&[])), Err(NoRule { missed: vec!["environment".to_owned()] }));
}

#[test]
fn without_rules_or_claims_nobody_is_recognised() {
    let mut issuer = read(&config(ISSUER, &[])).unwrap();
    assert_eq!(issuer.recognise(&verified(&[])), Err(NoRule { missed: vec![] }));
    issuer.rules = vec![TrustRule {
        project: Id::from_bytes([1; 16]),
        environment: Environment::Production,
        claims: vec![],
        subjects: vec![SubjectKind::App],
    }];
    assert!(issuer.recognise(&verified(&[])).is_err());
    let other = read(&config("https://other.example", &[rule(&json!({"repository_id": "42"}))])).unwrap();
    assert_eq!(other.recognise(&verified(&[])), Err(NoRule { missed: vec!["iss".to_owned()] }));
}

#[test]
fn rules_that_single_out_a_workload_are_let_through() {
    let cluster = |issuer: &str| {
        with(
            &config(issuer, &[rule(&json!({"kubernetes.io.serviceaccount.uid": "1-2"}))]),
            &[("jwks", jwks())],
        )
    };
    for config in [
        config(
            GITHUB,
            &[rule(&json!({"repository_id": "1", "repository_owner_id": "2", "environment": "production"}))],
        ),
        config(
            GITHUB,
            &[rule(
                &json!({"repository_id": 1, "repository_owner_id": 2, "job_workflow_ref": "o/r/.github/workflows/x.yml@refs/heads/main"}),
            )],
        ),
        config(
            GITHUB,
            &[rule(
                &json!({"repository_id": ["1", "3"], "repository_owner_id": "2", "ref": "refs/heads/main", "ref_protected": "true"}),
            )],
        ),
        config(
            "https://github.corp.example/_services/token",
            &[rule(&json!({"repository_id": "1", "repository_owner_id": "2", "environment": "p"}))],
        ),
        config(
            "https://gitlab.com",
            &[rule(&json!({"project_id": "1", "namespace_id": "2", "ref_protected": "true"}))],
        ),
        cluster("https://kubernetes.default.svc.cluster.local"),
        config(
            "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC",
            &[rule(&json!({"kubernetes.io.serviceaccount.uid": "1-2"}))],
        ),
        config(
            "https://oidc.vercel.com/acme",
            &[rule(&json!({"owner_id": "team_1", "project_id": "prj_1", "environment": "production"}))],
        ),
        config("https://oidc.fly.io/acme", &[rule(&json!({"org_id": "1", "app_id": "2"}))]),
        config("https://spiffe.example", &[rule(&json!({"sub": "spiffe://example.org/ns/a/sa/b"}))]),
        config("https://idp.example", &[rule(&json!({"sub": "x", "azp": "client-1"}))]),
        config("https://idp.example", &[rule(&json!({"sub": "248289761001"}))]),
        config("https://idp.example", &[rule(&json!({"sub": ["a", "spiffe://example.org/b"]}))]),
        config("https://idp.example", &[rule(&json!({"sub": "a", "environment": "production"}))]),
        config(
            "https://idp.example",
            &[
                with(&rule(&json!({"client_id": "1", "tier": "a"})), &[("environment", "preview".into())]),
                rule(&json!({"client_id": "1"})),
            ],
        ),
        config("https://idp.example", &[]),
    ] {
        assert_eq!(weaknesses(&config), [], "{config}");
    }
}

#[test]
fn rules_that_would_trust_strangers_are_refused_with_what_to_add() {
    let gitlab = "https://gitlab.com";
    let idp = "https://idp.example";
    let vercel = "https://oidc.vercel.com";
    for (issuer, claims, says) in [
        (idp, json!({}), "has no claims"),
        (idp, json!({"sub": "repo:o/r:ref:refs/heads/main"}), "sub alone"),
        (idp, json!({"sub": "repo:o/r:ref:refs/heads/main"}), "at GitHub Actions"),
        (idp, json!({"sub": "project_path:g/p:ref_type:branch:ref:main"}), "at GitLab"),
        (idp, json!({"sub": ["agent", "system:serviceaccount:a:b"]}), "at Kubernetes"),
        (idp, json!({"sub": "organization:o:project:p:workspace:w:run_phase:plan"}), "at Terraform"),
        (idp, json!({"sub": true}), "sub alone"),
        (idp, json!({"sub": "spiffe://example.org"}), "sub alone"),
        (idp, json!({"sub": "spiffe://example.org/"}), "sub alone"),
        (idp, json!({"environment": "production"}), "no claim that says whose"),
        (idp, json!({"sub": "repo:o/r:x", "ref": "refs/heads/main"}), "no claim that says whose"),
        (idp, json!({"email_verified": true}), "no claim that says whose"),
        (idp, json!({"is_admin": true}), "no claim that says whose"),
        (idp, json!({"client_id": "*"}), "looks like a pattern"),
        (idp, json!({"client_id": ["a", "b-*"]}), "looks like a pattern"),
        (idp, json!({"client_id": "^a"}), "looks like a pattern"),
        (idp, json!({"client_id": "a$"}), "looks like a pattern"),
        (idp, json!({"client_id": []}), "compared with nothing"),
        (idp, json!({"client_id": ""}), "compared with nothing"),
        (idp, json!({"client_id": ["a", ""]}), "compared with nothing"),
        (GITHUB, json!({"sub": "repo:o/r:ref:refs/heads/main"}), "repository_id and repository_owner_id"),
        (
            GITHUB,
            json!({"repository": "o/r", "environment": "production"}),
            "repository_id and repository_owner_id",
        ),
        (
            GITHUB,
            json!({"repository_owner_id": "1", "environment": "production"}),
            "repository_id and repository_owner_id",
        ),
        (
            GITHUB,
            json!({"repository_id": "1", "environment": "production"}),
            "repository_id and repository_owner_id",
        ),
        (GITHUB, json!({"repository_id": "1", "repository_owner_id": "2"}), "one of environment, ref"),
        (
            GITHUB,
            json!({"repository_id": "1", "repository_owner_id": "2", "ref": "refs/heads/main"}),
            "one of environment, ref",
        ),
        (
            GITHUB,
            json!({"repository_id": "1", "repository_owner_id": "2", "ref": "refs/heads/main", "ref_protected": "false"}),
            "one of environment, ref",
        ),
        (
            GITHUB,
            json!({"repository_id": "octo/app", "repository_owner_id": "2", "environment": "p"}),
            "write the digits",
        ),
        (
            GITHUB,
            json!({"repository_id": ["1", "x"], "repository_owner_id": "2", "environment": "p"}),
            "write the digits",
        ),
        (
            gitlab,
            json!({"project_path": "group/app", "ref_protected": "true"}),
            "project_id and namespace_id",
        ),
        (gitlab, json!({"project_id": "1", "namespace_id": "2"}), "project_id and namespace_id"),
        (
            gitlab,
            json!({"project_id": "1", "namespace_id": "2", "ref_protected": "false"}),
            "project_id and namespace_id",
        ),
        ("https://gitlab.corp.example", json!({"project_id": "1"}), "project_id and namespace_id"),
        (
            vercel,
            json!({"project_id": "prj_1", "environment": "production"}),
            "owner_id, project_id and environment",
        ),
        (vercel, json!({"owner_id": "t", "project_id": "p"}), "owner_id, project_id and environment"),
        (
            vercel,
            json!({"owner": "acme", "project": "app", "environment": "production"}),
            "owner_id, project_id and environment",
        ),
        ("https://oidc.fly.io/acme", json!({"app_name": "web"}), "org_id and app_id"),
        (
            "https://oidc.eks.eu-west-1.amazonaws.com/id/A",
            json!({"sub": "system:serviceaccount:a:b"}),
            "serviceaccount.uid",
        ),
        (
            "https://oidc.eks.eu-west-1.amazonaws.com/id/A",
            json!({"kubernetes.io.namespace": "a"}),
            "serviceaccount.uid",
        ),
    ] {
        let found = weaknesses(&config(issuer, &[rule(&claims)]));
        let said: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|sentence| sentence.contains(says)), "{issuer} {claims}: {said:?}");
        assert!(said.iter().all(|sentence| sentence.starts_with("rule 1")), "{said:?}");
    }
}

#[test]
fn an_issuer_that_anybodys_token_would_pass_is_refused() {
    let good = config("https://idp.example", &[rule(&json!({"client_id": "1"}))]);
    let cluster =
        config("https://kubernetes.default.svc", &[rule(&json!({"kubernetes.io.serviceaccount.uid": "1"}))]);
    for (base, member, value, says) in [
        (&good, "audiences", json!([]), "audiences is empty"),
        (&good, "audiences", json!([""]), "names nobody in particular"),
        (&good, "audiences", json!(["*"]), "names nobody in particular"),
        (&good, "audiences", json!(["https://*.example"]), "names nobody in particular"),
        (&good, "audiences", json!([AUDIENCE, "https://kubernetes.default.svc.cluster.local"]), "API server"),
        (&good, "audiences", json!(["api"]), "API server"),
        (&good, "audiences", json!(["k3s"]), "API server"),
        (&cluster, "audiences", json!(["https://kubernetes.default.svc"]), "API server"),
        (&good, "audiences", json!(["https://github.com/octo"]), "for another service"),
        (&good, "audiences", json!(["sts.amazonaws.com"]), "for another service"),
        (&good, "audiences", json!(["sigstore"]), "for another service"),
        (&good, "algorithms", json!([]), "algorithms is empty"),
        (&good, "types", json!([]), "types is empty"),
        (&good, "issuer", json!("http://idp.example"), "issuer is not https"),
        (&good, "issuer", json!("HTTP://idp.example"), "issuer is not https"),
        (&good, "jwksUri", json!("http://idp.example/keys"), "jwksUri is not https"),
        (&cluster, "maxAgeSeconds", json!(60), "kubectl get --raw /openid/v1/jwks"),
        (
            &good,
            "rules",
            json!([with(&rule(&json!({"client_id": "1"})), &[("subjects", json!([]))])]),
            "no kind of subject",
        ),
        (
            &good,
            "rules",
            json!([
                rule(&json!({"client_id": ["1", "2"]})),
                with(&rule(&json!({"client_id": "1", "tier": "a"})), &[("environment", "preview".into())]),
            ]),
            "rule 2 is never reached, because rule 1",
        ),
    ] {
        let found = weaknesses(&with(base, &[(member, value.clone())]));
        assert!(
            found.iter().any(|weakness| weakness.to_string().contains(says)),
            "{member} {value}: {found:?}"
        );
    }
    let eks = "https://oidc.eks.eu-west-1.amazonaws.com/id/A";
    let own = with(
        &config(eks, &[rule(&json!({"kubernetes.io.serviceaccount.uid": "1"}))]),
        &[("audiences", json!([eks]))],
    );
    assert_eq!(weaknesses(&own), [Weakness::ApiServerAudience(eks.to_owned())]);
    let plain = read(&with(&good, &[("issuer", json!("http://127.0.0.1:9000"))])).unwrap();
    assert_eq!(lint(&plain, Setting::Development), []);
    assert_eq!(lint(&plain, Setting::Production).len(), 1);
}

#[test]
fn a_configuration_of_the_wrong_form_is_refused() {
    let good = config("https://idp.example", &[rule(&json!({"client_id": "1"}))]);
    let with_rule = |member: &str, value: Value| {
        with(&good, &[("rules", json!([with(&rule(&json!({"a": "1"})), &[(member, value)])]))])
    };
    let value_error = ConfigError::ClaimValue { rule: 1, claim: "a".to_owned() };
    for (config, why) in [
        (with(&good, &[("issuer", json!(""))]), ConfigError::Issuer),
        (with(&good, &[("issuer", json!("https://a b"))]), ConfigError::Issuer),
        (with(&good, &[("issuer", json!("x".repeat(513)))]), ConfigError::Issuer),
        (with(&good, &[("jwksUri", json!("https://a/k")), ("jwks", jwks())]), ConfigError::TwoKeySources),
        (with(&good, &[("jwksUri", json!("keys"))]), ConfigError::JwksUri),
        (with(&good, &[("jwks", json!({"keys": []}))]), ConfigError::NoUsableKey),
        (with(&good, &[("jwks", json!({"keys": [{"kty": "oct", "k": "AA"}]}))]), ConfigError::NoUsableKey),
        (with(&good, &[("audiences", json!(vec!["a"; 21]))]), ConfigError::TooMany("audiences", 20)),
        (with(&good, &[("audiences", json!(["a\nb"]))]), ConfigError::Text("audiences")),
        (with(&good, &[("types", json!(["a\u{0}"]))]), ConfigError::Text("types")),
        (with(&good, &[("maxLifeSeconds", json!(0))]), ConfigError::Seconds("maxLifeSeconds")),
        (with(&good, &[("maxAgeSeconds", json!(90_001))]), ConfigError::Seconds("maxAgeSeconds")),
        (
            with(&good, &[("rules", json!(vec![rule(&json!({"a": 1})); 201]))]),
            ConfigError::TooMany("rules", 200),
        ),
        (with_rule("subjects", json!(["admin"])), ConfigError::Subject(1)),
        (with_rule("claims", json!({"": "1"})), ConfigError::ClaimPath(1)),
        (with_rule("claims", json!({"a": null})), value_error.clone()),
        (with_rule("claims", json!({"a": 1.5})), value_error.clone()),
        (with_rule("claims", json!({"a": {"b": 1}})), value_error.clone()),
        (with_rule("claims", json!({"a": {"oneBelow": "spiffe://x/y"}})), value_error.clone()),
        (without(&good, "issuer"), ConfigError::NoIssuer),
        (with(&good, &[("account", json!("acme"))]), ConfigError::TwoIssuers),
        (with(&good, &[("issuer", json!("spiffe://Example.org"))]), ConfigError::Issuer),
        (with(&good, &[("issuer", json!("spiffe://example.org/a"))]), ConfigError::Issuer),
        (with_rule("claims", json!({"a": [["b"]]})), value_error),
    ] {
        assert_eq!(read(&config).err(), Some(why), "{config}");
    }
    let unreadable = [
        with(&good, &[("extra", json!(1))]),
        with(&good, &[("algorithms", json!(["HS256"]))]),
        with(&good, &[("algorithms", json!(["none"]))]),
        with_rule("environment", json!("qa")),
        with_rule("project", json!("*")),
        with_rule("extra", json!(1)),
        with(&good, &[("family", json!("github"))]),
    ];
    let twice =
        good.to_string().replace("{\"client_id\":\"1\"}", "{\"client_id\":\"1\",\"client_id\":\"2\"}");
    assert_ne!(twice, good.to_string());
    for text in unreadable.iter().map(ToString::to_string).chain([twice]) {
        assert!(serde_json::from_str::<TrustedIssuerConfig>(&text).is_err(), "{text}");
    }
}

#[test]
fn a_configuration_reads_back_with_its_defaults_filled_in() {
    let short = config(GITHUB, &[rule(&json!({"repository_id": "1", "n": [1, 2]}))]);
    let full = with(
        &config(
            GITHUB,
            &[with(
                &rule(&json!({"repository_id": "1", "n": [1, 2]})),
                &[("subjects", json!(["app", "user"]))],
            )],
        ),
        &[
            ("family", json!("github-actions")),
            ("algorithms", json!(["RS256", "PS256", "ES256", "ES384", "EdDSA"])),
            ("types", json!(["JWT"])),
            ("maxLifeSeconds", json!(3600)),
            ("maxAgeSeconds", json!(900)),
        ],
    );
    let issuer = read(&short).unwrap();
    assert_eq!(serde_json::to_value(issuer.to_config()).unwrap(), full);
    let again = read(&full).unwrap();
    assert_eq!(again.to_config(), issuer.to_config());
    for (issuer, types, age) in [
        ("https://kubernetes.default.svc", vec!["JWT", ""], 3600),
        ("https://oidc.vercel.com/acme", vec!["JWT"], 3600),
        ("https://idp.example", vec!["JWT", "", "at+jwt"], 900),
    ] {
        let read = read(&with(&config(issuer, &[]), &[("jwks", jwks())])).unwrap();
        assert_eq!(read.types, types);
        assert_eq!(read.expectation().max_age.map(|age| age.as_secs()), Some(age));
        let again = TrustedIssuer::from_config(read.id, read.team, read.to_config()).unwrap();
        assert_eq!(again.source, read.source);
    }
}

/// What an issuer that is no known platform writes when nobody tells it otherwise: nothing (most libraries), `JWT`, or
/// `at+jwt` (RFC 9068). What it signs for something else is not a workload's.
#[test]
fn the_usual_types_of_an_unknown_issuer_are_accepted_and_no_others() {
    let issuer = read(&config(ISSUER, &[rule(&json!({"sub": "agent"}))])).unwrap();
    let algorithm = carnet_identity::Algorithm::Es256;
    let accepted = |head: &Value| {
        let token = token(algorithm, head, &with(&claims(), &[("sub", json!("agent"))]));
        let presented = carnet_identity::Presented::parse(&token).unwrap();
        presented.verify(&key_set(&jwks()), &issuer.expectation(), crate::forge::NOW).is_ok()
    };
    let typed = |typ: &str| with(&header(algorithm), &[("typ", json!(typ))]);
    assert!(accepted(&without(&header(algorithm), "typ")));
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        assert!(accepted(&typed(typ)), "{typ}");
    }
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", "oauth-authz-req+jwt", "id+jwt", "JOSE", ""] {
        assert!(!accepted(&typed(typ)), "{typ}");
    }
}

#[test]
fn two_entries_that_recognise_the_same_token_are_found() {
    let entry = |claims: &Value| read(&config(ISSUER, &[rule(&json!({"other": 1})), rule(claims)])).unwrap();
    for (ours, theirs, meet) in [
        (json!({"sub": "a"}), json!({"sub": "a"}), true),
        (json!({"sub": "a"}), json!({"sub": ["b", "a"]}), true),
        (json!({"sub": "a"}), json!({"sub": "a", "tier": 1}), true),
        (json!({"sub": "a", "tier": 1}), json!({"sub": "a"}), true),
        (json!({"sub": {"oneBelow": "spiffe://x/y"}}), json!({"sub": "spiffe://x/y/z"}), true),
        (json!({"sub": "spiffe://x/y/z"}), json!({"sub": {"oneBelow": "spiffe://x/y"}}), true),
        (json!({"sub": {"oneBelow": "spiffe://x/y"}}), json!({"sub": {"oneBelow": "spiffe://x/z"}}), false),
        (json!({"sub": "a"}), json!({"sub": "b"}), false),
        (json!({"sub": "1"}), json!({"sub": 1}), false),
        (json!({"sub": "a", "tier": 1}), json!({"sub": "a", "tier": 2}), false),
        (json!({"sub": "a"}), json!({"azp": "a"}), false),
    ] {
        let (one, mut two) = (entry(&ours), entry(&theirs));
        two.rules.remove(0);
        assert_eq!(one.overlaps(&two), meet.then_some((2, 1)), "{ours} {theirs}");
        assert_eq!(two.overlaps(&one), meet.then_some((1, 2)), "{ours} {theirs}");
    }
    let plain = with(&config(ISSUER, &[rule(&json!({"sub": "a"}))]), &[("algorithms", json!(["ES256"]))]);
    for (member, value) in [
        ("issuer", json!("https://other.example")),
        ("audiences", json!(["https://another.example"])),
        ("algorithms", json!(["PS256"])),
        ("types", json!(["special+jwt"])),
        ("jwks", jwks()),
    ] {
        let changed = read(&with(&plain, &[(member, value)])).unwrap();
        assert_eq!(read(&plain).unwrap().overlaps(&changed), None, "{member}");
    }
    let older = with(&plain, &[("maxAgeSeconds", json!(60)), ("types", json!(["", "JOSE"]))]);
    assert_eq!(read(&plain).unwrap().overlaps(&read(&older).unwrap()), Some((1, 1)));
}
