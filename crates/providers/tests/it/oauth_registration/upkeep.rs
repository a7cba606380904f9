//! What was registered is kept up with the connector, and taken back with it (RFC 7592).

use super::*;

#[tokio::test]
async fn a_change_is_told_and_what_the_server_gives_anew_is_kept() {
    let bench = Bench::new();
    let mut made = made(&bench).await;
    assert!(matches!(made.driver.sync(&made.at(), false).await, Synced::Nothing));
    assert_eq!(bench.server.seen(), [], "nothing changed");

    made.connector.name = "Renamed".to_owned();
    made.connector.branding.icon = None;
    let fresh = json!({"client_id": "given", "client_secret": "second", "client_secret_expires_at": NOW + 60,
        "registration_access_token": "care2", "registration_client_uri": format!("{}/register/given", bench.server.origin)});
    bench.server.on("/register/given", Reply::json(200, fresh));
    let Synced::Done((data, secrets)) = made.driver.sync(&made.at(), false).await else { panic!("not told") };
    let seen = bench.server.only();
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("PUT /register/given", Some("Bearer care"))
    );
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!((&body["client_id"], &body["client_name"]), (&json!("given"), &json!("Renamed")));
    assert_eq!(body.get("logo_uri"), None, "it has no picture any more");
    for never in ["client_secret", "registration_access_token", "registration_client_uri"] {
        assert_eq!(body.get(never), None, "RFC 7592 §2.2");
    }
    assert_eq!(data["clientRegistration"]["secretExpiresAt"], json!((NOW + 60) * 1000));
    let at = |place| secrets.at(place).map(|secret| secret.expose().as_str());
    assert_eq!((at("/clientSecret"), at("/clientRegistration/accessToken")), (Some("second"), Some("care2")));

    (made.connector.data, made.secrets) = (data, secrets);
    assert!(matches!(made.driver.sync(&made.at(), false).await, Synced::Nothing), "told once");
}

/// RFC 7592 §2.2: what is left out may be deleted.
#[tokio::test]
async fn a_change_says_again_what_the_server_registered_by_itself() {
    let bench = Bench::new();
    let mut answer = registered(&bench);
    let own = json!({"scope": "read write", "policy_uri": "https://acme.example/policy", "client_id_issued_at": 1,
        "id_token_signed_response_alg": "ES256", "some_secret": "hush", "client_name": "theirs"});
    answer.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    let mut made = Made::new(&bench, Oauth, accept(&bench, answer, json!({})).await.unwrap());
    bench.server.seen();
    assert!(!Value::Object(made.connector.data.clone()).to_string().contains("hush"));
    assert!(matches!(made.driver.sync(&made.at(), false).await, Synced::Nothing));
    made.connector.name = "Renamed".to_owned();
    let next = json!({"client_id": "given", "scope": "read", "registration_access_token": "care2"});
    bench.server.on("/register/given", Reply::json(200, next));
    let Synced::Done((data, secrets)) = made.driver.sync(&made.at(), false).await else { panic!("not told") };
    let body: Value = serde_json::from_str(&bench.server.only().body).unwrap();
    assert_eq!(
        (&body["scope"], &body["id_token_signed_response_alg"]),
        (&json!("read write"), &json!("ES256"))
    );
    assert_eq!(body["policy_uri"], "https://acme.example/policy");
    assert_eq!(body["client_name"], "Renamed", "what we say goes before what was");
    for never in ["some_secret", "client_id_issued_at", "client_secret"] {
        assert_eq!(body.get(never), None, "{never}");
    }
    // What the newest answer says is what is said next.
    (made.connector.data, made.secrets) = (data, secrets);
    bench.server.forget("/register/given");
    bench.server.on("/register/given", Reply::json(200, json!({"client_id": "given"})));
    assert!(matches!(made.driver.sync(&made.at(), true).await, Synced::Done(_)));
    let body: Value = serde_json::from_str(&bench.server.only().body).unwrap();
    assert_eq!((&body["scope"], body.get("policy_uri")), (&json!("read"), None));
}

#[tokio::test]
async fn a_change_that_the_server_does_not_take_is_said_to_be_left() {
    let bench = Bench::new();
    let mut made = made(&bench).await;
    made.connector.name = "Renamed".to_owned();
    let changed = json!({"client_id": "given", "redirect_uris": ["https://evil.example"],
        "registration_access_token": "care2"});
    for (reply, fresh) in [
        (Reply::json(401, json!({"error": "invalid_token"})), None),
        (Reply::json(200, json!({"client_id": "another"})), None),
        (Reply::json(200, changed), Some("care2")),
        (Reply::text(200, "text/html", "<html>"), None),
        (Reply::HangUp, None),
    ] {
        bench.server.forget("/register/given");
        bench.server.on("/register/given", reply.clone());
        let Synced::Required(why, kept) = made.driver.sync(&made.at(), false).await else {
            panic!("{reply:?}")
        };
        assert!(why.ends_with('.') && !why.contains("evil"), "{why:?}");
        let is_locked_out = matches!(&reply, Reply::Say { status: 401, .. });
        assert_eq!(why.contains("register a client anew by setting clientId"), is_locked_out, "{why}");
        let token =
            kept.map(|(_, secrets)| secrets.at("/clientRegistration/accessToken").unwrap().expose().clone());
        assert_eq!(token.as_deref(), fresh, "what came with the answer is kept");
    }
    let bare = json!({"client_id": "given", "client_secret": "s"});
    let mut unmanaged = Made::new(&bench, Oauth, accept(&bench, bare, json!({})).await.unwrap());
    unmanaged.connector.name = "Renamed".to_owned();
    bench.server.seen();
    assert!(matches!(unmanaged.driver.sync(&unmanaged.at(), false).await, Synced::Required(_, None)));
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_once_more() {
    let bench = Bench::new();
    let made = made(&bench).await;
    let fresh =
        json!({"client_id": "given", "client_secret": "second", "registration_access_token": "care2"});
    bench.server.on("/register/given", Reply::HangUp);
    bench.server.on("/register/given", Reply::json(200, fresh));
    let Synced::Done((_, secrets)) = made.driver.sync(&made.at(), true).await else { panic!("not told") };
    assert_eq!(secrets.at("/clientSecret").unwrap().expose(), "second");
    let seen = bench.server.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|seen| seen.header("authorization") == Some("Bearer care")));
}

