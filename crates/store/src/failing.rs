//! Failing on purpose at the points of [`carnet_model::failpoint`]: nothing of it is in a release.

use carnet_model::Env;
use carnet_model::failpoint::{Failing, Point};

use crate::db::DbError;

/// Goes past a point of a task.
pub async fn pass(env: &Env, point: Point) -> Result<(), DbError> {
    match env.failing(point) {
        None => Ok(()),
        Some(Failing::Error) => Err(failed(point)),
        Some(Failing::Stall(time)) => {
            tokio::time::sleep(time).await;
            Ok(())
        }
    }
}

/// Goes past a point of a thread.
pub(crate) fn pass_here(env: &Env, point: Point) -> Result<(), DbError> {
    match env.failing(point) {
        None => Ok(()),
        Some(Failing::Error) => Err(failed(point)),
        Some(Failing::Stall(time)) => {
            std::thread::sleep(time);
            Ok(())
        }
    }
}

fn failed(point: Point) -> DbError {
    DbError::Unavailable(format!("failing on purpose at {}", point.as_str()))
}
