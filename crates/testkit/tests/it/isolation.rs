//! One team sees nothing of another, and a credential that is none opens nothing: every route, every kind of stranger.

use carnet_testkit::{Answer, Engine, Kit, Plan, Tenant, on_both_engines};
use serde_json::{Value, json};

use crate::of;

on_both_engines!(no_stranger_gets_through_any_route);

/// The names of things in a path, of the first team or of nobody.
struct Names {
    connector: String,
    project: String,
    environment: String,
    installation: String,
    issuer: String,
    token: String,
    verifier: String,
    team: String,
    user: String,
    invitation: String,
}

/// Method, path, body; and whether the path names a thing of a team.
fn routes(names: &Names) -> Vec<(&'static str, String, Value, bool)> {
    let Names {
        connector,
        project,
        environment,
        installation,
        issuer,
        token,
        verifier,
        team,
        user,
        invitation,
    } = names;
    let t = format!("/v1/teams/{team}");
    let c = format!("/v1/connect/connectors/{connector}");
    let p = format!("/v9/projects/{project}");
    let none = Value::Null;
    vec![
        // Of one's own team: strangers with no credential get nothing, another team its own. They come first, before the
        // other team's log has the names that it is going to try.
        ("GET", "/v1/connect/connectors?include=projects&limit=100".to_owned(), none.clone(), false),
        ("GET", "/v2/connect/connectors".to_owned(), none.clone(), false),
        ("GET", "/v2/user".to_owned(), none.clone(), false),
        ("GET", "/v1/teams".to_owned(), none.clone(), false),
        ("GET", "/v2/teams".to_owned(), none.clone(), false),
        ("GET", "/v9/projects".to_owned(), none.clone(), false),
        ("GET", "/v1/trusted-issuers".to_owned(), none.clone(), false),
        ("GET", "/v1/access-tokens".to_owned(), none.clone(), false),
        ("GET", "/v1/audit?limit=1000".to_owned(), none.clone(), false),
        ("GET", "/v1/keys".to_owned(), none.clone(), false),
        ("POST", "/v1/keys/rotate".to_owned(), json!({}), false),
        ("POST", "/v1/keys/verify".to_owned(), json!({}), false),
        ("GET", "/v1/connect/services?search=slack".to_owned(), none.clone(), false),
        ("GET", "/v1/connect/services/slack".to_owned(), none.clone(), false),
        ("POST", "/v1/connect/connectors".to_owned(), json!({}), false),
        ("POST", "/v1/connect/connectors/managed".to_owned(), json!({}), false),
        ("POST", "/v9/projects".to_owned(), json!({"name": "Not A Slug"}), false),
        ("POST", "/v2/files".to_owned(), json!({}), false),
        (
            "POST",
            "/v1/connect/connectors/managed/oauth".to_owned(),
            json!({"serverUrl": "https://mcp.example.test/mcp", "uid": "not a uid"}),
            false,
        ),
        ("POST", "/v1/trusted-issuers".to_owned(), json!({}), false),
        ("POST", "/v1/trusted-issuers/check".to_owned(), json!({"trustedIssuer": {}}), false),
        ("GET", "/v1/trusted-issuers/families".to_owned(), none.clone(), false),
        ("POST", "/v1/access-tokens".to_owned(), json!({"name": ""}), false),
        ("GET", "/v1/access-tokens?everybody=true".to_owned(), none.clone(), false),
        ("POST", "/v1/teams".to_owned(), json!({"name": ""}), false),
        ("POST", "/v1/invitations/show".to_owned(), json!({"invitation": "none"}), false),
        ("POST", "/v1/invitations/accept".to_owned(), json!({"invitation": "none"}), false),
        ("GET", "/v1/accounts".to_owned(), none.clone(), false),
        ("PATCH", format!("/v1/accounts/{user}"), json!({"disabled": true}), true),
        ("GET", t.clone(), none.clone(), true),
        ("PATCH", t.clone(), json!({"name": "theirs", "strictConnectors": true}), true),
        ("GET", format!("{t}/members"), none.clone(), true),
        ("PATCH", format!("{t}/members/{user}"), json!({"role": "viewer"}), true),
        ("DELETE", format!("{t}/members/{user}"), none.clone(), true),
        ("GET", format!("{t}/invitations"), none.clone(), true),
        ("POST", format!("{t}/invitations"), json!({"role": "owner"}), true),
        ("DELETE", format!("{t}/invitations/{invitation}"), none.clone(), true),
        ("POST", "/v1/connect/authorize/complete".to_owned(), json!({"code": "0"}), false),
        ("POST", format!("/v1/connect/token/{connector}"), json!({"subject": {"type": "app"}}), true),
        ("POST", format!("/v1/connect/authorize/{connector}"), of("alice"), true),
        ("POST", format!("/v1/connect/install/{connector}"), json!({}), true),
        ("GET", format!("/v1/connect/result/{verifier}"), none.clone(), true),
        (
            "POST",
            format!("/v1/connect/token/{connector}/import"),
            json!({"tokens": [{"accessToken": "theirs", "expiresAt": 9_000_000_000_000_i64, "environment": "production",
                "subject": {"type": "user", "id": "alice"}}]}),
            true,
        ),
        ("GET", format!("{c}/consent-rules"), none.clone(), true),
        ("PATCH", format!("{c}/consent-rules"), json!({"requireCompletion": true}), true),
        ("GET", c.clone(), none.clone(), true),
        ("PATCH", c.clone(), json!({"name": "theirs"}), true),
        ("DELETE", format!("{c}/tokens"), json!({}), true),
        ("GET", format!("{c}/grants"), none.clone(), true),
        ("GET", format!("{c}/keys"), none.clone(), true),
        ("POST", format!("{c}/keys"), json!({}), true),
        ("GET", format!("{c}/server"), none.clone(), true),
        ("POST", format!("{c}/server"), json!({"digest": "0"}), true),
        ("PATCH", format!("/v2/connect/connectors/{connector}"), json!({"name": "theirs"}), true),
        ("POST", format!("{c}/managed/eject"), json!({}), true),
        ("POST", format!("{c}/contacts"), json!({"phoneNumber": "+12025551234"}), true),
        ("PATCH", format!("{c}/trigger-destinations"), json!({"destinations": []}), true),
        ("GET", format!("/v2/connect/connectors/{connector}/projects"), none.clone(), true),
        ("GET", format!("{c}/projects"), none.clone(), true),
        ("GET", format!("{c}/projects/{project}"), none.clone(), true),
        ("POST", format!("{c}/projects/{project}"), json!({"environments": ["production"]}), true),
        ("DELETE", format!("{c}/projects/{project}"), none.clone(), true),
        ("GET", format!("{c}/installations"), none.clone(), true),
        ("POST", format!("{c}/installations"), json!({"externalId": "T9"}), true),
        ("DELETE", format!("{c}/installations/{installation}"), none.clone(), true),
        ("GET", format!("/v2/connect/projects/{project}/connectors"), none.clone(), true),
        ("GET", p.clone(), none.clone(), true),
        ("GET", format!("/v1/projects/{project}/provisioning"), none.clone(), true),
        ("PUT", format!("/v1/projects/{project}/provisioning"), json!({"environments": []}), true),
        ("GET", format!("/v1/projects/{project}/return-origins"), none.clone(), true),
        ("PUT", format!("/v1/projects/{project}/return-origins"), json!({"origins": []}), true),
        ("GET", format!("{p}/custom-environments"), none.clone(), true),
        ("POST", format!("{p}/custom-environments"), json!({"slug": "theirs"}), true),
        ("DELETE", format!("{p}/custom-environments/{environment}"), none.clone(), true),
        ("GET", format!("/projects/{project}/custom-environments"), none.clone(), true),
        ("POST", format!("/projects/{project}/custom-environments"), json!({"slug": "theirs"}), true),
        ("DELETE", format!("/projects/{project}/custom-environments/{environment}"), none.clone(), true),
        ("POST", format!("/projects/{project}/token"), json!({}), true),
        ("POST", format!("/v1/projects/{project}/token"), json!({}), true),
        ("GET", format!("/v3/env/pull/{project}/development"), none.clone(), true),
        ("GET", format!("/v1/trusted-issuers/{issuer}"), none.clone(), true),
        ("DELETE", format!("/v1/trusted-issuers/{issuer}"), none.clone(), true),
        ("DELETE", format!("/v1/access-tokens/{token}"), none.clone(), true),
        ("GET", format!("/v1/audit?connector={connector}"), none.clone(), true),
        ("DELETE", p, none.clone(), true),
        ("DELETE", c, none.clone(), true),
    ]
}

