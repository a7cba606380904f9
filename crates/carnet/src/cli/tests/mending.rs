//! `doctor --fix`, and a project file that is of another team, or broken.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::peer::Peer;
use super::stumbling::first_step;
use super::{Desk, TEAM, TOKEN};

#[test]
fn what_needs_no_choice_is_mended_and_then_looked_at() {
    let peer = Peer::usual();
    let desk = Desk::dev(&peer.url);
    desk.write_project(&peer.url);
    fs::create_dir(desk.path(".git")).unwrap();
    fs::write(desk.path(".env.local"), "CARNET_URL=x\n").unwrap();
    let dev_json = desk.path(".carnet/dev.json");
    fs::set_permissions(&dev_json, fs::Permissions::from_mode(0o644)).unwrap();
    desk.run(&["doctor"]).exits(1);
    assert!(!desk.path(".gitignore").exists(), "without --fix nothing is changed");

    let done = desk.run(&["doctor", "--fix", "--json"]).exits(0).json();
    assert_eq!(done["mended"].as_array().unwrap().len(), 3, "{done}");
    assert_eq!(fs::metadata(&dev_json).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(desk.path(".gitignore")).unwrap(), ".carnet\n.env.local\n");
    let again = desk.run(&["doctor", "--fix"]).exits(0);
    assert!(!again.out.contains("mended"), "{again:?}");
}

#[test]
fn a_folder_is_linked_where_there_is_one_project_alone() {
    let peer = Peer::usual();
    let desk = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_TOKEN", TOKEN);
    let done = desk.run(&["doctor", "--fix"]).exits(0);
    assert!(done.out.starts_with("mended: this folder is linked to my-app"), "{done:?}");
    assert!(desk.path(".carnet/project.json").is_file());
}

#[test]
fn a_folder_of_another_team_is_found_and_linked_anew() {
    let other = "team_0000000000000000000009";
    let named = format!("teamId={other}");
    let peer = Peer::following(move |line, _| {
        let message = "The credential is not for the team that the request names.";
        line.contains(&named).then(|| (403, json!({"error": {"code": "forbidden", "message": message}})))
    });
    let desk = Desk::bare().set("CARNET_TOKEN", TOKEN);
    desk.write_project(&peer.url);
    let file = desk.path(".carnet/project.json");
    let of_other = fs::read_to_string(&file).unwrap().replace(TEAM, other);
    fs::write(&file, &of_other).unwrap();

    assert_eq!(first_step(&desk, &["list", "--all-projects"], 6), "carnet link PROJECT");
    let checks = desk.run(&["doctor", "--json"]).exits(1).json()["checks"].clone();
    let failed: Vec<_> =
        checks.as_array().unwrap().iter().filter(|check| check["outcome"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{checks}");
    assert_eq!(
        (&failed[0]["name"], &failed[0]["next"][0]["command"]),
        (&json!("project file"), &json!("carnet link PROJECT"))
    );
    let done = desk.run(&["whoami"]).exits(0);
    assert!(done.err.contains("of a team that the credential is not for"), "{done:?}");

    desk.run(&["link", "my-app"]).exits(0);
    assert!(fs::read_to_string(&file).unwrap().contains(TEAM));
    desk.run(&["list", "--all-projects"]).exits(0);
}

#[test]
fn a_broken_project_file_is_written_anew_by_what_its_refusal_names() {
    let peer = Peer::usual();
    let desk = Desk::bare().set("CARNET_TOKEN", TOKEN);
    fs::create_dir(desk.path(".carnet")).unwrap();
    fs::write(desk.path(".carnet/project.json"), "{").unwrap();
    for line in [&["whoami"][..], &["list"], &["link", "my-app"]] {
        assert_eq!(first_step(&desk, line, 1), "carnet link PROJECT --url https://…");
    }
    desk.run(&["link", "my-app", "--url", &peer.url]).exits(0);
    desk.run(&["list"]).exits(0);
}
