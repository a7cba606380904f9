//! The store alone: writes of one audit event each, every one durable before the next of its caller.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use carnet_model::Env;
use carnet_model::audit::{Action, AuditEvent};
use carnet_store::{Db, Location, Write};
use carnet_testpg::Database;
use tokio::task::JoinSet;

use crate::Extent;
use crate::table::{Beside, Table, Unit, say};

pub(crate) fn measure(extent: Extent, table: &mut Table) -> Result<()> {
    say("the store alone:");
    let time = extent.load / 4;
    let folder = tempfile::tempdir()?;
    let flushes = flushes(&folder.path().join("flushes"), time)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let lite = Location::Folder(folder.path().join("data"));
        let mut engines = vec![("SQLite", lite)];
        let database = Database::create().await;
        match &database {
            Ok(Some(database)) => {
                engines.push(("PostgreSQL", Location::Postgres(database.url().to_owned())));
            }
            Ok(None) => say("!! NOTHING IS MEASURED ON POSTGRESQL"),
            Err(error) => say(&format!("!! NOTHING IS MEASURED ON POSTGRESQL: {error:#}")),
        }
        for (engine, location) in engines {
            let db = Db::open(&location, &Env::system()).await?;
            for callers in [1, 64] {
                writes(&db, callers, time / 10).await?;
                let per_second = writes(&db, callers, time).await?;
                let callers = if callers == 1 { "1 caller".to_owned() } else { format!("{callers} callers") };
                let what = format!("durable writes of one event, {engine}, {callers}");
                let beside = Beside::Measured("4 KiB and a flush", Some(flushes));
                table.add(&what, per_second, Unit::PerSecond, [beside]);
            }
            db.close().await;
        }
        Ok(())
    })
}

/// What the disk bears: a page written and flushed, one after the other.
fn flushes(path: &std::path::Path, time: Duration) -> Result<f64> {
    let file = File::create(path)?;
    file.write_all_at(&vec![0; 4096 * 64], 0)?;
    file.sync_all()?;
    let begun = Instant::now();
    let mut count: u32 = 0;
    while begun.elapsed() < time {
        file.write_all_at(&[1; 4096], u64::from(count % 64) * 4096)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

async fn writes(db: &Db, callers: u32, time: Duration) -> Result<f64> {
    let env = Env::system();
    let count = Arc::new(AtomicU32::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (db, env, count) = (db.clone(), env.clone(), count.clone());
        tasks.spawn(async move {
            while begun.elapsed() < time {
                let event = AuditEvent::of_system(env.now(), Action::TokenIssue)
                    .with("connector", "demo/hello")
                    .with("subject", "app")
                    .with("source", "memory");
                db.write(Write::new().event(&env, &event)).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, carnet_store::DbError>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(f64::from(count.load(Ordering::Relaxed)) / begun.elapsed().as_secs_f64())
}
