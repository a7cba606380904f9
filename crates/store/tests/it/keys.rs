//! The deployment and its keys.

use carnet_model::Env;
use carnet_store::{Write, deployment, keys};

use crate::stores;

#[tokio::test]
async fn there_is_one_deployment() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let id = env.id();
        write(deployment::insert(id, now)).await.unwrap();
        assert!(write(deployment::insert(env.id(), now)).await.is_err(), "{name}");
        assert_eq!(deployment::find(&db).await.unwrap(), Some(id), "{name}");
    }
}

#[tokio::test]
async fn keys_are_found_by_their_role_and_a_retired_one_signs_nothing() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let key = keys::KeyRow {
            id: [1; 16],
            role: "root".into(),
            version: 1,
            wrapped_by: "file".into(),
            wrapped: vec![1],
            created_at: now,
            activates_at: now,
            emptied_at: None,
        };
        write(keys::insert(&key)).await.unwrap();
        assert_eq!(
            (keys::all(&db).await.unwrap().len(), keys::of_role(&db, "root").await.unwrap().len()),
            (1, 1),
            "{name}"
        );
        let signing = keys::SigningKeyRow {
            kid: "k".into(),
            algorithm: "RS256".into(),
            public_jwk: "{}".into(),
            sealed: vec![1],
            created_at: now,
            activates_at: now,
            retires_at: None,
            gone_at: None,
        };
        write(keys::insert_signing(&signing)).await.unwrap();
        write(keys::retire_signing("k", now, now)).await.unwrap();
        assert!(keys::signing(&db, now).await.unwrap().is_empty(), "{name}");
    }
}
