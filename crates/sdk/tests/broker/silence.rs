//! What never stands in what is printed.

use carnet_sdk::{AskedSubject, AuthorizationRequest, Credential, IdentityFile, TokenRequest};

use crate::{app, builder, kit, of};

#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret() {
    let kit = kit().await;
    let identity = kit.workload("production");
    let client = builder(&kit).credential(Credential::Identity(identity.clone().into())).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "file.marked.secret").unwrap();
    let file = client.with_credential(Credential::IdentityFile(IdentityFile::new(&path)));
    let person = builder(&kit).credential(Credential::AccessToken(kit.tenant.token.clone().into()));
    let exchange = TokenRequest::of(AskedSubject::Token { token: "subject-marked-secret".to_owned().into() });

    let mut printed =
        vec![format!("{client:?}"), format!("{file:?}"), format!("{:?}", person.build().unwrap())];
    let token = client.get_token_response("demo/hello", &app()).await.unwrap();
    printed.push(format!("{token:?} {client:?}"));
    let started = client
        .start_authorization("demo/hello", &AuthorizationRequest { token: of("alice"), ..Default::default() })
        .await
        .unwrap();
    printed.push(format!("{started:?} {exchange:?}"));
    for error in [
        client.get_token("demo/hello", &exchange).await.unwrap_err(),
        client.get_token("demo/hello", &of("nobody")).await.unwrap_err(),
        file.result(&started.verifier).await.unwrap_err(),
        file.get_token("demo/hello", &app()).await.unwrap_err(),
        client.get_token("demo/none", &app()).await.unwrap_err(),
    ] {
        printed.push(format!("{error} {error:?} {:?}", error.reason()));
    }
    let signature = identity.rsplit('.').next().unwrap();
    let marks = [
        token.token.expose().as_str(),
        started.verifier.expose(),
        &kit.tenant.token,
        signature,
        "file.marked.secret",
        "subject-marked-secret",
    ];
    for text in &printed {
        for mark in marks {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
    }
    // The answer did hold it.
    assert!(token.body().contains(token.token.expose().as_str()));
}
