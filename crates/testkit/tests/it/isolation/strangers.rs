//! Callers to whom the things of the first team are nobody's.

use std::time::Duration;

use carnet_testkit::{Kit, Tenant};
use serde_json::json;

use super::examples::{Names, REFUSED_ALL_THE_SAME};
use super::{operations, record, second_project};

/// No credential, one that is none, one that was revoked, one that has expired: nothing of any route.
pub(crate) async fn without_a_credential_that_holds(kit: &Kit, names: &Names) {
    let made = async |body| kit.manage("POST", "/v1/access-tokens", Some(&body)).await.ok();
    let revoked = made(json!({"name": "revoked"})).await;
    let short = made(json!({"name": "short", "expiresInMs": 60_000})).await;
    let (revoked_token, short_token) = (revoked["token"].as_str().unwrap(), short["token"].as_str().unwrap());
    let identity = kit.workload("production");
    for bearer in [revoked_token, short_token] {
        kit.node.call("GET", "/v2/user", Some(bearer), None).await.ok();
    }
    let result = format!("/v1/connect/result/{}", names.of("verifier"));
    kit.node.call("GET", &result, Some(&identity), None).await.ok();
    let path = format!("/v1/access-tokens/{}", revoked["id"].as_str().unwrap());
    assert_eq!(kit.manage("DELETE", &path, None).await.status, 204);
    kit.clock.pass(Duration::from_mins(10));
    let elsewhere = {
        let claims = kit.issuer.claims(
            kit.clock.env().now(),
            "https://elsewhere.example",
            &kit.tenant.project,
            "production",
        );
        kit.issuer.sign(&claims)
    };
    for operation in operations() {
        for (who, bearer) in [
            ("nobody", None),
            ("garbage", Some("garbage")),
            ("a revoked token", Some(revoked_token)),
            ("an expired token", Some(short_token)),
            ("an expired identity", Some(identity.as_str())),
            ("an identity for somebody else", Some(elsewhere.as_str())),
        ] {
            let answer = operation.call(kit, bearer, names).await;
            assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()), "{who}: {}", operation.name());
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{who}: {}", operation.name());
            leaks_nothing(kit, names, &operation.name(), who, &answer.text());
        }
    }
}

/// What belongs to another team cannot be told from what does not exist, and each try is on that team's own record.
pub(crate) async fn of_another_team(kit: &Kit, names: &Names, other: &Tenant) {
    let nobody = names.of_nobody();
    let workload = kit.workload_of(other, "production");
    let mut refused = Vec::new();
    for operation in operations() {
        for (who, bearer) in
            [("another team's owner", other.token.as_str()), ("another team's workload", &workload)]
        {
            let name = operation.name();
            if operation.parameters().iter().all(|part| matches!(*part, "service" | "target")) {
                // Of the caller's own team, whatever it is; what is sent names nothing of the first.
                if operation.method == "GET" {
                    leaks_nothing(
                        kit,
                        names,
                        &name,
                        who,
                        &operation.call(kit, Some(bearer), &nobody).await.text(),
                    );
                }
                continue;
            }
            let answer = operation.call(kit, Some(bearer), names).await;
            let of_nobody = operation.call(kit, Some(bearer), &nobody).await;
            assert!(answer.status >= 400, "{who}: {name}: {} {}", answer.status, answer.text());
            assert_eq!(answer.status, of_nobody.status, "{who}: {name}: {}", answer.text());
            assert_eq!(
                names.remove_from(&answer.text()),
                nobody.remove_from(&of_nobody.text()),
                "{who}: {name}"
            );
            refused.push((name.clone(), answer));
            refused.push((name, of_nobody));
        }
    }
    record::of_refusals(kit, &other.token, &refused).await;
}

/// Of the same team, and yet not those that the link names.
pub(crate) async fn of_another_project_or_environment(kit: &Kit, names: &Names) {
    let second = second_project(kit).await;
    let mut refused = Vec::new();
    for (who, bearer) in [
        ("another project's workload", kit.workload_of(&second, "production")),
        ("a workload in an environment that is not linked", kit.workload("preview")),
    ] {
        for operation in operations() {
            let name = operation.name();
            if !operation.is_for("workload") {
                let answer = operation.call(kit, Some(&bearer), names).await;
                // What names its own project, or nothing, may be read by it; nothing may be changed.
                let reads = operation.method == "GET" && !operation.path.contains("{connector}");
                assert!(reads || answer.status >= 400, "{who}: {name}: {} {}", answer.status, answer.text());
                refused.push((name, answer));
                continue;
            }
            if operation.parameters().is_empty() || operation.path.contains("{verifier}") {
                continue;
            }
            let answer = operation.call(kit, Some(&bearer), names).await;
            if operation.path.ends_with("/explain") {
                // It says to whoever asks why the answer is no.
                assert_eq!(answer.ok()["allowed"], false, "{who}: {name}");
                continue;
            }
            assert!(
                matches!(answer.status, 403 | 404 | 422),
                "{who}: {name}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(answer.status != 422 || REFUSED_ALL_THE_SAME.contains(&name.as_str()));
            refused.push((name, answer));
        }
    }
    record::of_refusals(kit, &kit.tenant.token, &refused).await;
}

/// A person who may do less: whatever is refused is refused by a rule, on the record, and changes nothing. Whatever an
/// owner alone may do is refused.
pub(crate) async fn of_a_lower_role(kit: &mut Kit, names: &Names) {
    set_role(kit, "member").await;
    let mut refused = Vec::new();
    for operation in operations().into_iter().filter(|operation| operation.method != "DELETE") {
        let answer = operation.call(kit, Some(&kit.tenant.token), names).await;
        assert!(answer.status < 500, "{}: {} {}", operation.name(), answer.status, answer.text());
        if answer.status == 403 {
            refused.push((operation.name(), answer));
        }
    }
    let all: Vec<&str> = refused.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["POST /v1/trusted-issuers", "POST /v1/keys/rotate", "GET /v1/keys"] {
        assert!(all.contains(&name), "{name} is for owners; refused were {all:?}");
    }
    set_role(kit, "owner").await;
    record::of_refusals(kit, &kit.tenant.token, &refused).await;
}

/// Written behind the server's back, and therefore read by one that starts.
async fn set_role(kit: &mut Kit, role: &str) {
    kit.restart(async |kit| {
        kit.raw().await.run(&format!("update members set role = '{role}'")).await;
    })
    .await;
}

/// Nothing of the first team that the caller did not bring along.
pub(crate) fn leaks_nothing(kit: &Kit, names: &Names, operation: &str, who: &str, said: &str) {
    for secret in names.values().chain([kit.tenant.user.as_str(), kit.tenant.slug.as_str()]) {
        assert!(!said.contains(secret), "{who}: {operation}: {secret} in {said}");
    }
}
