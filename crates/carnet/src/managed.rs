//! `[[managed]]` of the configuration: applications that the operator registered at providers, from which teams make
//! connectors without seeing their secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use carnet_engine::{Catalog, ManagedService};
use carnet_model::Id;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::failure::Failure;
use crate::config::wrong;
use crate::secret_file;

/// An application, as it is written down.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManagedSource {
    /// The service, by its name in the catalog: `github`. People come back to `{url}/callback/{service}`, which is
    /// registered at the provider.
    pub(crate) service: String,
    /// The driver: `github`, `slack`, `oauth`; that of the connection method, if one is named, else `oauth`.
    pub(crate) r#type: Option<String>,
    /// The way of the catalog by which it is connected, which says the addresses. Left out where `data_file` says all.
    pub(crate) connection_method: Option<String>,
    /// What is filled into the addresses of that way: `{ host = "gitlab.example.com" }`. Left out, a team says it, except
    /// where that could be any host at all.
    #[serde(default)]
    pub(crate) params: BTreeMap<String, String>,
    /// A file with the `data` of its connectors as one JSON object, secrets included, that nobody else can read.
    pub(crate) data_file: PathBuf,
    /// The teams that may use it, by identifier; all if left out.
    pub(crate) teams: Option<Vec<String>>,
    /// Whether a team that ejects a connector without a client of its own takes the application along.
    #[serde(default)]
    pub(crate) goes_along: bool,
}

/// The file of `carnet dev --managed`: nothing but `[[managed]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    managed: Vec<ManagedSource>,
}

/// Reads the file of a development server. Paths in it begin where it stands.
pub(crate) fn read_file(path: &Path, catalog: &Catalog) -> Result<BTreeMap<String, ManagedService>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("Cannot read {}: {error}.", path.display())))?;
    let mut file: File = toml::from_str(&text)
        .map_err(|error| wrong(format!("{}: {}.", path.display(), error.message().trim_end_matches('.'))))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    for source in &mut file.managed {
        source.data_file = folder.join(&source.data_file);
    }
    read(&file.managed, catalog)
}

/// Reads what is written down, and the files that it names.
pub(crate) fn read(
    sources: &[ManagedSource],
    catalog: &Catalog,
) -> Result<BTreeMap<String, ManagedService>, Failure> {
    let mut all = BTreeMap::new();
    for source in sources {
        let app = one(source, catalog)?;
        if all.insert(source.service.clone(), app).is_some() {
            return Err(wrong(format!("managed: {:?} stands there twice.", source.service)));
        }
    }
    Ok(all)
}

fn one(source: &ManagedSource, catalog: &Catalog) -> Result<ManagedService, Failure> {
    let bad = |what: &str, why: String| wrong(format!("managed {:?}: {what} {why}.", source.service));
    let r#type = ManagedService::driver(
        catalog,
        &source.service,
        source.r#type.as_deref(),
        source.connection_method.as_deref(),
    );
    let r#type = r#type.map_err(|unfit| {
        bad(if unfit.field == "method" { "connection_method" } else { unfit.field }, unfit.why)
    })?;
    let teams = match &source.teams {
        None => None,
        Some(teams) => {
            let read = teams.iter().map(|team| {
                Id::parse(team)
                    .map_err(|_| bad("teams", format!("{team:?} is no identifier of a team, team_…")))
            });
            Some(read.collect::<Result<BTreeSet<_>, _>>()?)
        }
    };
    ManagedService::fits(catalog, &source.service, source.connection_method.as_deref(), &source.params)
        .map_err(|unfit| bad(unfit.field, unfit.why))?;
    let app = ManagedService {
        r#type,
        method: source.connection_method.clone(),
        params: source.params.clone(),
        data: data(&source.data_file)?,
        teams,
        goes_along: source.goes_along,
        one_callback: true,
    };
    match app.shown_as_token() {
        Some(member) => Err(bad(
            "data_file",
            format!(
                "has {member}, which is itself the token: every team would be given it. Let each bring its own"
            ),
        )),
        None => Ok(app),
    }
}

