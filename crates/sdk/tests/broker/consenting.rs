//! Asking a person, with all that the server takes.

use carnet_sdk::{AuthorizationRequest, Code, InstallationRequest};

use crate::{client, kit, of};

#[tokio::test]
async fn a_person_may_decide_on_another_device() {
    let kit = kit().await;
    let ask = AuthorizationRequest { token: of("alice"), device_code: Some(true), ..Default::default() };
    let started = client(&kit).start_authorization("demo/hello", &ask).await.unwrap();
    assert!(started.device_code.is_some_and(|code| code.len() >= 8), "the app shows it");
    assert!(started.url.ends_with("/device"), "{}", started.url);
    let connector = started.connector.unwrap();
    assert_eq!((connector.uid.as_str(), connector.r#type.as_str()), ("demo/hello", "oauth"));
    let ask = AuthorizationRequest { token: of("alice"), ..Default::default() };
    let started = client(&kit).start_authorization("demo/hello", &ask).await.unwrap();
    assert_eq!(started.device_code, None);
}

#[tokio::test]
async fn what_the_provider_is_to_be_told_is_told_to_the_server() {
    let kit = kit().await;
    let ask = || AuthorizationRequest { token: of("alice"), ..Default::default() };
    let hint = |name: &str| [(name.to_owned(), "alice@acme.example".to_owned())].into();
    let sound = AuthorizationRequest {
        prompt: Some("login".to_owned()),
        additional_params: hint("login_hint"),
        ..ask()
    };
    client(&kit).start_authorization("demo/hello", &sound).await.unwrap();
    for (wrong, field) in [
        (AuthorizationRequest { prompt: Some(String::new()), ..ask() }, "prompt"),
        (AuthorizationRequest { additional_params: hint("state"), ..ask() }, "additionalParams"),
    ] {
        let refused = client(&kit).start_authorization("demo/hello", &wrong).await.unwrap_err();
        assert_eq!(refused.refusal().unwrap().text("field"), Some(field), "{refused}");
    }
}

#[tokio::test]
async fn an_installation_is_asked_for_with_what_the_server_takes() {
    let kit = kit().await;
    let texts = |text: &str| Some(vec![text.to_owned()]);
    let ask = InstallationRequest {
        tenant_id: Some("T1".to_owned()),
        installation_id: Some("sci_0000000000000000000001".to_owned()),
        scopes: texts("read"),
        audience: texts("https://api.example"),
        resources: texts("https://api.example/"),
        authorization_details: Some(Vec::new()),
        return_url: Some("https://app.example/done".to_owned()),
        webhook: Some("https://app.example/hook".to_owned()),
        device_code: Some(false),
        expires_in_ms: Some(60_000),
    };
    // What cannot be read is said before what cannot be done: no member is one that the server does not know.
    let refused = client(&kit).start_installation("demo/hello", &ask).await.unwrap_err();
    assert!(!refused.to_string().contains("does not fit"), "{refused}");
    let ask = InstallationRequest { return_url: None, webhook: None, ..ask };
    for ask in [ask, InstallationRequest::default()] {
        let refused = client(&kit).start_installation("demo/hello", &ask).await.unwrap_err();
        assert!(refused.is(Code::UnresolvedToken), "there is nothing to install: {refused}");
    }
}
