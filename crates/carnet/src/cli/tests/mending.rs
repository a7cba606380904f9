//! `doctor --fix`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::Desk;
use super::peer::Peer;

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
    let desk = Desk::bare().set("CARNET_URL", &peer.url).set("CARNET_TOKEN", super::TOKEN);
    let done = desk.run(&["doctor", "--fix"]).exits(0);
    assert!(done.out.starts_with("mended: this folder is linked to my-app"), "{done:?}");
    assert!(desk.path(".carnet/project.json").is_file());
}
