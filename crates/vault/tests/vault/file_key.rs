//! Key files: which are taken, and what is said about the others.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use carnet_model::{Env, Id};
use carnet_vault::{FileKey, Keyring, Location, RootKey, RootKeyError, UnlockError, read_secret_file};
use tempfile::TempDir;

/// A folder with a data directory and a place for a key beside it.
struct Folder {
    root: TempDir,
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("data")).unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn random() -> [u8; 32] {
    Env::system().bytes()
}

fn refusal(path: &Path, data: &Path) -> String {
    FileKey::open(path, Location::OutsideOf(data)).unwrap_err().to_string()
}

#[tokio::test]
async fn a_created_key_file_is_the_owners_alone_and_opens_what_it_wrapped() {
    let folder = Folder::new();
    let (env, path, data) = (Env::system(), folder.path("carnet.key"), folder.data());
    let deployment = Id::from_bytes([1; 16]);
    let made = FileKey::create(&env, &path, Location::OutsideOf(&data)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let (_, rows) = Keyring::create(&env, deployment, &made).await.unwrap();
    let read = FileKey::open(&path, Location::OutsideOf(&data)).unwrap();
    assert_eq!(read.label(), "kek:file");
    Keyring::unlock(deployment, &read, rows).await.unwrap();
}

#[test]
fn a_key_file_is_never_overwritten() {
    let folder = Folder::new();
    let before = random();
    let path = folder.write("key", before);
    let error = FileKey::create(&Env::system(), &path, Location::Anywhere).unwrap_err();
    assert!(error.to_string().contains("never overwritten"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let link = folder.path("link");
    symlink(folder.path("target"), &link).unwrap();
    assert!(FileKey::create(&Env::system(), &link, Location::Anywhere).is_err());
    assert!(!folder.path("target").exists());
}

#[tokio::test]
async fn raw_bytes_and_base64_are_the_same_key() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    let folder = Folder::new();
    let env = Env::system();
    let deployment = Id::from_bytes([1; 16]);
    let bytes = random();
    let raw = FileKey::open(&folder.write("raw", bytes), Location::Anywhere).unwrap();
    let (_, rows) = Keyring::create(&env, deployment, &raw).await.unwrap();
    for (i, text) in [
        STANDARD.encode(bytes),
        STANDARD.encode(bytes) + "\n",
        STANDARD.encode(bytes) + "\r\n",
        STANDARD_NO_PAD.encode(bytes) + "\n",
    ]
    .into_iter()
    .enumerate()
    {
        let key = FileKey::open(&folder.write(&i.to_string(), text), Location::Anywhere).unwrap();
        Keyring::unlock(deployment, &key, rows.clone()).await.unwrap();
    }
    let other = FileKey::open(&folder.write("other", random()), Location::Anywhere).unwrap();
    let error = Keyring::unlock(deployment, &other, rows).await.unwrap_err();
    let UnlockError::Root { source: RootKeyError::WrongKey, .. } = error else { panic!("{error}") };
}

#[test]
fn content_that_is_no_key_is_refused() {
    let folder = Folder::new();
    let data = folder.data();
    for (content, reason) in [
        (Vec::new(), "does not hold 32 bytes"),
        (vec![7; 31], "does not hold 32 bytes"),
        (random().iter().chain(b"\n").copied().collect(), "does not hold 32 bytes"),
        (random().repeat(100), "does not hold 32 bytes"),
        (vec![b'A'; 4096], "does not hold 32 bytes"),
        (
            random().iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(),
            "does not hold 32 bytes",
        ),
        (vec![0; 32], "one repeated byte"),
        (b"correct horse battery staple xyz".to_vec(), "holds text"),
        (b"0123456789abcdef0123456789abcdef".to_vec(), "holds text"),
        (b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_vec(), "one repeated byte"),
    ] {
        let path = folder.write("key", &content);
        let text = refusal(&path, &data);
        assert!(text.contains(reason) && text.contains("openssl rand -base64 32"), "{text}");
        let shown = String::from_utf8_lossy(&content);
        assert!(
            content.is_empty() || !text.contains(shown.trim_end()),
            "the content is not to be shown: {text}"
        );
    }
}

#[test]
fn a_file_that_others_can_reach_is_refused_with_the_command_that_mends_it() {
    let folder = Folder::new();
    let path = folder.write("key", random());
    for mode in [0o644, 0o640, 0o604, 0o660, 0o610, 0o601, 0o700, 0o4600, 0o777] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let text = refusal(&path, &folder.data());
        assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
        assert!(text.contains(&format!("chmod 600 {}", path.display())), "{text}");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        FileKey::open(&path, Location::OutsideOf(&folder.data())).unwrap();
    }
}

#[test]
fn a_file_of_another_user_is_refused() {
    let folder = Folder::new();
    let path = folder.write("key", random());
    // Only root can give files away; anybody else has files of root's to look at, some of which cannot be opened.
    let other = rustix::process::geteuid().as_raw() + 1;
    let foreign = if chown(&path, Some(other), None).is_ok() {
        vec![path]
    } else {
        vec![PathBuf::from("/etc/passwd"), PathBuf::from("/etc/shadow")]
    };
    for path in foreign.iter().filter(|path| path.exists()) {
        let text = refusal(path, &folder.data());
        assert!(text.contains("belongs to user") && text.contains("run: chown "), "{text}");
    }
}

#[test]
fn what_is_not_a_plain_file_is_refused() {
    let folder = Folder::new();
    let data = folder.data();
    let real = folder.write("key", random());

    let text = refusal(&data, &folder.path("elsewhere"));
    assert!(text.contains("not a regular file"), "{text}");

    let text = refusal(&folder.path("missing"), &data);
    assert!(text.contains("no key file at") && text.contains("umask 077"), "{text}");

    let text = refusal(&real.join("below"), &data);
    assert!(text.contains("cannot be used"), "{text}");

    fs::hard_link(&real, folder.path("second")).unwrap();
    let text = refusal(&real, &data);
    assert!(text.contains("2 names"), "{text}");
}

/// As Kubernetes lays a secret out: the name leads to a folder that is another one after each change.
#[test]
fn of_a_link_what_it_leads_to_is_judged() {
    let folder = Folder::new();
    let data = folder.data();
    let (first, second) = (random(), random());
    for (version, bytes) in [("..1", first), ("..2", second)] {
        fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/key"), bytes);
    }
    symlink("..data/key", folder.path("key")).unwrap();
    for version in ["..1", "..2"] {
        symlink(version, folder.path("..new")).unwrap();
        fs::rename(folder.path("..new"), folder.path("..data")).unwrap();
        FileKey::open(&folder.path("key"), Location::OutsideOf(&data)).unwrap();
    }
    let path = folder.path("..2/key");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(refusal(&folder.path("key"), &data).contains("mode 0640"));
    fs::remove_file(&path).unwrap();
    assert!(refusal(&folder.path("key"), &data).contains("no key file at"), "it leads nowhere");
    folder.write("data/key", first);
    symlink(folder.path("data/key"), &path).unwrap();
    assert!(refusal(&folder.path("key"), &data).contains("inside the data directory"));
    fs::remove_file(&path).unwrap();
    symlink(&data, &path).unwrap();
    assert!(refusal(&folder.path("key"), &folder.path("elsewhere")).contains("not a regular file"));
}

#[test]
fn the_text_of_a_secret_file_is_read_by_the_same_rules() {
    let folder = Folder::new();
    let path = folder.write("words", "correct horse battery staple\n");
    let read = || read_secret_file(&path, Location::OutsideOf(&folder.data()));
    assert_eq!(read().unwrap().expose(), "correct horse battery staple\n");
    for mode in [0o644, 0o620, 0o602, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(read().unwrap_err().to_string().contains("run: chmod 600 "), "{mode:o}");
    }
    let inside = folder.write("data/words", "correct horse battery staple\n");
    let refused = read_secret_file(&inside, Location::OutsideOf(&folder.data())).unwrap_err();
    assert!(refused.to_string().contains("inside the data directory"), "{refused}");
    let long = folder.write("long", vec![b'a'; 300 * 1024]);
    assert!(read_secret_file(&long, Location::Anywhere).unwrap_err().to_string().contains("too large"));
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let folder = Folder::new();
    let path = folder.path("pipe");
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap();
    assert!(made.success());
    let text = refusal(&path, &folder.data());
    assert!(text.contains("not a regular file"), "{text}");
}

#[test]
fn a_key_inside_the_data_directory_is_refused_by_whatever_way() {
    let folder = Folder::new();
    let data = folder.data();
    fs::create_dir(data.join("deep")).unwrap();
    let inside = folder.write("data/key", random());
    folder.write("data/deep/key", random());
    symlink(&data, folder.path("detour")).unwrap();
    fs::create_dir(folder.path("beside")).unwrap();
    for path in ["data/key", "data/deep/key", "detour/key", "detour/deep/key", "beside/../data/key"] {
        let text = refusal(&folder.path(path), &data);
        assert!(text.contains("inside the data directory") && text.contains("move it out with mv"), "{text}");
    }
    let text = refusal(&inside, &folder.path("detour"));
    assert!(text.contains("inside the data directory"), "{text}");
    let created = FileKey::create(&Env::system(), &data.join("new"), Location::OutsideOf(&data));
    assert!(created.unwrap_err().to_string().contains("inside the data directory"));
    assert!(!data.join("new").exists());

    FileKey::open(&inside, Location::Anywhere).unwrap();
    // A directory that only begins with the same letters is another one, and one that is yet to be made holds nothing.
    let beside = folder.write("data-key", random());
    FileKey::open(&beside, Location::OutsideOf(&data)).unwrap();
    FileKey::open(&beside, Location::OutsideOf(&folder.path("not/yet/there"))).unwrap();
}

#[test]
fn a_path_is_quoted_so_that_the_command_can_be_pasted() {
    let folder = Folder::new();
    let path = folder.write("my key's; rm -rf", random());
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let text = refusal(&path, &folder.data());
    assert!(text.contains(r"/my key'\''s; rm -rf'"), "{text}");
}
