//! Fences, and the end: a minute after the last fault, everything is settled, and each grant works or says why not.

use std::sync::Arc;
use std::time::Duration;

use carnet_model::Code;

use crate::world::World;

impl World {
    /// What the tables say while it goes on: the log is what it was, fences only grow.
    pub(crate) fn look(&self) {
        self.read_log(false);
        let raw = self.raw.lock().unwrap();
        let mut found = raw.prepare_cached("select id, fence from grants").unwrap();
        let rows = found.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?))).unwrap();
        let mut fences = self.fences.lock().unwrap();
        for (id, fence) in rows.map(Result::unwrap) {
            let before = fences.insert(id, fence);
            if before.is_some_and(|before| before > fence) {
                self.wrong(format!("8: a fence went from {before:?} to {fence}"));
            }
        }
    }

    /// What the tables say at the end.
    pub(crate) fn settle(&self) {
        self.judge_pace();
        let now = self.now().millis();
        let raw = self.raw.lock().unwrap();
        for (what, sql) in [
            // While the token of a strict provider lives, an answer that was lost is left alone.
            (
                "attempts left open",
                format!(
                    "select count(*) from refresh_operations where sent_at < {now} - 10000 and not exists (select 1 from grants \
                     where grants.id = grant_id and access_expires_at > {now} - 5000)"
                ),
            ),
            ("tokens that nobody adopted", "select count(*) from refresh_orphans".to_owned()),
            (
                "leases longer than a lease",
                format!("select count(*) from grants where lease_until > {now} + 16000"),
            ),
            ("withdrawn grants", "select count(*) from grants where state = 'withdrawn'".to_owned()),
        ] {
            let found: i64 = raw.query_row(&sql, [], |row| row.get(0)).unwrap();
            if found > 0 {
                self.wrong(format!("11: {found} {what}"));
            }
        }
        for (user, request) in self.acknowledged.lock().unwrap().iter() {
            if !logged(&raw, request) {
                self.wrong(format!("1: an answer to {user} is not in the log"));
            }
        }
    }
}

/// Whether the log has this request's token.
pub(crate) fn logged(raw: &rusqlite::Connection, request: &[u8]) -> bool {
    let sql = "select count(*) from audit_events where request = ?1 and action = 'token.issue' and outcome = 'success'";
    raw.query_row(sql, [request], |row| row.get::<_, i64>(0)).unwrap() == 1
}

/// Asks for everybody, once more.
pub(crate) async fn ask_all(world: Arc<World>, broker: carnet_engine::Broker) {
    for user in world.start.users.iter().map(|user| &user.name) {
        let mut told = None;
        for _ in 0..40 {
            told = crate::node::ask(world.clone(), broker.clone(), user.clone(), crate::node::ANY).await;
            match told {
                None | Some(Code::UserAuthorizationRequired) => break,
                Some(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
        if !matches!(told, None | Some(Code::UserAuthorizationRequired)) {
            world.wrong(format!("11: {user} is still told {told:?}"));
        }
    }
    world.finished();
}
