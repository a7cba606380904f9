//! Where the identity comes from.

use std::fs;

use carnet_sdk::{Credential, Error, IdentityFile, Reason};

use crate::{app, builder, kit};

#[tokio::test]
async fn an_identity_in_a_file_is_the_one_that_stands_there_now() {
    let kit = kit().await;
    let folder = tempfile::tempdir().unwrap();
    // As Kubernetes projects it: the name leads through a link that is turned to another folder.
    let path = folder.path().join("current/token");
    let turn = |version: &str, token: &str| {
        let place = folder.path().join(version);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("token"), format!("{token}\n")).unwrap();
        let (link, next) = (folder.path().join("current"), folder.path().join("next"));
        std::os::unix::fs::symlink(&place, &next).unwrap();
        fs::rename(next, link).unwrap();
    };
    let file = || Credential::IdentityFile(IdentityFile::new(&path));
    let client = builder(&kit).credential(file()).build().unwrap();
    let error = client.get_token("demo/hello", &app()).await.unwrap_err();
    assert!(matches!(&error, Error::IdentityFile { path: named, .. } if *named == path), "{error:?}");

    turn("1", "a.b.c");
    let error = client.get_token("demo/hello", &app()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::Unauthorized));
    turn("2", &kit.workload("production"));
    let token = client.get_token("demo/hello", &app()).await.unwrap();
    turn("3", &kit.workload("preview"));
    let other = client.get_token("demo/hello", &app()).await.unwrap();
    assert_ne!(other.expose(), token.expose(), "another identity is another caller");

    // Somebody writes the file in place: for a moment it is empty, or gone.
    fs::write(folder.path().join("3/token"), "").unwrap();
    client.get_fresh_token("demo/hello", &app()).await.unwrap();
    fs::remove_file(folder.path().join("3/token")).unwrap();
    client.get_fresh_token("demo/hello", &app()).await.unwrap();
    fs::write(folder.path().join("3/token"), "x".repeat(100_000)).unwrap();
    client.get_fresh_token("demo/hello", &app()).await.unwrap();
    let untold = builder(&kit).credential(file()).build().unwrap();
    let error = untold.get_token("demo/hello", &app()).await.unwrap_err();
    assert!(matches!(error, Error::IdentityFile { .. }) && error.reason().is_none());
}

#[tokio::test]
async fn metadata_of_the_connector_is_told_to_a_workload_and_holds_no_secret() {
    let kit = kit().await;
    let told = crate::client(&kit).connector_metadata("demo/hello").await.unwrap();
    assert_eq!((told.uid.as_str(), told.r#type.as_str()), ("demo/hello", "oauth"));
    assert!(!serde_json::to_string(&told).unwrap().contains(&kit.plan.client_secret));
    let error = crate::client(&kit).connector_metadata("demo/other").await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NotFound));
}