/// The file's object. What others on this machine can read is no secret.
fn data(path: &Path) -> Result<Map<String, Value>, Failure> {
    let shown = path.display();
    let text = secret_file::read("data_file", path)?;
    // The parser's own words could quote what stands there.
    let unfit = |at: String| wrong(format!("data_file {shown} is not one JSON object{at}."));
    match serde_json::from_str(text.expose()) {
        Ok(Value::Object(data)) if !data.is_empty() => Ok(data),
        Ok(_) => Err(unfit(String::new())),
        Err(error) => Err(unfit(format!(": line {}", error.line()))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use carnet_model::connector::ConnectorType;

    use super::*;

    fn read_text(text: &str) -> Result<BTreeMap<String, ManagedService>, Failure> {
        let file: File = toml::from_str(text).unwrap();
        read(&file.managed, &Catalog::default())
    }

    #[test]
    fn what_cannot_work_or_is_no_secret_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path.display().to_string()
        };
        let good = file("good.json", r#"{"clientId": "1", "clientSecret": "s3cret"}"#, 0o600);
        let app = |service: &str, file: &str, more: &str| {
            format!("[[managed]]\nservice = '{service}'\ndata_file = '{file}'\n{more}")
        };
        let read = read_text(&app("slack", &good, "type = 'slack'\n")).unwrap();
        let slack = &read["slack"];
        assert_eq!((slack.r#type, &slack.teams, slack.one_callback), (ConnectorType::Slack, &None, true));
        assert!(!format!("{slack:?}").contains("s3cret"));
        let read = read_text(&app("linear", &good, "connection_method = 'oauth'\n")).unwrap();
        assert_eq!(read["linear"].r#type, ConnectorType::Oauth);
        let one = "teams = ['team_0000000000000000000001']\n";
        assert_eq!(read_text(&app("x", &good, one)).unwrap()["x"].teams.as_ref().unwrap().len(), 1);
        let keys = file("keys.json", r#"{"values": [{"value": "s3cret"}]}"#, 0o600);
        let bot = file("bot.json", r#"{"clientId": "1", "installation": {"token": "s3cret"}}"#, 0o600);
        let gitlab = |more: &str| app("gitlab", &good, &format!("connection_method = 'oauth'\n{more}"));
        let read = read_text(&gitlab("params = { host = 'git.acme.example' }\n")).unwrap();
        assert_eq!(read["gitlab"].params["host"], "git.acme.example");
        let open = file("open.json", "{\"a\": 1}", 0o644);
        let list = file("list.json", "[]", 0o600);
        let broken = file("broken.json", "{\n\"clientSecret\": s3cret}", 0o600);
        for (text, says) in [
            (app("Slack!", &good, ""), "small letters"),
            (app("a/b", &good, ""), "small letters"),
            (app("slack", "/nowhere/at/all", ""), "Cannot read"),
            (app("telegram", &keys, "type = 'api-key'\n"), "itself the token"),
            (app("discord", &bot, "connection_method = 'bot'\n"), "itself the token"),
            (gitlab("params = { subdomain = 'x' }\n"), "no field"),
            (gitlab("params = { host = 'a/b' }\n"), "is a host"),
            (app("slack", &good, "params = { host = 'a' }\n"), "no field"),
            (app("slack", &open, ""), "others can get at it"),
            (app("slack", &list, ""), "one JSON object"),
            (app("slack", &broken, ""), "line 2"),
            (app("slack", &good, "type = 'fax'\n"), "type is one of"),
            (app("slack", &good, "teams = ['acme']\n"), "no identifier"),
            (app("linear", &good, "connection_method = 'smoke'\n"), "no way"),
            (app("nobody", &good, "connection_method = 'oauth'\n"), "of the catalog"),
            (app("linear", &good, "connection_method = 'oauth'\ntype = 'slack'\n"), "by that connection"),
            (app("slack", &good, "") + &app("slack", &good, ""), "twice"),
        ] {
            let failure = read_text(&text).unwrap_err();
            assert!(failure.message.contains(says), "{says}: {}", failure.message);
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        }
    }
}
