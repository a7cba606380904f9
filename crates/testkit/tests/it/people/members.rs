//! Coming, staying and going.

use std::time::Duration;

use carnet_testkit::{Browser, Engine, Kit, Plan, eventually, on_both_engines};
use serde_json::{Value, json};

use super::join;

on_both_engines!(
    an_invitation_lets_one_person_in_once,
    who_is_removed_has_nothing_left,
    a_team_always_has_an_owner,
    a_disabled_account_opens_nothing_anywhere,
    another_team_is_made_by_an_owner_of_the_first,
);

fn team(kit: &Kit) -> String {
    format!("/v1/teams/{}", kit.tenant.team)
}

async fn accept(kit: &Kit, bearer: &str, invitation: &Value) -> carnet_testkit::Answer {
    let body = json!({"invitation": invitation});
    kit.node.call("POST", "/v1/invitations/accept", Some(bearer), Some(&body)).await
}

async fn an_invitation_lets_one_person_in_once(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let path = format!("{}/invitations", team(&kit));
    let invite = async |body: Value| kit.manage("POST", &path, Some(&body)).await.ok();
    let (ada, bob) = (kit.another_tenant("ada").await, kit.another_tenant("bob").await);
    let gone = (410, "gone".to_owned());

    let first = invite(json!({"role": "viewer", "email": "OWNER@ada.example"})).await;
    let stored = kit.raw().await.number("select count(*) from invitations").await;
    assert_eq!(stored, 1);
    let show = async |bearer: &str| {
        let body = json!({"invitation": first["invitation"]});
        kit.node.call("POST", "/v1/invitations/show", Some(bearer), Some(&body)).await
    };
    let shown = show(&ada.token).await.ok();
    assert_eq!((&shown["team"]["slug"], &shown["role"]), (&json!("acme"), &json!("viewer")));
    // Made for Ada: nobody else can use it, and that does not use it up.
    assert_eq!(accept(&kit, &bob.token, &first["invitation"]).await.refusal(), (403, "forbidden".to_owned()));
    let joined = accept(&kit, &ada.token, &first["invitation"]).await.ok();
    let token = joined["accessToken"]["token"].as_str().unwrap();
    let seen = kit.node.call("GET", "/v2/user", Some(token), None).await.ok();
    assert_eq!(
        (&seen["user"]["id"], &seen["user"]["defaultTeamId"]),
        (&json!(ada.user), &json!(kit.tenant.team))
    );
    assert_eq!(accept(&kit, &ada.token, &first["invitation"]).await.refusal(), gone);
    assert_eq!(show(&ada.token).await.refusal(), gone);

    // Who is in already stays as what they are.
    let again = invite(json!({"role": "owner"})).await;
    assert_eq!(accept(&kit, &ada.token, &again["invitation"]).await.refusal(), (409, "conflict".to_owned()));
    let members = kit.manage("GET", &format!("{}/members", team(&kit)), None).await.ok();
    let roles: Vec<(&str, &str)> = members["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| (member["email"].as_str().unwrap(), member["role"].as_str().unwrap()))
        .collect();
    assert_eq!(roles, [("owner@acme.example", "owner"), ("owner@ada.example", "viewer")]);

    let known = json!({"role": "member", "email": "Owner@ADA.example"});
    let refused = kit.manage("POST", &path, Some(&known)).await;
    assert_eq!(refused.refusal(), (409, "conflict".to_owned()), "whoever is in needs no invitation");

    // Withdrawn, expired, made up.
    let open = kit.manage("GET", &path, None).await.ok();
    assert_eq!(open["invitations"].as_array().unwrap().len(), 1);
    assert!(!open.to_string().contains(again["invitation"].as_str().unwrap()), "it is told once");
    let withdraw = format!("{path}/{}", again["id"].as_str().unwrap());
    assert_eq!(kit.manage("DELETE", &withdraw, None).await.status, 204);
    assert_eq!(kit.manage("DELETE", &withdraw, None).await.refusal(), (404, "not_found".to_owned()));
    assert_eq!(accept(&kit, &bob.token, &again["invitation"]).await.refusal(), gone);
    let short = invite(json!({"role": "member", "expiresInMs": 60_000})).await;
    kit.clock.pass(Duration::from_secs(61));
    assert_eq!(accept(&kit, &bob.token, &short["invitation"]).await.refusal(), gone);
    assert_eq!(accept(&kit, &bob.token, &json!("made-up")).await.refusal(), gone);

    // Of two who come at the same moment one gets in.
    let (cleo, dan) = (kit.another_tenant("cleo").await, kit.another_tenant("dan").await);
    let one = invite(json!({"role": "member"})).await;
    let (a, b) = tokio::join!(
        accept(&kit, &cleo.token, &one["invitation"]),
        accept(&kit, &dan.token, &one["invitation"])
    );
    let mut told = [a.status, b.status];
    told.sort_unstable();
    assert_eq!(told, [201, 410]);

    // An invitation of somebody who may no longer invite is none.
    let eve = join(&kit, "eve", "owner").await;
    let hers = kit.node.call("POST", &path, Some(&eve.token), Some(&json!({"role": "owner"}))).await.ok();
    let role = format!("{}/members/{}", team(&kit), eve.user);
    kit.manage("PATCH", &role, Some(&json!({"role": "member"}))).await.ok();
    assert_eq!(accept(&kit, &bob.token, &hers["invitation"]).await.refusal(), gone);

    let accepted = kit.events_of("invitation.accept").await;
    assert_eq!(accepted.len(), 3, "{accepted:?}");
    assert_eq!(accepted[0]["actor"], json!({"type": "user", "id": ada.user}));
}

async fn who_is_removed_has_nothing_left(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let second = if kit.is_shared() { Some(kit.second_node().await) } else { None };
    let ada = join(&kit, "ada", "member").await;
    let bearer = Some(ada.token.as_str());
    // She has consented as herself, has another token, an identity for development, and the node remembers her.
    let path = format!("/v1/connect/authorize/{}", kit.connector);
    let own = json!({"subject": {"type": "user"}});
    let started = kit.node.call("POST", &path, bearer, Some(&own)).await.ok();
    Browser::default().consent(started["url"].as_str().unwrap(), "ada").await;
    let token_of = |answer: Value| answer["token"].as_str().unwrap().to_owned();
    let provider_token = kit.node.token(&ada.token, &kit.connector, &own).await.token();
    assert!(kit.provider.me(&provider_token).await.is_some());
    let more = kit.node.call("POST", "/v1/access-tokens", bearer, Some(&json!({"name": "more"}))).await;
    let more = token_of(more.ok());
    let path = format!("/v1/projects/{}/token", kit.tenant.project);
    let identity = token_of(kit.node.call("POST", &path, bearer, Some(&json!({}))).await.ok());
    let app = json!({"subject": {"type": "app"}});
    let opens = async |credential: &str| {
        let mut told = vec![kit.node.token(credential, &kit.connector, &app).await.status];
        if let Some(second) = &second {
            told.push(second.token(credential, &kit.connector, &app).await.status);
        }
        told
    };
    for credential in [&ada.token, &more, &identity] {
        assert!(opens(credential).await.iter().all(|status| *status == 200));
    }

    // As a viewer she is given no identity, and the one that she has is worth nothing.
    let member = format!("{}/members/{}", team(&kit), ada.email);
    kit.manage("PATCH", &member, Some(&json!({"role": "viewer"}))).await.ok();
    assert!(opens(&identity).await.iter().all(|status| *status == 401));
    assert!(opens(&more).await.iter().all(|status| *status == 403));
    kit.manage("PATCH", &member, Some(&json!({"role": "member"}))).await.ok();
    assert!(opens(&identity).await.iter().all(|status| *status == 200));

    assert_eq!(kit.manage("DELETE", &member, None).await.status, 204);
    for credential in [&ada.token, &more, &identity] {
        assert!(opens(credential).await.iter().all(|status| *status == 401));
    }
    assert!(kit.grants().await.is_empty());
    eventually("the provider was told", async || {
        kit.provider.me(&provider_token).await.is_none().then_some(())
    })
    .await;
    assert_eq!(kit.manage("DELETE", &member, None).await.refusal(), (404, "not_found".to_owned()));
    // What she has elsewhere is hers.
    kit.node.call("GET", "/v2/user", Some(&ada.home.token), None).await.ok();
    let removed = kit.events_of("member.remove").await;
    assert_eq!(removed.len(), 1);
    assert_eq!((&removed[0]["target"], &removed[0]["detail"]["grants"]), (&json!(ada.user), &json!(1)));
}

async fn a_team_always_has_an_owner(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let of = |user: &str| format!("{}/members/{user}", team(&kit));
    let conflict = (409, "conflict".to_owned());
    let lower = json!({"role": "member"});
    let me = of(&kit.tenant.user);
    assert_eq!(kit.manage("PATCH", &me, Some(&lower)).await.refusal(), conflict);
    assert_eq!(kit.manage("DELETE", &me, None).await.refusal(), conflict);
    // Two owners take the role from each other at the same moment.
    for round in 0..6 {
        let other = join(&kit, &format!("other{round}"), "owner").await;
        let theirs = of(&other.user);
        let (mine, their_call) = tokio::join!(
            kit.manage("PATCH", &theirs, Some(&lower)),
            kit.node.call("PATCH", &me, Some(&other.token), Some(&lower))
        );
        let members = format!("{}/members", team(&kit));
        let bearer = if mine.status == 200 { &kit.tenant.token } else { &other.token };
        let seen = kit.node.call("GET", &members, Some(bearer), None).await.ok();
        let owners =
            seen["members"].as_array().unwrap().iter().filter(|member| member["role"] == "owner").count();
        assert_eq!(owners, 1, "{} {}", mine.text(), their_call.text());
        if mine.status != 200 {
            kit.node.call("PATCH", &me, Some(&other.token), Some(&json!({"role": "owner"}))).await.ok();
            kit.manage("PATCH", &theirs, Some(&lower)).await.ok();
        }
    }
}

async fn a_disabled_account_opens_nothing_anywhere(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let ada = join(&kit, "ada", "member").await;
    let account = format!("/v1/accounts/{}", ada.user);
    let user = async |bearer: &str| kit.node.call("GET", "/v2/user", Some(bearer), None).await.status;
    assert_eq!((user(&ada.token).await, user(&ada.home.token).await), (200, 200));
    let disable =
        async |disabled: bool| kit.manage("PATCH", &account, Some(&json!({"disabled": disabled}))).await;
    let disabled = disable(true).await.ok();
    assert!(disabled["disabledAt"].is_i64());
    assert_eq!((user(&ada.token).await, user(&ada.home.token).await), (401, 401));
    // Nor can an owner of another team undo it, or do it to somebody.
    let bob = kit.another_tenant("bob").await;
    let refused = kit.node.call("PATCH", &account, Some(&bob.token), Some(&json!({"disabled": false}))).await;
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
    // Enabled again, her old tokens stay ended.
    assert!(disable(false).await.ok()["disabledAt"].is_null());
    assert_eq!((user(&ada.token).await, user(&ada.home.token).await), (401, 401));
    let own = format!("/v1/accounts/{}", kit.tenant.user);
    let refused = kit.manage("PATCH", &own, Some(&json!({"disabled": true}))).await;
    assert_eq!(refused.refusal(), (409, "conflict".to_owned()));
    let all = kit.manage("GET", "/v1/accounts?limit=2", None).await.ok();
    assert_eq!(all["accounts"].as_array().unwrap().len(), 2);
    let from = all["pagination"]["next"].as_str().unwrap();
    let rest = kit.manage("GET", &format!("/v1/accounts?from={from}"), None).await.ok();
    assert_eq!(rest["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(kit.events_of("account.disable").await.len(), 1);
}

async fn another_team_is_made_by_an_owner_of_the_first(engine: Engine) {
    let kit = Kit::start(engine, Plan::default()).await;
    let body = json!({"name": "Second Team"});
    let made = kit.manage("POST", "/v1/teams", Some(&body)).await.ok();
    let token = made["accessToken"]["token"].as_str().unwrap();
    let bearer = Some(token);
    assert_eq!(made["team"]["slug"], "second-team");
    let mine = kit.node.call("GET", "/v1/teams", bearer, None).await.ok();
    assert_eq!((&mine["teams"][0]["id"], &mine["teams"][0]["role"]), (&made["team"]["id"], &json!("owner")));
    // It is a team like any other: things can be sealed in it, and it does not see the first.
    let data = json!({"subjectType": "app", "values": [{"value": "secret-key"}]});
    let body = json!({"service": "keys", "name": "k", "type": "api-key", "data": data});
    let connector = kit.node.call("POST", "/v1/connect/connectors", bearer, Some(&body)).await.ok();
    let app = json!({"subject": {"type": "app"}});
    let id = connector["id"].as_str().unwrap();
    assert_eq!(kit.node.token(token, id, &app).await.token(), "secret-key");
    assert_eq!(kit.node.token(token, &kit.connector, &app).await.refusal().0, 404);
    let again = kit.manage("POST", "/v1/teams", Some(&json!({"name": "x", "slug": "second-team"}))).await;
    assert_eq!(again.refusal(), (409, "conflict".to_owned()));
    // Its owners are not the deployment's.
    let refused = kit.node.call("POST", "/v1/teams", bearer, Some(&json!({"name": "third"}))).await;
    assert_eq!(refused.refusal(), (403, "forbidden".to_owned()));
    let renamed = format!("/v1/teams/{}", made["team"]["id"].as_str().unwrap());
    let renamed = kit.node.call("PATCH", &renamed, bearer, Some(&json!({"name": "Renamed"}))).await.ok();
    assert_eq!((&renamed["name"], &renamed["slug"]), (&json!("Renamed"), &json!("second-team")));
    let lasting = kit.node.call("POST", "/v1/access-tokens", bearer, Some(&json!({"name": "ci"}))).await.ok();
    let life = lasting["expiresAt"].as_i64().unwrap() - kit.clock.env().now().millis();
    let (day, ninety) = (24 * 3_600_000, 90 * 24 * 3_600_000);
    assert!((ninety - day..=ninety).contains(&life), "as docs/api.md has it: {life}");
    let nobody = kit.node.call("PATCH", "/v1/teams/nope", bearer, Some(&json!({"name": "x"}))).await;
    let told = nobody.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        nobody.status == 404 && told.starts_with("There is no team \"nope\" for this credential"),
        "{told}"
    );
}