#[tokio::test]
async fn a_client_of_a_connector_that_goes_is_taken_back() {
    let bench = Bench::new();
    let made = made(&bench).await;
    for reply in [Reply::json(204, ""), Reply::json(500, ""), Reply::HangUp] {
        bench.server.forget("/register/given");
        bench.server.on("/register/given", reply);
        made.driver.retire(&made.at()).await;
        let seen = bench.server.only();
        assert_eq!(
            (seen.line().as_str(), seen.header("authorization")),
            ("DELETE /register/given", Some("Bearer care"))
        );
    }
    let by_hand = bench.oauth(json!({})).await;
    by_hand.driver.retire(&by_hand.at()).await;
    assert_eq!(bench.server.seen(), []);
}

#[tokio::test]
async fn a_secret_that_has_ended_is_told_before_the_server_is_asked() {
    let bench = Bench::new();
    let answer = with(registered(&bench), "client_secret_expires_at", json!(NOW + 1));
    let mut made = Made::new(&bench, Oauth, accept(&bench, answer, json!({})).await.unwrap());
    let (_, kept) = made.begin(|_| ()).await.unwrap();
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at", "token_type": "Bearer"})));
    made.finish("code=c", &kept).await.unwrap();
    for ended in [NOW, NOW - 5] {
        made.connector.data["clientRegistration"]["secretExpiresAt"] = json!(ended * 1000);
        assert_eq!(outcome(&made.begin(|_| ()).await), "secret ended");
    }
    assert_eq!(Time::from_secs(NOW), bench.env.now());
}

/// The end of a secret counts by itself, and is renewed ahead of time.
#[tokio::test]
async fn an_end_that_is_moved_is_kept_with_or_without_another_secret() {
    let bench = Bench::new();
    let (week, third) = (7 * 24 * 3600, 1000);
    for (answer, ends, due, secret) in [
        (
            json!({"client_secret_expires_at": NOW + 3000}),
            Some(NOW + 3000),
            Some(NOW + 3000 - third),
            "given-secret",
        ),
        (
            json!({"client_secret": "second", "client_secret_expires_at": NOW + 9 * week}),
            Some(NOW + 9 * week),
            Some(NOW + 8 * week),
            "second",
        ),
        (json!({"client_secret_expires_at": 0}), None, None, "given-secret"),
        (json!({"client_secret": "second"}), None, None, "second"),
        // Nothing is said, or of the same one.
        (json!({}), Some(NOW + 60), Some(NOW + 40), "given-secret"),
        (json!({"client_secret": "given-secret"}), Some(NOW + 60), Some(NOW + 40), "given-secret"),
        (json!({"client_secret_expires_at": "soon"}), Some(NOW + 60), Some(NOW + 40), "given-secret"),
    ] {
        let first = with(registered(&bench), "client_secret_expires_at", json!(NOW + 60));
        let mut made = Made::new(&bench, Oauth, accept(&bench, first, json!({})).await.unwrap());
        assert_eq!(made.driver.renewal(&made.connector).map(|due| due.at), Some(Time::from_secs(NOW + 40)));
        let mut said = json!({"client_id": "given"});
        said.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        bench.server.forget("/register/given");
        bench.server.on("/register/given", Reply::json(200, said));
        let Synced::Done((data, secrets)) = made.driver.sync(&made.at(), true).await else {
            panic!("{answer}")
        };
        let kept = data["clientRegistration"].get("secretExpiresAt").cloned();
        assert_eq!(kept, ends.map(|end| json!(end * 1000)), "{answer}");
        assert_eq!(secrets.at("/clientSecret").unwrap().expose(), secret, "{answer}");
        made.connector.data = data;
        assert_eq!(
            made.driver.renewal(&made.connector).map(|due| due.at),
            due.map(Time::from_secs),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn secrets_of_a_registration_go_to_no_other_origin() {
    let bench = Bench::new();
    let made = made(&bench).await;
    assert_eq!(
        made.driver.recipients(&made.connector),
        std::collections::BTreeSet::from([bench.server.origin.clone()])
    );
    let mut moved = made.connector.clone();
    moved.data["clientRegistration"]["uri"] = json!("https://collector.example/given");
    moved.name = "Renamed".to_owned();
    let at = carnet_providers::At { connector: &moved, ..made.at() };
    assert!(matches!(made.driver.sync(&at, false).await, Synced::Required(_, None)));
    made.driver.retire(&at).await;
    assert_eq!(bench.server.seen(), []);
}
