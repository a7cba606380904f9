//! What a configuration names and cannot be opened: the line, exit code 2, and nothing left behind.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn carnet(home: &Path, line: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    for name in ["CARNET_URL", "CARNET_DATA", "CARNET_DATABASE_URL", "CARNET_MASTER_KEY_FILE"] {
        command.env_remove(name);
    }
    let done = command.args(line).current_dir(home).env("HOME", home).stdin(Stdio::null()).output().unwrap();
    (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
}

fn key(path: &Path, bytes: &[u8], mode: u32) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_cannot_be_opened_is_told_with_its_line_and_nothing_is_left_behind() {
    let home = tempfile::tempdir().unwrap();
    let here = |name: &str| home.path().join(name);
    let good: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(37).wrapping_add(11)).collect();
    key(&here("good.key"), &good, 0o600);
    key(&here("open.key"), &good, 0o644);
    key(&here("short.key"), &good[..31], 0o600);
    key(&here("short.words"), b"few words\n", 0o600);
    key(&here("file"), b"", 0o600);
    std::fs::create_dir(here("full")).unwrap();
    key(&here("full/inner.key"), &good, 0o600);
    key(&here("full/words"), b"correct horse battery staple\n", 0o600);
    let before = || {
        let mut names: Vec<_> =
            std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        // Whose place it is is written down before a database is asked.
        names.retain(|name| name != "carnet-spill");
        names.sort();
        names
    };
    std::fs::write(here("c.toml"), "").unwrap();
    let found = before();
    for (text, says) in [
        ("database_url = 'hello'\nmaster_key_file = 'good.key'", "line 3: database_url: "),
        ("database_url = 'mysql://x'\nmaster_key_file = 'good.key'", "line 3: database_url: "),
        (
            "master_key_file = 'good.key'\ndatabase_url = 'postgres://a@127.0.0.1:1/x'",
            "line 4: database_url: ",
        ),
        ("database_url = 'postgres://a@127.0.0.1:1/x'", "line 3: With PostgreSQL"),
        ("data = 'd'\ndatabase_url = 'postgres://a@127.0.0.1:1/x'", "line 4: data and database_url"),
        ("data = 'd'\nmaster_key_file = 'open.key'", "line 4: key file"),
        ("data = 'd'\nmaster_key_file = 'short.key'", "line 4: key file"),
        ("data = 'd'\nmaster_key_file = 'full'", "line 4: key file full is not a regular file"),
        ("data = 'full'\nmaster_key_file = 'full/inner.key'", "line 4: key file"),
        ("data = 'd'\npassphrase_file = 'short.words'", "line 4: short.words: a passphrase has at least"),
        (
            "data = 'd'\npassphrase_file = 'open.key'",
            "line 4: Cannot read passphrase_file: open.key has mode",
        ),
        (
            "data = 'd'\n[next_root_key]\npassphrase_file = 'open.key'",
            "line 4: Cannot read passphrase_file: ",
        ),
        (
            "data = 'full'\npassphrase_file = 'full/words'",
            "line 4: Cannot read passphrase_file: full/words lies inside",
        ),
        (
            "data = 'd'\n[metrics]\ntoken_file = 'open.key'",
            "line 5: Cannot read metrics.token_file: open.key has mode",
        ),
        ("data = 'd'\n[next_root_key]\nmaster_key_file = 'open.key'", "line 4: key file"),
        ("data = 'file'", "line 3: data: the folder file cannot be used"),
        ("data = 'file/below'", "line 3: data: the folder file/below cannot be used"),
        ("data = '/proc/nope'", "line 3: data: the folder /proc/nope cannot be used"),
        ("data = 'd'\nspill = '/proc/nope/x'", "line 4: spill: the folder /proc/nope/x cannot be used"),
    ] {
        let text = format!("# ours\nurl = 'https://connect.example'\n{text}\n");
        std::fs::write(here("c.toml"), &text).unwrap();
        let (code, stderr) = carnet(home.path(), &["serve", "--config", "c.toml", "--listen", "127.0.0.1:0"]);
        assert_eq!(code, 2, "{text}: {stderr}");
        assert!(stderr.contains(&format!("c.toml {says}")), "{text}: {stderr}");
        assert_eq!(before(), found, "{text}");
    }
    std::fs::write(here("c.toml"), b"url = 'https://connect.example'\n# \xff\n").unwrap();
    let (code, stderr) = carnet(home.path(), &["serve", "--config", "c.toml"]);
    assert!(code == 2 && stderr.contains("c.toml line 2: this is not UTF-8"), "{stderr}");
}

#[test]
fn a_development_server_makes_no_second_key_beside_what_the_first_one_opens() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("carnet.db"), "").unwrap();
    let (code, stderr) = carnet(home.path(), &["dev", "--data", "data", "--port", "0", "--no-open"]);
    assert!(code != 0 && stderr.contains("master.key is gone"), "{stderr}");
    assert!(!data.join("master.key").exists());
}

#[test]
fn a_start_without_the_provider_of_its_keys_says_which_that_is() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let db = rusqlite::Connection::open(data.join("carnet.db")).unwrap();
    let migration = include_str!("../../../store/migrations/0002_keys.sql");
    db.execute_batch(migration).unwrap();
    db.execute(
        "insert into keys (id, role, version, wrapped_by, wrapped, created_at) \
         values (?1, 'root', 1, 'kek:aws-kms', ?1, 1)",
        [vec![7_u8; 16]],
    )
    .unwrap();
    drop(db);
    let line = ["serve", "--url", "https://connect.example", "--data", "data", "--listen", "127.0.0.1:0"];
    let (code, stderr) = carnet(home.path(), &line);
    assert_eq!(code, 2, "{stderr}");
    for part in ["data.key", "wrapped by kek:aws-kms", "aws_kms = …", "--config"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(!home.path().join("data.key").exists(), "nothing was made");
}