async fn no_stranger_gets_through_any_route(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    kit.consent("alice").await;
    kit.user_token("alice").await.token();
    let other = kit.another_tenant("other").await;
    let names = furnish(&kit).await;
    let nobody = Names {
        connector: "scl_0000000000000000000000".to_owned(),
        project: "prj_0000000000000000000000".to_owned(),
        environment: "env_0000000000000000000000".to_owned(),
        installation: "sci_0000000000000000000000".to_owned(),
        issuer: "iss_0000000000000000000000".to_owned(),
        token: "atk_0000000000000000000000".to_owned(),
        verifier: "0".repeat(50),
        team: "team_0000000000000000000000".to_owned(),
        user: "usr_0000000000000000000000".to_owned(),
        invitation: "inv_0000000000000000000000".to_owned(),
    };
    let second = kit.manage("POST", "/v9/projects", Some(&json!({"name": "second"}))).await.ok();
    let second = Tenant { project: second["id"].as_str().unwrap().to_owned(), ..kit.tenant.clone() };
    kit.trust(&second).await;
    let made = kit.manage("POST", "/v1/access-tokens", Some(&json!({"name": "short"}))).await.ok();
    let revoked = made["token"].as_str().unwrap().to_owned();
    kit.manage("GET", "/v2/user", None).await.ok();
    let path = format!("/v1/access-tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(kit.manage("DELETE", &path, None).await.status, 204);

    let theirs = routes(&names);
    for ((method, path, body, named), (_, missing, _, _)) in theirs.iter().zip(routes(&nobody)) {
        let call = async |bearer: Option<&str>, path: &str| -> Answer {
            kit.node.call(method, path, bearer, Some(body).filter(|body| !body.is_null())).await
        };
        for (who, bearer) in
            [("nobody", None), ("a revoked token", Some(revoked.as_str())), ("garbage", Some("garbage"))]
        {
            let answer = call(bearer, path).await;
            assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()), "{who}: {method} {path}");
        }
        let workload = kit.workload_of(&other, "production");
        for (who, bearer) in
            [("another team's owner", other.token.as_str()), ("another team's workload", &workload)]
        {
            let answer = call(Some(bearer), path).await;
            for secret in [&names.connector, &names.project, &kit.tenant.team, &kit.tenant.user] {
                let said = answer.text();
                assert!(
                    path.contains(secret.as_str()) || !said.contains(secret.as_str()),
                    "{who}: {method} {path}: {said}"
                );
            }
            if !named {
                continue;
            }
            assert!(answer.status >= 400, "{who}: {method} {path}: {} {}", answer.status, answer.text());
            // What belongs to another team cannot be told from what does not exist.
            let of_nobody = call(Some(bearer), &missing).await;
            assert_eq!(answer.status, of_nobody.status, "{who}: {method} {path}");
            assert_eq!(unnamed(&answer, &names), unnamed(&of_nobody, &nobody), "{who}: {method} {path}");
        }
        // A workload of another project of the same team.
        let answer = call(Some(&kit.workload_of(&second, "production")), path).await;
        let may_read = method == &"GET" && path.contains("/result/");
        assert!(may_read || answer.status >= 400, "another project: {method} {path}: {}", answer.text());
    }
    // Nothing was changed by all of it.
    kit.user_token("alice").await.token();
    assert_eq!(
        kit.manage("GET", &format!("/v1/connect/connectors/{}", kit.connector), None).await.ok()["name"],
        "hello"
    );
}

