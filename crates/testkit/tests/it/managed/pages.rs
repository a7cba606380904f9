//! The same on a page: whoever owns the first team registers, turns and removes applications in a browser without scripts.

use std::time::Duration;

use carnet_testkit::{Answer, Browser, Engine, Kit, on_both_engines};
use serde_json::json;

use super::{asks, create, made};
use crate::sign_in::{PASSPHRASE, kit, set_passphrase, signed_in, try_sign_in};

on_both_engines!(an_application_is_registered_turned_and_removed_on_a_page, nobody_else_sees_or_changes_any);

async fn post(kit: &Kit, browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
    let page = browser.get(&format!("{}/account", kit.url())).await;
    let token = page.hidden("form_token");
    let mut all = vec![("form_token", token.as_str())];
    all.extend_from_slice(fields);
    browser.post(&format!("{}{path}", kit.url()), &all).await
}

async fn page(kit: &Kit, browser: &mut Browser) -> Answer {
    browser.get(&format!("{}/applications", kit.url())).await
}

async fn an_application_is_registered_turned_and_removed_on_a_page(engine: Engine) {
    let kit = kit(engine).await;
    let secret = kit.plan.client_secret.clone();
    let mut owner = signed_in(&kit).await;
    let account = owner.get(&format!("{}/account", kit.url())).await;
    assert!(account.text().contains("href=\"/applications\""), "{}", account.text());
    let mut data = kit.data();
    data.remove("clientId");
    data.remove("clientSecret");
    let more = serde_json::Value::Object(data).to_string();
    let form = |secret: &'static str| [("service", "demo"), ("client", Kit::CLIENT), ("secret", secret)];
    for (fields, says) in [
        (&[("service", "demo"), ("more", "[]")][..], "one JSON object"),
        (&[("service", "demo"), ("client", "x"), ("params", "host")], "It is host=git"),
        (&[("service", "Demo!"), ("client", "x")], "small letters"),
        (&[("service", "demo")], "clientId is missing"),
        (&[("service", "demo"), ("client", "x"), ("teams", "nobody-knows")], "There is no team"),
        (&form("a-secret-that-was-typed")[..], "data."),
    ] {
        let refused = post(&kit, &mut owner, "/applications", fields).await;
        assert_eq!(refused.status, 422, "{fields:?}: {}", refused.text());
        assert!(refused.text().contains(says), "{says}: {}", refused.text());
        assert!(!refused.text().contains("a-secret-that-was-typed"), "{}", refused.text());
    }
    let fields =
        [("service", "demo"), ("client", Kit::CLIENT), ("secret", secret.as_str()), ("more", more.as_str())];
    let done = post(&kit, &mut owner, "/applications", &fields).await;
    assert_eq!(done.status, 200, "{}", done.text());
    for said in ["It is registered.", "all teams", Kit::CLIENT, "/callback/demo"] {
        assert!(done.text().contains(said), "{said}: {}", done.text());
    }
    assert!(!done.text().contains(&secret), "{}", done.text());

    let connector = made(&kit, &kit.tenant, "shared").await;
    let of_the_app = json!({"subject": {"type": "app"}, "validityBufferMs": 86_400_000});
    asks(&kit, &kit.tenant, &connector, &of_the_app).await.token();
    let turned = post(&kit, &mut owner, "/applications/demo/secret", &[("secret", "not-the-secret")]).await;
    assert!(turned.status == 200 && !turned.text().contains("not-the-secret"), "{}", turned.text());
    let refused = asks(&kit, &kit.tenant, &connector, &of_the_app).await;
    assert_eq!(refused.json()["error"]["code"], "connector_credentials_rejected", "{}", refused.text());

    let refused = post(&kit, &mut owner, "/applications/demo/remove", &[]).await;
    assert!(
        refused.status == 422 && refused.text().contains("1 connector is made from"),
        "{}",
        refused.text()
    );
    let removed = post(&kit, &mut owner, "/applications/demo/remove", &[("force", "on")]).await;
    assert!(removed.status == 200 && removed.text().contains("There is none."), "{}", removed.text());
    let gone = post(&kit, &mut owner, "/applications/demo/remove", &[]).await;
    assert!(gone.status == 422 && gone.text().contains("No application"), "{}", gone.text());
    assert_eq!(create(&kit, &kit.tenant, "late").await.refusal(), (422, "invalid_connector".to_owned()));
    for action in ["managed-app.create", "managed-app.update", "managed-app.delete"] {
        assert_eq!(kit.events_of(action).await.len(), 1, "{action}");
    }
}

async fn nobody_else_sees_or_changes_any(engine: Engine) {
    let kit = kit(engine).await;
    kit.clock.hold();
    let theirs = kit.another_tenant("globex").await;
    set_passphrase(&kit, &theirs.user).await;
    let mut other = Browser::default();
    assert_eq!(try_sign_in(&kit, &mut other, "owner@globex.example", PASSPHRASE).await.status, 303);
    let account = other.get(&format!("{}/account", kit.url())).await;
    assert!(!account.text().contains("/applications"), "{}", account.text());
    assert_eq!(page(&kit, &mut other).await.status, 403);
    let fields = [("service", "demo"), ("client", "x")];
    for (path, fields) in [
        ("/applications", &fields[..]),
        ("/applications/demo/secret", &[("secret", "x")]),
        ("/applications/demo/remove", &[]),
    ] {
        assert_eq!(post(&kit, &mut other, path, fields).await.status, 403, "{path}");
        let stranger = Browser::default().post(&format!("{}{path}", kit.url()), fields).await;
        assert_eq!(stranger.status, 303, "{path}: to where one signs in");
    }
    // A form from elsewhere has no token, and a sign-in of this morning changes nothing.
    let mut owner = signed_in(&kit).await;
    let forged =
        owner.post(&format!("{}/applications", kit.url()), &[("form_token", "x"), ("service", "demo")]).await;
    assert_eq!(forged.status, 403);
    kit.clock.pass(Duration::from_mins(11));
    let stale = page(&kit, &mut owner).await;
    assert!(
        stale.status == 200 && stale.text().contains("/login/again?to=/applications"),
        "{}",
        stale.text()
    );
    let sent = post(&kit, &mut owner, "/applications", &fields).await;
    assert_eq!((sent.status, sent.header("location")), (303, Some("/login/again?to=%2Fapplications")));
    assert!(kit.events_of("managed-app.create").await.is_empty());
}
