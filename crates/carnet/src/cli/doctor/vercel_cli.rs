//! `doctor --vercel-cli`: writes the configuration with which the official CLI, unchanged, talks to this server.
//!
//! It goes into a folder of its own, which that CLI is shown with `-Q`: a login of the person's elsewhere is never
//! touched. The folder holds the access token: only the person can read it, and git keeps it out.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::folder;
use crate::cli::settings::Login;

/// Writes `config.json` and `auth.json`, once the server has accepted the token that goes into them.
pub(super) async fn configure(cx: &mut Context<'_>, folder: &Path) -> Result<Exit, Failure> {
    let client = cx.settings.client_without_project()?;
    let Some(Login::AccessToken(token)) = cx.settings.credential.as_ref().map(|found| &found.value) else {
        return Err(Failure::usage(
            "The official CLI signs in with an access token, and here is a workload identity.",
        )
        .next("export CARNET_TOKEN=crn_…", "with an access token of that server"));
    };
    let token = token.expose().to_owned();
    let user = client.user().await?;
    let team = match &cx.settings.team {
        Some(found) => Some(client.team(&found.value).await?.id),
        None => user.default_team_id,
    };
    let api =
        cx.settings.url.as_ref().map(|url| url.value.origin().ascii_serialization()).unwrap_or_default();
    let place = cx.place.folder.join(folder);
    let team = team.map(|id| id.to_string());
    write(&place, &api, team.as_deref(), &token)?;
    let command = format!("vercel -Q {} connect list --all-projects", folder.display());
    if cx.talk.wants_json() {
        cx.talk.document(
            &json!({"folder": folder.to_string_lossy(), "api": api, "teamId": team, "next": [command]}),
        )?;
        return Ok(Exit::Done);
    }
    cx.talk.success(&format!("{} points the official CLI at {api}", folder.display()));
    cx.talk.answer(&command)?;
    Ok(Exit::Done)
}

fn write(place: &Path, api: &str, team: Option<&str>, token: &str) -> Result<(), Failure> {
    let cannot = |error: &io::Error| {
        Failure::new("file_failed", format!("{} cannot be written.", place.display()))
            .because(error)
            .next("carnet doctor --vercel-cli=DIR", "to write another folder")
    };
    DirBuilder::new().recursive(true).mode(0o700).create(place).map_err(|error| cannot(&error))?;
    let (config, auth) = (place.join("config.json"), place.join("auth.json"));
    let login = object(&auth);
    let elsewhere =
        login.get("token").and_then(Value::as_str).is_some_and(|token| !token.starts_with("crn_"));
    if elsewhere {
        return Err(Failure::new("file_failed", format!("{} holds a login somewhere else.", auth.display()))
            .next("carnet doctor --vercel-cli=DIR", "to write another folder"));
    }
    let mut settings = object(&config);
    settings.insert("api".to_owned(), api.into());
    if let Some(team) = team {
        settings.insert("currentTeam".to_owned(), team.into());
    }
    settings.insert("telemetry".to_owned(), json!({"enabled": false}));
    fs::write(place.join(".gitignore"), "*\n").map_err(|error| cannot(&error))?;
    for (path, content) in [(config, Value::from(settings)), (auth, json!({"token": token}))] {
        let text = format!("{content:#}\n");
        folder::replace(&path, text.as_bytes(), 0o600).map_err(|error| cannot(&error))?;
    }
    Ok(())
}

/// What stands in a file, if it is a JSON object.
fn object(path: &Path) -> Map<String, Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn settings_of_the_persons_own_stay_and_a_login_elsewhere_is_not_touched() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("a/b");
        write(&place, "http://127.0.0.1:7070", Some("team_1"), "crn_one").unwrap();
        fs::write(place.join("config.json"), r#"{"api": "http://old", "color": true}"#).unwrap();
        write(&place, "http://127.0.0.1:7071", None, "crn_two").unwrap();
        let config = object(&place.join("config.json"));
        assert_eq!((&config["api"], &config["color"]), (&json!("http://127.0.0.1:7071"), &json!(true)));
        assert_eq!(object(&place.join("auth.json"))["token"], "crn_two");
        for path in [place.clone(), place.join("auth.json")] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
        }
        fs::write(place.join("auth.json"), r#"{"token": "vca_elsewhere"}"#).unwrap();
        assert!(write(&place, "http://127.0.0.1:7071", None, "crn_two").is_err());
        assert_eq!(object(&place.join("auth.json"))["token"], "vca_elsewhere");
    }
}
