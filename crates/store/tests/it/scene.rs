//! What the tests of the store begin with: two teams, a person, a project, a connector.

use carnet_model::caller::{Principal, Role};
use carnet_model::connector::{Branding, Connector, ConnectorType};
use carnet_model::grant::{Grant, GrantState, Place};
use carnet_model::{Env, Environment, Id, Scopes, Slug, Time, Uid, kind};
use carnet_store::connectors::{self, ConnectorRow};
use carnet_store::grants::GrantRow;
use carnet_store::people::{self, Team, User};
use carnet_store::projects::{self, Project};
use carnet_store::refreshes::OpenRefresh;
use carnet_store::{Db, Write};

pub(crate) struct Scene {
    pub(crate) team: Team,
    pub(crate) other: Team,
    pub(crate) user: User,
    pub(crate) project: Project,
    pub(crate) connector: ConnectorRow,
}

pub(crate) async fn scene(db: &Db, env: &Env) -> Scene {
    let now = env.now();
    let team = |slug: &str| Team {
        id: env.id(),
        slug: Slug::parse(slug).unwrap(),
        name: slug.into(),
        created_at: now,
        strict_connectors: false,
    };
    let (team, other) = (team("acme"), team("evil"));
    let user =
        User { id: env.id(), email: "a@b.test".into(), name: "A".into(), created_at: now, disabled_at: None };
    let project = Project {
        id: env.id(),
        team: team.id,
        name: Slug::parse("app").unwrap(),
        created_at: now,
        updated_at: now,
    };
    let connector = connector(env, team.id, "demo/hello");
    let write = Write::new()
        .steps([people::insert_team(&team), people::insert_team(&other), people::insert_user(&user)])
        .step(people::insert_member(team.id, user.id, Role::Owner, now))
        .step(projects::insert(&project))
        .step(connectors::insert(&connector));
    db.write(write).await.unwrap();
    Scene { team, other, user, project, connector }
}

pub(crate) fn connector(env: &Env, team: Id<kind::Team>, uid: &str) -> ConnectorRow {
    let uid = Uid::parse(uid).unwrap();
    ConnectorRow {
        connector: Connector {
            id: env.id(),
            team,
            service: uid.as_str().split('/').next().unwrap().to_owned(),
            name: format!("The {uid}"),
            uid,
            r#type: ConnectorType::Oauth,
            data: serde_json::Map::from_iter([("clientId".to_owned(), "x".into())]),
            branding: Branding { icon: None, background_color: Some("#000000".into()), accent_color: None },
            default_installation: None,
            redirect_uri: None,
            created_at: env.now(),
            updated_at: env.now(),
            created_by: Principal::System,
            updated_by: Principal::System,
            version: 1,
            managed: false,
        },
        secrets: vec![1, 2, 3],
    }
}

pub(crate) fn grant(env: &Env, scene: &Scene, subject: &str) -> GrantRow {
    let now = env.now();
    GrantRow {
        grant: Grant {
            id: env.id(),
            place: Place {
                team: scene.team.id,
                connector: scene.connector.connector.id,
                project: Some(scene.project.id),
                environment: Environment::Production,
                subject: subject.to_owned(),
                installation: None,
            },
            state: GrantState::Active,
            scopes: Some(Scopes::parse(["a", "b"]).unwrap()),
            external_subject: None,
            access_expires_at: Some(now),
            refresh_expires_at: None,
            refreshable: true,
            version: 1,
            rt_version: 1,
            created_at: now,
            updated_at: now,
        },
        held: vec![7],
        fence: 0,
        lease_until: Time::from_millis(0),
        last_used_at: now,
        leaked: false,
    }
}

/// A refresh of this grant, sent now.
pub(crate) fn sent(env: &Env, row: &GrantRow, now: Time) -> OpenRefresh {
    OpenRefresh {
        id: env.id(),
        team: row.grant.place.team,
        grant: row.grant.id,
        fence: row.fence + 1,
        rt_version: row.grant.rt_version,
        sent_at: now,
        lost: false,
    }
}
