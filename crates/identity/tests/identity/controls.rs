//! Tokens that must be accepted: strictness that refuses honest issuers is a defect too.

use carnet_identity::Algorithm;
use serde_json::{Value, json};

use crate::forge::{
    AUDIENCE, NOW, Policy, claims, header, jwk, jwks, key_set, raw, token, verify, with, without,
};

fn at(offset: i64) -> Value {
    json!(NOW.secs() + offset)
}

#[test]
fn every_honest_shape_is_accepted_with_every_algorithm() {
    let many: Vec<_> = (0..200 - 8).map(|n| (format!("x{n}"), json!(n))).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let deep = json!({"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}});
    let shapes: Vec<(&str, Value)> = vec![
        ("plain", claims()),
        ("one audience in a list", with(&claims(), &[("aud", json!([AUDIENCE]))])),
        ("the second audience", with(&claims(), &[("aud", json!("https://carnet.example/second"))])),
        ("without nbf and jti", without(&without(&claims(), "nbf"), "jti")),
        ("nbf 30 seconds ahead", with(&claims(), &[("nbf", at(30))])),
        ("iat 30 seconds ahead", with(&claims(), &[("iat", at(30))])),
        ("expired 29 seconds ago", with(&claims(), &[("exp", at(-29)), ("iat", at(-60))])),
        ("the oldest allowed", with(&claims(), &[("iat", at(-930))])),
        ("the longest life allowed", with(&claims(), &[("iat", at(0)), ("exp", at(3600))])),
        ("200 members", with(&claims(), &many)),
        ("depth 8", with(&claims(), &[("deep", deep)])),
        ("letters of all kinds", with(&claims(), &[("sub", json!("repo:ärger/日本語 \u{1f980}"))])),
        ("numbers of all kinds", with(&claims(), &[("n", json!([0, -1, 1.5, 1e300, u64::MAX, i64::MIN]))])),
        ("null, lists and truth", with(&claims(), &[("x", json!([null, true, false, [], {}]))])),
    ];
    let mut accepted = 0;
    for algorithm in Algorithm::ALL {
        for (name, shape) in &shapes {
            let verified = verify(&token(algorithm, &header(algorithm), shape));
            let verified = verified.unwrap_or_else(|error| panic!("{algorithm} {name}: {error}"));
            assert_eq!(Some(verified.subject()), shape["sub"].as_str());
            assert_eq!(verified.claim("repository_id"), Some(&json!("42")));
            accepted += 1;
        }
    }
    assert!(accepted >= 60, "{accepted}");
}

#[test]
fn every_honest_header_is_accepted() {
    for algorithm in Algorithm::ALL {
        for head in [
            header(algorithm),
            without(&header(algorithm), "kid"),
            with(&header(algorithm), &[("typ", "jwt".into())]),
            with(&header(algorithm), &[("typ", "application/JWT".into())]),
            with(&header(algorithm), &[("x5t", "AAAA".into()), ("x5t#S256", "AAAA".into())]),
        ] {
            let outcome = verify(&token(algorithm, &head, &claims()));
            assert!(outcome.is_ok(), "{head}: {:?}", outcome.err());
        }
        if algorithm == Algorithm::EdDsa {
            // RFC 9864 §2.2: the name that says which curve.
            let head = with(&header(algorithm), &[("alg", "Ed25519".into())]);
            assert!(verify(&token(algorithm, &head, &claims())).is_ok());
            let named = key_set(&json!({"keys": [with(&jwk(algorithm), &[("alg", "Ed25519".into())])]}));
            for head in [&head, &header(algorithm)] {
                assert!(Policy::default().verify(&token(algorithm, head, &claims()), &named).is_ok());
            }
        }
        let spaced = format!(
            " {{ \"typ\" : \"JWT\" ,\r\n\t\"kid\":\"{}\",\"alg\":\"{algorithm}\" }} ",
            algorithm.as_str().to_lowercase()
        );
        assert!(verify(&raw(algorithm, spaced, claims().to_string())).is_ok());
    }
}

#[test]
fn an_rsa_key_without_alg_verifies_both_paddings() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        let keys = key_set(&json!({"keys": [without(&jwk(algorithm), "alg")]}));
        let token = token(algorithm, &header(algorithm), &claims());
        assert!(Policy::default().verify(&token, &keys).is_ok(), "{algorithm}");
    }
}

