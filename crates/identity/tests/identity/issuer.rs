//! Carnet as an issuer: what it signs is what it accepts, and what others' verifiers expect.

use std::time::Duration;

use carnet_identity::{
    Algorithm, Expectation, IdentityClaims, InvalidKey, KeySet, NotOurs, Presented, ProjectName,
    ReservedName, Runtime, SigningKey, TeamName, VerifiedClaims, discovery_document,
};
use carnet_model::{Environment, Id, Slug, kind};
use serde_json::{Map, Value, json};

use crate::forge::{NOW, b64};

const LIFE: Duration = Duration::from_hours(12);

fn identity(runtime: Runtime) -> IdentityClaims {
    IdentityClaims {
        issuer: "https://carnet.example/acme".to_owned(),
        audience: "https://carnet.example/acme".to_owned(),
        team: TeamName { id: Id::from_bytes([1; 16]), slug: Slug::parse("acme").unwrap() },
        project: ProjectName { id: Id::from_bytes([2; 16]), name: Slug::parse("my-app").unwrap() },
        runtime,
        issued_at: NOW,
        life: LIFE,
        token_id: "t1".to_owned(),
    }
}

fn user() -> Id<kind::User> {
    Id::from_bytes([3; 16])
}

fn staging() -> Runtime {
    Runtime::custom(Id::from_bytes([4; 16]), Slug::parse("staging").unwrap()).unwrap()
}

fn verified(key: &SigningKey, claims: &Map<String, Value>) -> VerifiedClaims {
    let keys = KeySet::parse(json!({"keys": [key.public_jwk()]}).to_string().as_bytes()).unwrap();
    let audiences = ["https://carnet.example/acme".to_owned()];
    let types = ["JWT".to_owned()];
    let expect = Expectation {
        issuer: "https://carnet.example/acme",
        audiences: &audiences,
        algorithms: &[key.algorithm()],
        types: &types,
        max_life: LIFE,
        max_age: None,
        skew: Duration::from_secs(30),
    };
    let token = key.sign("JWT", claims).unwrap();
    let presented = Presented::parse(&token).unwrap();
    assert_eq!(presented.kid(), Some(key.kid()));
    assert_eq!(presented.issuer(), "https://carnet.example/acme");
    assert_eq!(presented.algorithm(), key.algorithm());
    presented.verify(&keys, &expect, NOW).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_development_token_has_the_documented_claims() {
    let seconds = NOW.secs();
    let (team, project) = (Id::<kind::Team>::from_bytes([1; 16]), Id::<kind::Project>::from_bytes([2; 16]));
    assert_eq!(
        Value::Object(identity(Runtime::Development { user: Some(user()) }).to_map()),
        json!({
            "iss": "https://carnet.example/acme", "aud": "https://carnet.example/acme",
            "sub": "owner:acme:project:my-app:environment:development",
            "owner": "acme", "owner_id": team.to_string(), "project": "my-app", "project_id": project.to_string(),
            "environment": "development", "user_id": user().to_string(),
            "iat": seconds, "nbf": seconds, "exp": seconds + 12 * 3600, "jti": "t1",
        })
    );
    let custom = Value::Object(identity(staging()).to_map());
    assert_eq!(custom["environment"], "staging");
    assert_eq!(
        custom["custom_environment_id"],
        Id::<kind::CustomEnvironment>::from_bytes([4; 16]).to_string()
    );
    assert_eq!(custom["sub"], "owner:acme:project:my-app:environment:staging");
    assert_eq!(custom.get("user_id"), None);
}

#[test]
fn what_we_sign_is_what_we_read() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm).unwrap();
        for runtime in [
            Runtime::Production,
            Runtime::Preview,
            Runtime::Development { user: None },
            Runtime::Development { user: Some(user()) },
            staging(),
        ] {
            let said = identity(runtime);
            let read = IdentityClaims::read(&verified(&key, &said.to_map()));
            assert_eq!(read, Ok(said));
        }
    }
    assert_eq!(staging().environment(), Environment::Custom(Id::from_bytes([4; 16])));
}

