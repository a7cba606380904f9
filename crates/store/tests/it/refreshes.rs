//! What is kept of a refresh while nobody knows how it ended.

use carnet_model::{Env, Time};
use carnet_store::{DbError, Write, grants, refreshes};

use crate::scene::{grant, scene, sent};
use crate::stores;

#[tokio::test]
async fn a_refresh_is_on_record_until_it_ends_and_what_came_too_late_is_kept() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let write = async |step| db.write(Write::new().step(step)).await;
        let g = grant(&env, &s, "user:u");
        write(grants::put(&g, None, None)).await.unwrap();
        let open = sent(&env, &g, now);
        write(refreshes::intend(&open)).await.unwrap();
        assert_eq!(
            refreshes::stranded(&db, now, Time::from_millis(now.millis() + 1), None, 9).await.unwrap().len(),
            1,
            "{name}"
        );
        write(refreshes::lose(open.id)).await.unwrap();
        assert!(refreshes::open_of(&db, s.team.id, g.grant.id).await.unwrap()[0].lost, "{name}");
        write(refreshes::end(s.team.id, g.grant.id, 1)).await.unwrap();
        assert!(refreshes::open_of(&db, s.team.id, g.grant.id).await.unwrap().is_empty(), "{name}");
        let orphan = refreshes::Orphan {
            id: open.id,
            team: s.team.id,
            grant: g.grant.id,
            rt_version: 1,
            held: vec![1],
            created_at: now,
        };
        write(refreshes::keep_orphan(&orphan)).await.unwrap();
        assert_eq!(
            (
                refreshes::orphans_of(&db, s.team.id, g.grant.id).await.unwrap().len(),
                refreshes::orphans(&db, 9).await.unwrap().len()
            ),
            (1, 1)
        );
        write(refreshes::drop_orphan(orphan.id)).await.unwrap();
        assert!(refreshes::orphans(&db, 9).await.unwrap().is_empty(), "{name}");

        // A grant stays as long as there is something of it whose provider was not told.
        write(refreshes::keep_orphan(&orphan)).await.unwrap();
        let gone = async |told: &[_]| {
            db.write(Write::new().steps(grants::delete(s.team.id, g.grant.id, told))).await.unwrap();
            grants::find(&db, s.team.id, g.grant.id).await.unwrap().is_none()
        };
        assert!(!gone(&[]).await, "{name}");
        write(grants::present(s.team.id, g.grant.id)).await.unwrap();
        assert!(gone(&[orphan.id]).await, "{name}");
        assert!(refreshes::orphans(&db, 9).await.unwrap().is_empty(), "{name}");
        assert!(
            matches!(write(grants::present(s.team.id, g.grant.id)).await, Err(DbError::Unmet(_))),
            "{name}"
        );
    }
}