/// Claims in the form of the platforms' documentation; names and numbers are made up.
#[test]
fn the_tokens_of_the_platforms_are_accepted() {
    let times = [("iat", at(-5)), ("nbf", at(-5)), ("exp", at(295)), ("aud", json!(AUDIENCE))];
    let no_type = without(&header(Algorithm::Rs256), "typ");
    for (issuer, head, own, path, value) in [
        (
            "https://token.actions.githubusercontent.com",
            with(&header(Algorithm::Rs256), &[("x5t", "AAAA".into())]),
            json!({"jti": "j", "sub": "repo:octo@583231/app@1296269:environment:production", "ref": "refs/heads/main",
                "repository": "octo/app", "repository_id": "1296269", "repository_owner_id": "583231",
                "environment": "production", "ref_protected": "true", "run_attempt": "1"}),
            "repository_id",
            json!("1296269"),
        ),
        (
            "https://gitlab.com",
            header(Algorithm::Rs256),
            json!({"sub": "project_path:group/app:ref_type:branch:ref:main", "project_id": "22", "namespace_id": "72",
                "ref_protected": "true", "groups_direct": ["group"], "user_identities": [{"provider": "x", "extern_uid": "y"}]}),
            "project_id",
            json!("22"),
        ),
        (
            "https://kubernetes.default.svc.cluster.local",
            no_type.clone(),
            json!({"aud": [AUDIENCE], "sub": "system:serviceaccount:shop:agent", "kubernetes.io": {"namespace": "shop",
                "node": {"name": "n1", "uid": "1"}, "pod": {"name": "p", "uid": "2"},
                "serviceaccount": {"name": "agent", "uid": "3-4"}, "warnafter": NOW.secs() + 3000}}),
            "kubernetes.io.serviceaccount.uid",
            json!("3-4"),
        ),
        (
            "https://oidc.vercel.com/acme",
            header(Algorithm::Rs256),
            json!({"sub": "owner:acme:project:my-app:environment:production", "owner": "acme", "owner_id": "team_1",
                "project": "my-app", "project_id": "prj_1", "environment": "production"}),
            "project_id",
            json!("prj_1"),
        ),
        (
            "https://oidc.fly.io/acme",
            header(Algorithm::Rs256),
            json!({"sub": "acme:web:machine", "app_id": "7", "org_id": "9", "machine_id": "m", "region": "ams"}),
            "app_id",
            json!("7"),
        ),
        (
            "https://spiffe.example",
            with(&no_type, &[("alg", "ES256".into()), ("kid", "es256".into())]),
            json!({"aud": [AUDIENCE], "sub": "spiffe://example.org/ns/shop/sa/agent"}),
            "sub",
            json!("spiffe://example.org/ns/shop/sa/agent"),
        ),
        (
            "https://carnet.example/acme",
            with(&header(Algorithm::Es384), &[]),
            json!({"sub": "owner:acme:project:app:environment:preview", "project_id": "prj_0000000000000000000001"}),
            "project_id",
            json!("prj_0000000000000000000001"),
        ),
    ] {
        let claims = with(&with(&json!({"iss": issuer}), &times), &[]);
        let claims = own
            .as_object()
            .unwrap()
            .iter()
            .fold(claims, |all, (k, v)| with(&all, &[(k.as_str(), v.clone())]));
        let algorithm = Algorithm::parse(head["alg"].as_str().unwrap()).unwrap();
        let types = vec!["JWT".to_owned(), String::new()];
        let policy = Policy { issuer: issuer.to_owned(), types, ..Policy::default() };
        let verified = policy.verify(&token(algorithm, &head, &claims), &key_set(&jwks()));
        let verified = verified.unwrap_or_else(|error| panic!("{issuer}: {error}"));
        assert_eq!(verified.claim(path), Some(&value), "{issuer}");
        assert_eq!((verified.issuer(), verified.audience()), (issuer, AUDIENCE));
        assert_eq!(verified.expires_at().secs(), NOW.secs() + 295);
    }
}

#[test]
fn an_issuer_is_held_to_its_configured_algorithms() {
    for algorithm in Algorithm::ALL {
        let others = Algorithm::ALL.into_iter().filter(|other| *other != algorithm).collect();
        let policy = Policy { algorithms: others, ..Policy::default() };
        let outcome = policy.verify(&token(algorithm, &header(algorithm), &claims()), &key_set(&jwks()));
        assert_eq!(outcome.err(), Some(carnet_identity::JwtError::AlgorithmNotConfigured), "{algorithm}");
    }
}
