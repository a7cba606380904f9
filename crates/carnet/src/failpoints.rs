//! The environment of a server, and in a build for development the failures on purpose that a test asks for.
//!
//! `CARNET_FAIL_POINTS` names a folder. A file in it that is called like a point of [`carnet_model::failpoint`] says
//! what happens there: `abort`, `error`, or for how many milliseconds to stand still. The file is removed first, so each
//! happens once, and whoever made the file sees that the point was reached. A release does not start with the variable:
//! it could not do what is asked.

use carnet_model::Env;

#[cfg(debug_assertions)]
#[expect(clippy::unnecessary_wraps, reason = "a release may refuse")]
pub(crate) fn env() -> anyhow::Result<Env> {
    let env = Env::system();
    Ok(match crate::config::variable(VARIABLE) {
        Some(folder) => env.with_failures(std::sync::Arc::new(asked::Folder(folder.into()))),
        None => env,
    })
}

#[cfg(not(debug_assertions))]
pub(crate) fn env() -> anyhow::Result<Env> {
    anyhow::ensure!(
        crate::config::variable(VARIABLE).is_none(),
        "{VARIABLE} is set, and a release does not fail on purpose; unset it"
    );
    Ok(Env::system())
}

#[cfg(debug_assertions)]
mod asked {
    use std::path::PathBuf;
    use std::time::Duration;

    use carnet_model::failpoint::{Failing, Failures, Point};

    pub(super) struct Folder(pub(super) PathBuf);

    impl Failures for Folder {
        fn at(&self, point: Point) -> Option<Failing> {
            let file = self.0.join(point.as_str());
            let text = std::fs::read_to_string(&file).ok()?;
            std::fs::remove_file(&file).ok()?;
            tracing::warn!(point = point.as_str(), text, "failing on purpose");
            match text.trim() {
                "abort" => std::process::abort(),
                "error" => Some(Failing::Error),
                millis => Some(Failing::Stall(Duration::from_millis(millis.parse().ok()?))),
            }
        }
    }
}

const VARIABLE: &str = "CARNET_FAIL_POINTS";
