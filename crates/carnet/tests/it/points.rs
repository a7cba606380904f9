//! Every named point, failing in every way that makes sense there: what was acknowledged is not lost, no grant is dead
//! without saying so, and the server is ready again. A point that nobody comes to fails the test.

use std::collections::BTreeSet;

use carnet_model::failpoint::{Point, Way};
use carnet_model::grant::Rotation;
use carnet_testkit::{Browser, Fault, Gate};
use carnet_testpg::Database;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::scene::{Said, Scene, person};

/// What leads to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// A change of any kind.
    Change,
    /// The start itself, after the process died at another point or without it.
    Start(Option<Point>),
    /// A person's token is needed.
    Refresh,
    /// The same, and the provider has forgotten the person.
    Forgotten,
    /// The same, and another node was faster.
    TooLate,
    /// The same, and the store does not take what came.
    Spill,
    /// A person consents.
    Consent,
    /// The application's own token is needed.
    Mint,
    /// A person's grant is revoked.
    Revoke,
}

const fn deed(point: Point) -> Deed {
    match point {
        Point::StoreBegin | Point::StoreCommit | Point::StoreCommitted => Deed::Change,
        Point::StartOpened | Point::StartReady => Deed::Start(None),
        Point::SpillReplay => Deed::Start(Some(Point::SpillWritten)),
        Point::RecoverJudge => Deed::Start(Some(Point::RefreshIntended)),
        Point::SpillWrite | Point::SpillWritten => Deed::Spill,
        Point::RefreshIntend | Point::RefreshIntended | Point::RefreshAnswered | Point::RefreshRecorded => {
            Deed::Refresh
        }
        Point::RefreshRefused => Deed::Forgotten,
        Point::OrphanKeep | Point::OrphanAdopt => Deed::TooLate,
        Point::ConsentTaken | Point::ConsentExchanged | Point::ConsentRecorded => Deed::Consent,
        Point::MintAnswered | Point::TokenRecord | Point::TokenRecorded => Deed::Mint,
        Point::RevokeWithdrawn | Point::RevokeTold => Deed::Revoke,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_loses_nothing_acknowledged_on_sqlite() {
    fails(None, |deed| deed == Deed::Change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_loses_nothing_acknowledged_on_postgres() {
    let Some(database) = Database::create().await.unwrap() else { return };
    fails(Some(database), |deed| deed == Deed::Change).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_fails_anywhere_loses_no_grant() {
    fails(None, |deed| matches!(deed, Deed::Refresh | Deed::Forgotten)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_come_late_or_find_no_store_are_not_lost() {
    fails(None, |deed| matches!(deed, Deed::TooLate | Deed::Spill)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_is_made_good_by_the_next() {
    fails(None, |deed| matches!(deed, Deed::Start(_))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_a_mint_and_a_revocation_that_fail_can_be_made_again() {
    fails(None, |deed| matches!(deed, Deed::Consent | Deed::Mint | Deed::Revoke)).await;
}

/// Everything on PostgreSQL too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_point_fails_on_postgres_as_well() {
    if std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1") {
        let Some(database) = Database::create().await.unwrap() else { return };
        fails(Some(database), |_| true).await;
    }
}

async fn fails(database: Option<Database>, these: impl Fn(Deed) -> bool) {
    let mut scene = Scene::start(database, Rotation::Grace { seconds: 60 }).await;
    let mut world = World::default();
    for point in Point::ALL.iter().copied().filter(|point| these(deed(*point))) {
        for way in point.ways() {
            let begun = Instant::now();
            world.runs += 1;
            world.happens(&mut scene, point, *way).await;
            world.check(&scene, point, *way).await;
            eprintln!("{} {}: {:?}", point.as_str(), way.as_str(), begun.elapsed());
        }
    }
    assert!(world.runs > 0);
}

/// What was acknowledged.
#[derive(Default)]
struct World {
    runs: usize,
    projects: BTreeSet<String>,
    /// The person of this run, if it is about one.
    user: Option<String>,
    /// What may be true of its grant now, besides that it works.
    may_need_consent: bool,
    must_need_consent: bool,
}

impl World {
    async fn happens(&mut self, scene: &mut Scene, point: Point, way: Way) {
        let what = if way == Way::Stall { STALL } else { way.as_str() };
        let user = format!("user-{}", self.runs);
        let subject = person(&user);
        self.user = None;
        (self.may_need_consent, self.must_need_consent) = (false, false);
        let deed = deed(point);
        if !matches!(deed, Deed::Change | Deed::Mint | Deed::Consent | Deed::Start(None)) {
            scene.consent(&user).await;
            self.user = Some(user.clone());
        }
        match deed {
            Deed::Start(before) => {
                match before {
                    Some(Point::SpillWritten) => {
                        spill(scene, &subject, Point::SpillWritten, "abort").await;
                        scene.until_dead().await;
                        assert_eq!(scene.spilled(), 1);
                    }
                    Some(earlier) => {
                        scene.arm(earlier, "abort");
                        scene.ask(&subject).await;
                        scene.until_dead().await;
                    }
                    None => scene.kill(),
                }
                scene.arm(point, what);
                // An error may end the start; recovery goes on by itself.
                let started = scene.open().await;
                scene.until_reached(point).await;
                if way == Way::Abort && started.is_ok() {
                    scene.until_dead().await;
                    scene.open().await.unwrap();
                } else if started.is_err() {
                    assert_ne!(way, Way::Stall);
                    scene.open().await.unwrap();
                }
                return;
            }
            Deed::Change => {
                scene.arm(point, what);
                let name = format!("project-{}", self.runs);
                let made = scene.manage("POST", "/v9/projects", &json!({"name": name})).await;
                if made.status == 200 {
                    self.projects.insert(name);
                }
                refused_or_done(&made);
            }
            Deed::Refresh => {
                scene.arm(point, what);
                refused_or_done(&scene.ask(&subject).await);
            }
            Deed::Forgotten => {
                scene.provider.forget(&scene.provider.last_refresh_token()).await;
                self.must_need_consent = true;
                scene.arm(point, what);
                scene.ask(&subject).await;
            }
            Deed::TooLate => {
                let gate = Gate::closed();
                scene.provider.next([Fault::none().behind(&gate)]);
                let before = scene.provider.requests("refresh_token");
                let meddle = async {
                    scene.provider.until_requests("refresh_token", before + 1).await;
                    let moved = format!("update grants set fence = fence + 1 where subject = 'user:{user}'");
                    assert_eq!(scene.raw().await.run(&moved).await, 1);
                    scene.arm(point, what);
                    gate.open();
                };
                tokio::join!(scene.ask(&subject), meddle);
            }
            Deed::Spill => spill(scene, &subject, point, what).await,
            Deed::Consent => {
                let url = scene.authorize(&user).await;
                scene.arm(point, what);
                // A browser that finds nobody there is no reason to stop.
                let walk = tokio::spawn(async move { Browser::default().consent(&url, "ada").await.status });
                let _ = walk.await;
                self.may_need_consent = true;
                self.user = Some(user.clone());
            }
            Deed::Mint => {
                scene.arm(point, what);
                refused_or_done(&scene.ask(&json!({"type": "app"})).await);
            }
            Deed::Revoke => {
                scene.arm(point, what);
                refused_or_done(&scene.revoke(&subject).await);
                self.must_need_consent = true;
            }
        }
        scene.until_reached(point).await;
        if way == Way::Abort {
            scene.until_dead().await;
            scene.open().await.unwrap();
        }
    }

    async fn check(&self, scene: &Scene, point: Point, way: Way) {
        let at = format!("{} {}", point.as_str(), way.as_str());
        let ready = scene.http.get(scene.url("/readyz")).send().await.unwrap().status();
        assert_eq!(ready, 200, "{at}");
        for project in &self.projects {
            let found = scene.manage("GET", &format!("/v9/projects/{project}"), &Value::Null).await;
            assert_eq!(found.status, 200, "{at}: {project} was acknowledged");
        }
        let app = scene.ask(&json!({"type": "app"})).await;
        assert!(app.token().is_some(), "{at}: {app:?}");
        let Some(user) = &self.user else { return };
        let said = scene.settled(user).await;
        if said.token().is_some() {
            assert!(!self.must_need_consent, "{at}");
            assert!(scene.works(user, said).await, "{at}: what was handed out works");
        } else {
            assert!(self.may_need_consent || self.must_need_consent, "{at}: {said:?}");
            assert_eq!(said.code(), "user_authorization_required", "{at}");
            scene.consent(user).await;
            assert!(scene.settled(user).await.token().is_some(), "{at}");
        }
        assert_eq!(scene.spilled(), 0, "{at}");
        let raw = scene.raw().await;
        assert_eq!(raw.number("select count(*) from refresh_orphans").await, 0, "{at}");
        assert_eq!(raw.number("select count(*) from grants where lease_until > 0").await, 0, "{at}");
    }
}

/// A refresh whose result finds no store.
async fn spill(scene: &Scene, subject: &Value, point: Point, what: &str) {
    let gate = Gate::closed();
    scene.provider.next([Fault::none().behind(&gate)]);
    let before = scene.provider.requests("refresh_token");
    let meddle = async {
        scene.provider.until_requests("refresh_token", before + 1).await;
        scene.arm(Point::StoreBegin, "error");
        scene.arm(point, what);
        gate.open();
    };
    tokio::join!(scene.ask(subject), meddle);
}

/// Nobody is told something in between.
fn refused_or_done(said: &Said) {
    assert!(matches!(said.status, 0 | 200 | 201 | 422 | 503), "{said:?}");
}

/// Long enough that others come by meanwhile.
const STALL: &str = "300";
