use std::os::unix::fs::PermissionsExt;

use carnet_demo::{Demo, OpenError, Options, StateError};
use carnet_model::{Env, Secret};
use url::Url;

use crate::world::World;

#[tokio::test]
async fn grants_tokens_and_their_history_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.json");
    let start = || World::with(|options| options.state = Some(file.clone()));
    let world = start().await;
    let code = world.code(&[]).await;
    let (access, first) = world.redeem(&code).await.tokens();
    let (_, second) = world.refresh(&first).await.tokens();
    world.api("POST", "messages", &access, r#"{"text":"kept"}"#).await;

    let text = std::fs::read_to_string(&file).unwrap();
    for secret in [&code, &access, &first, &second] {
        assert!(!text.contains(secret.as_str()), "only digests are kept");
    }
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");

    let world = start().await;
    assert!(world.works(&access).await);
    assert!(world.api("GET", "messages", &access, "").await.body.contains("kept"));
    let (_, third) = world.refresh(&second).await.tokens();

    let world = start().await;
    assert_eq!(world.refresh(&first).await.error(), (400, "invalid_grant".into()));
    assert_eq!(world.refresh(&third).await.error(), (400, "invalid_grant".into()), "reuse is still noticed");

    let world = start().await;
    assert!(!world.works(&access).await, "what has ended stays ended");
}

#[tokio::test]
async fn a_client_that_is_gone_takes_its_tokens_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.json");
    let world = World::with(|options| options.state = Some(file.clone())).await;
    let (access, _) = world.grant().await;
    let world = World::with(|options| {
        options.state = Some(file.clone());
        options.clients.remove(0);
    })
    .await;
    assert!(!world.works(&access).await);
}

#[tokio::test]
async fn a_change_that_cannot_be_written_did_not_happen() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("state");
    std::fs::create_dir(&place).unwrap();
    let world = World::with(|options| options.state = Some(place.join("demo.json"))).await;
    let (_, token) = world.grant().await;
    let aside = folder.path().join("aside");
    std::fs::rename(&place, &aside).unwrap();
    assert_eq!(world.refresh(&token).await.error(), (500, "server_error".into()));
    std::fs::rename(&aside, &place).unwrap();
    assert_eq!(world.refresh(&token).await.status, 200, "the token was not used up");
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.json");
    for content in ["", "{}", r#"{"carnet-demo-2":{}}"#, "{\"carnet-demo-1\":{\"grants\":"] {
        std::fs::write(&file, content).unwrap();
        let mut options = Options::new(Url::parse("http://127.0.0.1:1/demo").unwrap());
        options.state = Some(file.clone());
        let refused = Demo::new(options, Env::system()).err();
        assert!(matches!(refused, Some(OpenError::State(StateError::Unknown { .. }))), "{content}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
    }
}

#[test]
fn options_never_print_a_secret() {
    let mut options = Options::new(Url::parse("http://127.0.0.1:1/demo").unwrap());
    options.clients.push(carnet_demo::ClientRegistration {
        client_id: "app".to_owned(),
        client_secret: Secret::new("hush".to_owned()),
        redirect_uris: Vec::new(),
    });
    assert!(!format!("{options:?}").contains("hush"));
}
