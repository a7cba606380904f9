//! Refreshes that were sent and never ended.

use std::time::Duration;

use carnet_model::{Env, Time};
use carnet_store::refreshes;
use carnet_store::{Write, grants};

use crate::scene::{grant, scene, sent};
use crate::stores;

/// What a process that is gone left open is found at once; what another one is at, when it has been silent for long.
#[tokio::test]
async fn what_is_left_open_is_found_page_by_page_with_what_it_is_judged_by() {
    let env = Env::system();
    for (name, db, _keep) in stores().await.0 {
        let s = scene(&db, &env).await;
        let now = env.now();
        let (gone, here) = ([1; 16], [2; 16]);
        let mut left = Vec::new();
        for (n, owner) in [gone, here, gone].into_iter().enumerate() {
            let g = grant(&env, &s, &format!("user:{n}"));
            db.write(Write::new().step(grants::put(&g, None, None))).await.unwrap();
            let open = sent(&env, &g, now);
            let lease = grants::lease(&g, owner, now, now.plus(Duration::from_secs(15)));
            db.write(Write::new().step(lease).step(refreshes::intend(&open))).await.unwrap();
            left.push((open, g));
        }
        let found = |before| refreshes::stranded(&db, now, before, None, 9);
        assert!(found(now).await.unwrap().is_empty(), "{name}");
        let write = Write::new().step(refreshes::leave_of(gone)).step(grants::free_leases_of(gone));
        db.write(write).await.unwrap();
        let of_gone = found(now).await.unwrap();
        assert_eq!(of_gone.len(), 2, "{name}: not what somebody else is at");
        let one = &of_gone[0];
        assert_eq!(
            (one.connector, one.rt_version, one.active, one.open.sent_at),
            (Some(s.connector.connector.id), Some(1), true, now),
            "{name}"
        );
        let lease = |n: usize| grants::find(&db, s.team.id, left[n].0.grant);
        assert_eq!(lease(0).await.unwrap().unwrap().lease_until, Time::default(), "{name}");
        assert!(lease(1).await.unwrap().unwrap().lease_until > now, "{name}");
        // All three by their age, two of them on the first page.
        let later = Time::from_millis(now.millis() + 1);
        assert_eq!(found(later).await.unwrap().len(), 2, "{name}: not while somebody holds the lease for it");
        let hold =
            |fence, until| Write::new().step(grants::hold(s.team.id, left[1].1.grant.id, fence, until));
        db.write(hold(2, now)).await.unwrap_err();
        db.write(hold(1, now)).await.unwrap();
        let first = refreshes::stranded(&db, later, later, None, 2).await.unwrap();
        let after = Some((first[1].open.sent_at, first[1].open.id));
        let second = refreshes::stranded(&db, later, later, after, 2).await.unwrap();
        assert_eq!((first.len(), second.len()), (2, 1), "{name}");
        let ids: std::collections::BTreeSet<_> =
            first.iter().chain(&second).map(|one| one.open.id.to_string()).collect();
        assert_eq!(ids.len(), 3, "{name}");
        for (open, g) in &left {
            db.write(Write::new().steps(grants::delete(s.team.id, g.grant.id, &[]))).await.unwrap();
            db.write(Write::new().step(refreshes::cancel(open.id))).await.unwrap();
        }
        db.write(Write::new().step(refreshes::leave_all())).await.unwrap();
        assert!(found(later).await.unwrap().is_empty(), "{name}");
    }
}