/// One thing of each kind.
async fn furnish(kit: &Kit) -> Names {
    let id = |answer: Value| answer["id"].as_str().unwrap().to_owned();
    let environments = format!("/v9/projects/{}/custom-environments", kit.tenant.project);
    let installations = format!("/v1/connect/connectors/{}/installations", kit.connector);
    let invitations = format!("/v1/teams/{}/invitations", kit.tenant.team);
    let installation = json!({"externalId": "T1", "default": false});
    let issuers = kit.manage("GET", "/v1/trusted-issuers", None).await.ok();
    let started = kit.authorize("bob", Value::Null).await;
    Names {
        connector: kit.connector.clone(),
        project: kit.tenant.project.clone(),
        environment: id(kit.manage("POST", &environments, Some(&json!({"slug": "qa"}))).await.ok()),
        installation: id(kit.manage("POST", &installations, Some(&installation)).await.ok()),
        issuer: issuers["trustedIssuers"][0]["id"].as_str().unwrap().to_owned(),
        token: id(kit.manage("POST", "/v1/access-tokens", Some(&json!({"name": "kept"}))).await.ok()),
        verifier: started["verifier"].as_str().unwrap().to_owned(),
        team: kit.tenant.team.clone(),
        user: kit.tenant.user.clone(),
        invitation: id(kit.manage("POST", &invitations, Some(&json!({"role": "viewer"}))).await.ok()),
    }
}

/// The answer without the names that the caller brought along.
fn unnamed(answer: &Answer, names: &Names) -> String {
    let Names {
        connector,
        project,
        environment,
        installation,
        issuer,
        token,
        verifier,
        team,
        user,
        invitation,
    } = names;
    let all =
        [connector, project, environment, installation, issuer, token, verifier, team, user, invitation];
    all.iter().fold(answer.text(), |text, name| text.replace(name.as_str(), "NAME"))
}

/// The routes of the test are those of the server: a new one does not slip by.
#[test]
fn the_table_has_every_route() {
    let source = include_str!("../../../api/src/router.rs");
    let open = [
        "/.well-known/",
        "/{team}/.well-known/",
        "/clients/",
        "/connect/jwks/",
        "/login/oauth/",
        "/livez",
        "/openapi.json",
        "/pictures/",
        "/readyz",
        "/teams/{team}",
    ];
    let name = |n: &str| format!("{{{n}}}");
    let table = routes(&Names {
        connector: name("connector"),
        project: name("project"),
        environment: name("environment"),
        installation: name("installation"),
        issuer: name("issuer"),
        token: name("token"),
        verifier: name("verifier"),
        team: name("team"),
        user: name("user"),
        invitation: name("invitation"),
    });
    let served = source.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/'));
    for path in served.filter(|path| !open.iter().any(|open| path.starts_with(open))) {
        let known = path.replace("{service}", "slack").replace("{target}", "development");
        assert!(
            table.iter().any(|(_, listed, _, _)| listed.split('?').next() == Some(known.as_str())),
            "{path} is not in the table"
        );
    }
}