#[test]
fn a_custom_environment_cannot_pose_as_a_built_in_one() {
    for name in ["production", "preview", "development"] {
        let slug = Slug::parse(name).unwrap();
        assert_eq!(Runtime::custom(Id::from_bytes([4; 16]), slug), Err(ReservedName));
    }
}

#[test]
fn claims_that_contradict_each_other_are_not_a_workload() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let environment_id = Id::<kind::CustomEnvironment>::from_bytes([4; 16]).to_string();
    for (runtime, member, value, why) in [
        (Runtime::Preview, "environment", json!("production"), NotOurs::Subject),
        (Runtime::Preview, "environment", json!("staging"), NotOurs::Claim("custom_environment_id")),
        (Runtime::Preview, "environment", json!(null), NotOurs::Claim("environment")),
        (Runtime::Production, "custom_environment_id", json!(environment_id), NotOurs::Claim("environment")),
        (Runtime::Production, "user_id", json!(user().to_string()), NotOurs::Claim("user_id")),
        (Runtime::Production, "user_id", json!("alice"), NotOurs::Claim("user_id")),
        (Runtime::Production, "owner", json!("other"), NotOurs::Subject),
        (Runtime::Production, "project", json!("other"), NotOurs::Subject),
        (Runtime::Production, "project", json!("a:b"), NotOurs::Claim("project")),
        (Runtime::Production, "sub", json!("owner:acme"), NotOurs::Subject),
        (Runtime::Production, "owner_id", json!("prj_0000000000000000000001"), NotOurs::Claim("owner_id")),
        (Runtime::Production, "project_id", json!(1), NotOurs::Claim("project_id")),
        (Runtime::Production, "trigger", json!({"id": "scl_1"}), NotOurs::Forwarded),
        (Runtime::Production, "client_id", json!("carnet"), NotOurs::Forwarded),
        (Runtime::Production, "body_sha256", json!(b64([0; 32])), NotOurs::Forwarded),
    ] {
        let mut claims = identity(runtime).to_map();
        claims.insert(member.to_owned(), value);
        assert_eq!(IdentityClaims::read(&verified(&key, &claims)), Err(why), "{member}");
    }
}

#[test]
fn a_key_reads_back_as_itself() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm).unwrap();
        let pkcs8 = key.pkcs8().unwrap();
        let again = SigningKey::from_pkcs8(algorithm, pkcs8.expose()).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert_eq!(again.algorithm(), algorithm);
        let jwk = key.public_jwk();
        assert_eq!(jwk["kid"], key.kid());
        assert_eq!(jwk["alg"], algorithm.as_str());
        assert_eq!(jwk["use"], "sig");
        assert!(["d", "p", "q", "dp", "dq", "qi"].iter().all(|private| jwk.get(private).is_none()));
        let is_rsa = |algorithm| matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256);
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            // An RSA key signs as it was made to: what is published of it says how.
            let read = SigningKey::from_pkcs8(other, pkcs8.expose());
            assert_eq!(read.is_ok(), is_rsa(algorithm) && is_rsa(other), "{algorithm} as {other}");
        }
        for bytes in [&b""[..], b"-----BEGIN PRIVATE KEY-----", &[0x30, 0]] {
            assert_eq!(SigningKey::from_pkcs8(algorithm, bytes).err(), Some(InvalidKey::Encoding));
        }
    }
}

#[test]
fn the_discovery_document_names_issuer_and_keys() {
    let document = discovery_document(
        "https://c.example/a",
        "https://c.example/a/.well-known/jwks",
        &[Algorithm::Rs256],
    );
    assert_eq!(document["issuer"], "https://c.example/a");
    assert_eq!(document["jwks_uri"], "https://c.example/a/.well-known/jwks");
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
    assert_eq!(document["subject_types_supported"], json!(["public"]));
}
