//! People who decide on GitHub's own page, by a code.

use carnet_model::connector::ConnectorType::Github;
use carnet_model::{SecretString, Time};
use carnet_providers::{Callback, ConsentAsk, Kept, Step, Way};
use serde_json::json;

use super::{REDEEM, bench, data, now_on};
use crate::bench::{NOW, STATE, outcome};
use crate::server::Reply;

#[tokio::test]
async fn a_person_decides_on_githubs_page_where_no_browser_can_come_back() {
    const CODE: &str = "/login/device/code";
    let bench = bench();
    let code = json!({"device_code": "3584d83530557fdd1f46af8289938c8ef79f9dc5", "user_code": "WDJB-MJHT",
        "verification_uri": "https://github.com/login/device", "expires_in": 900, "interval": 5});
    let disabled = json!({"error": "device_flow_disabled", "error_description": "Device Flow must be explicitly enabled"});
    bench.server.on(CODE, Reply::json(200, disabled.clone()));
    let by_device = || data(json!({"deviceFlow": true}));
    assert_eq!(bench.accept(Github, by_device()).await.unwrap_err().field, "deviceFlow");
    let without = data(json!({"deviceFlow": true, "clientSecret": null}));
    assert_eq!(bench.accept(Github, without).await.unwrap_err().field, "clientSecret");
    now_on(&bench, CODE, Reply::json(503, json!({})));
    let unsaid = bench.accept(Github, by_device()).await.unwrap();
    assert_eq!(unsaid.data["notChecked"], json!(["deviceFlow"]));
    now_on(&bench, CODE, Reply::json(200, code));
    let made = bench.connector(Github, by_device()).await;
    assert_eq!(made.connector.data["deviceFlow"], true);
    bench.server.seen();

    let state = SecretString::new(STATE.to_owned());
    let ask = ConsentAsk::new(&state);
    assert!(matches!(made.driver.way(&made.at(), &ask), Ok(Way::Device)));
    let step = made.driver.begin(&made.at(), &ask).await.unwrap();
    let Step::Device { kept } = step else { panic!("a code: {step:?}") };
    let asked = bench.server.only();
    assert_eq!((asked.path.as_str(), asked.names()), (CODE, vec!["client_id".to_owned()]));
    let kept = Kept::from_json(kept.to_json().expose()).unwrap();
    let shown = kept.device.as_ref().unwrap();
    assert_eq!((shown.user_code.as_str(), shown.interval), ("WDJB-MJHT", 5));
    assert_eq!(shown.expires_at, Time::from_secs(NOW + 900));

    let awaited = async || made.driver.finish(&made.at(), &Callback::Awaited, &kept).await;
    for (error, want) in [
        ("authorization_pending", "pending"),
        ("slow_down", "pending slower"),
        ("access_denied", "denied"),
        ("expired_token", "callback DeviceCodeExpired"),
        ("device_flow_disabled", "misconfigured deviceFlow"),
        ("incorrect_device_code", "refused incorrect_device_code"),
    ] {
        now_on(&bench, REDEEM, Reply::json(200, json!({"error": error})));
        assert_eq!(outcome(&awaited().await), want, "{error}");
    }
    bench.server.seen();
    let given = json!({"access_token": "ghu_1", "expires_in": 28800, "refresh_token": "ghr_1",
        "refresh_token_expires_in": 15_811_200, "scope": "", "token_type": "bearer"});
    now_on(&bench, REDEEM, Reply::json(200, given));
    now_on(&bench, "/user", Reply::json(200, json!({"id": 583_231, "login": "octocat"})));
    let granted = awaited().await.unwrap();
    assert_eq!(
        bench.server.seen()[0].names(),
        ["grant_type", "device_code", "client_id"],
        "no secret is wanted"
    );
    assert_eq!(granted.external_subject.as_deref(), Some("583231"));
    assert_eq!(granted.refresh_expires_at, Some(Time::from_secs(NOW + 15_811_200)));
    // Neither kind of answer stands in for the other, and whoever installs is sent there and back.
    assert_eq!(outcome(&made.finish("code=c", &kept).await), "callback Unexpected");
    assert_eq!(
        outcome(&made.driver.finish(&made.at(), &Callback::Awaited, &Kept::default()).await),
        "callback Unexpected"
    );
    assert!(made.begin(|ask| ask.installs = true).await.is_ok());
}
