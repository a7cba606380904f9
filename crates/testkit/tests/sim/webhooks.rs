//! What was acknowledged is told (5): each event of the provider that a node said it has, and each grant that the log, or
//! a caller, says is broken, has arrived at the project's host, or is a dead letter because that host refused it.

use std::collections::BTreeMap;
use std::time::Duration;

use carnet_model::audit::Action;
use carnet_model::{Id, kind};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Value, json};

use crate::receiver::{Arrivals, Said};
use crate::world::World;

impl World {
    /// By when all that waits may have its next attempt; `None` if nothing waits.
    pub(crate) fn next_attempt(&self) -> Option<i64> {
        let sql = format!("select max(due_at) from ({WAITING})");
        self.raw.lock().unwrap().query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    /// What is due and is not sent, with nothing in the way.
    pub(crate) fn judge_pace(&self) {
        let before = self.now().minus(DUE_FOR).millis();
        let sql = format!("select count(*) from ({WAITING}) where due_at < ?1");
        let found: i64 = self.raw.lock().unwrap().query_row(&sql, [before], |row| row.get(0)).unwrap();
        if found > 0 {
            self.wrong(format!("11: {found} webhooks that are due are not sent"));
        }
    }

    /// In the end.
    pub(crate) fn judge_webhooks(&self) {
        let raw = self.raw.lock().unwrap();
        let arrivals = self.arrivals.lock().unwrap();
        for (number, sent) in &self.events.lock().unwrap().0 {
            if !sent.acknowledged {
                continue;
            }
            let kept: Vec<Value> =
                sent.requests.iter().filter_map(|request| received(&raw, request)).collect();
            let [told] = &kept[..] else {
                self.wrong(format!(
                    "5: event {number} was acknowledged and is in the log {} times",
                    kept.len()
                ));
                continue;
            };
            let delivery = told["deliveries"][0].as_str().unwrap_or_default();
            let id = Id::<kind::Delivery>::parse(delivery).unwrap();
            let state = state(&raw, "trigger_deliveries", id.bytes());
            let all = || arrivals.of(delivery).filter(|one| one.body == sent.body);
            if !has_ended(state.as_deref(), all().map(|one| one.said)) {
                let said: Vec<_> = all().map(|one| one.said).collect();
                self.wrong(format!(
                    "5: event {number} was acknowledged, is {state:?}, and arrived as {said:?}"
                ));
            }
        }
        let broken = broken(&raw);
        for (grant, causes) in &broken {
            self.judge_break(&raw, &arrivals, grant, causes);
        }
        for user in self.told_broken.lock().unwrap().iter() {
            let is_told = |body: &Value| body["grant"]["subject"]["id"] == json!(user);
            if !arrivals
                .all
                .iter()
                .any(|one| serde_json::from_slice(&one.body).is_ok_and(|body| is_told(&body)))
            {
                self.wrong(format!("5: {user} is told that consent is needed, and the project is not"));
            }
        }
        self.breaks.store(broken.len(), std::sync::atomic::Ordering::Relaxed);
    }

    fn judge_break(&self, raw: &Connection, arrivals: &Arrivals, grant: &str, causes: &[String]) {
        let target = Id::<kind::Grant>::parse(grant).unwrap();
        let mut find =
            raw.prepare("select id from health_notices where target = ?1 and what = 'broken'").unwrap();
        let found = find.query_map([&target.bytes()[..]], |row| row.get::<_, [u8; 16]>(0)).unwrap();
        let notices: Vec<[u8; 16]> = found.map(Result::unwrap).collect();
        if notices.len() != causes.len() {
            self.wrong(format!("5: {grant} broke by {causes:?}, and there are {} notices", notices.len()));
        }
        for notice in notices {
            let id = Id::<kind::Delivery>::from_bytes(notice).to_string();
            let is_of = |body: &Value| {
                let cause = body["cause"].as_str().unwrap_or_default();
                body["type"] == "grant.broken"
                    && body["grant"]["id"] == json!(grant)
                    && body["mend"]["url"].is_string()
                    && causes.iter().any(|known| known == cause)
            };
            let all = || {
                let right = |body: &[u8]| serde_json::from_slice(body).is_ok_and(|body| is_of(&body));
                arrivals.of(&id).filter(move |one| right(&one.body))
            };
            let state = state(raw, "health_notices", &notice);
            if !has_ended(state.as_deref(), all().map(|one| one.said)) {
                let said: Vec<_> = all().map(|one| one.said).collect();
                self.wrong(format!("5: {grant} broke, its notice is {state:?}, and arrived as {said:?}"));
            }
        }
    }
}

/// Whether it arrived, or is a dead letter for a reason.
fn has_ended(state: Option<&str>, mut said: impl Iterator<Item = Said>) -> bool {
    match state {
        Some("taken") => said.any(|said| said == Said::Took),
        Some("dead" | "given_up") => said.any(|said| said == Said::Refused),
        _ => false,
    }
}

/// What the log says of the event that came with this request.
fn received(raw: &Connection, request: &[u8]) -> Option<Value> {
    let sql = "select payload from audit_events where request = ?1 and action = ?2 and outcome = 'success'";
    let action = Action::TriggerReceive.as_str();
    let found = raw.query_row(sql, rusqlite::params![request, action], |row| row.get::<_, String>(0));
    Some(serde_json::from_str(&found.optional().unwrap()?).unwrap())
}

/// The grants that broke, and why, each time.
fn broken(raw: &Connection) -> BTreeMap<String, Vec<String>> {
    let mut find = raw.prepare("select target, payload from audit_events where action = ?1").unwrap();
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let mut broken: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (grant, detail) in
        find.query_map([Action::GrantNeedsConsent.as_str()], read).unwrap().map(Result::unwrap)
    {
        let detail: Value = serde_json::from_str(&detail).unwrap();
        broken.entry(grant).or_default().push(detail["cause"].as_str().unwrap().to_owned());
    }
    broken
}

fn state(raw: &Connection, table: &str, id: &[u8; 16]) -> Option<String> {
    let sql = format!("select state from {table} where id = ?1");
    raw.query_row(&sql, [&id[..]], |row| row.get(0)).optional().unwrap()
}

const WAITING: &str = "select due_at from health_notices where state = 'waiting' \
    union all select due_at from trigger_deliveries where state = 'waiting'";
/// More than clocks are off, and than lies between two rounds.
const DUE_FOR: Duration = Duration::from_secs(10);
