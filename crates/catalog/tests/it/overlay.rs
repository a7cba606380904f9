//! An operator's own files: understood as a whole, or refused with file and line.

use std::fs;

use carnet_catalog::{Catalog, Entry};

/// A file that is right.
const OWN: &str = r#"slug = "acme"
name = "Acme"
description = "Our own tracker."
categories = ["developer"]
homepage = "https://acme.example"
hosts = ["*.acme.example"]
checked = "2026-11-30"
source = ["https://docs.acme.example/oauth"]
verified = "tried"

[[methods]]
method = "oauth"
label = "OAuth app"
description = "The usual way."
driver = "oauth"
api = ["https://api.acme.example"]

[methods.oauth]
authorization = "https://{site}.acme.example/authorize"
token = "https://{site}.acme.example/token"
scopes = ["tickets"]

[methods.oauth.refresh]
class = "strict"

[[methods.fields]]
key = "site"
label = "Site"
kind = "label"
example = "north"

[scopes]
tickets = "Read and delete tickets"
"#;

fn overlaid(name: &str, text: &str) -> Result<Catalog, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    Catalog::overlaid(folder.path()).map_err(|error| error.to_string().replace(&prefix, ""))
}

#[test]
fn an_own_file_adds_a_service_or_takes_the_place_of_one() {
    let catalog = overlaid("acme.toml", OWN).unwrap();
    assert_eq!(
        catalog.get("acme").unwrap().describe_scope("tickets").as_deref(),
        Some("Read and delete tickets")
    );
    assert!(catalog.is_own("acme") && !catalog.is_own("github"));
    assert_eq!(catalog.all().count(), Catalog::default().all().count() + 1);
    assert_eq!(catalog.search("acme", None).len(), 1);

    let github = OWN.replace("\"acme\"", "\"github\"").replace("\"Acme\"", "\"Our GitHub\"");
    let catalog = overlaid("github.toml", &github).unwrap();
    assert_eq!(catalog.get("github").unwrap().name.as_str(), "Our GitHub");
    assert_eq!(catalog.get("github").unwrap().methods.len(), 1);
    assert_eq!(catalog.all().count(), Catalog::default().all().count());
}

#[test]
fn what_is_not_a_description_is_left_alone() {
    let catalog = overlaid("README.md", "# Ours").unwrap();
    assert_eq!(catalog.all().count(), Catalog::default().all().count());
    assert!(Catalog::overlaid(std::path::Path::new("nowhere/at/all")).is_err());
}

#[test]
fn a_hostile_or_careless_file_is_refused_with_its_line() {
    let table = [
        // What is not known.
        ("name = \"Acme\"", "nmae = \"Acme\"", 2, "unknown field"),
        ("class = \"strict\"", "class = \"sometimes\"", 24, "unknown variant"),
        ("driver = \"oauth\"", "driver = \"shell\"", 15, "unknown variant"),
        ("[scopes]", "[[methods.hooks]]\nrun = \"sh\"\n\n[scopes]", 32, "unknown field"),
        // Addresses that are not https, or lead elsewhere.
        ("https://{site}.acme.example/token", "http://{site}.acme.example/token", 20, "https://"),
        ("https://{site}.acme.example/token", "https://{site}.evil.example/token", 20, "not among the hosts"),
        (
            "https://{site}.acme.example/token",
            "https://{site}.example/token",
            20,
            "must stand before a domain",
        ),
        (
            "https://{site}.acme.example/token",
            "https://acme.example.{site}/token",
            20,
            "must stand before a domain",
        ),
        ("https://{site}.acme.example/token", "https://{site}@evil.example/token", 20, "named host"),
        ("https://{site}.acme.example/token", "https://u:p@x.acme.example/token", 20, "without user"),
        ("https://{site}.acme.example/token", "https://x.acme.example:8443/token", 20, "port"),
        ("https://{site}.acme.example/token", "https://127.0.0.1/token", 20, "named host"),
        ("https://{site}.acme.example/token", "https://169.254.169.254/token", 20, "named host"),
        ("https://{site}.acme.example/token", "https://localhost/token", 20, "named host"),
        ("https://{site}.acme.example/token", "https://{other}.acme.example/token", 20, "no field"),
        ("https://api.acme.example", "https://api.evil.example", 16, "not among the hosts"),
        ("*.acme.example", "*.com", 6, "must be a host"),
        ("*.acme.example", "https://acme.example", 6, "must be a host"),
        ("https://docs.acme.example/oauth", "javascript:alert(1)", 8, "https address"),
        // Fields whose values could be anything.
        ("kind = \"label\"", "kind = \"anything\"", 29, "unknown variant"),
        ("example = \"north\"", "example = \"north/../..\"", 26, "site is one name"),
        ("key = \"site\"", "key = \"Site\"", 27, "a-z"),
        // What it writes into data.
        (
            "[scopes]",
            "[methods.data]\nserverUrl = \"https://x.acme.example\"\n\n[scopes]",
            33,
            "is not written into data",
        ),
        (
            "[scopes]",
            "[methods.data.account]\nendpoint = \"https://evil.example\"\n\n[scopes]",
            33,
            "not among the hosts",
        ),
        (
            "[scopes]",
            "[methods.data.account]\nendpoint = \"http://x.acme.example\"\n\n[scopes]",
            33,
            "https://",
        ),
        (
            "[scopes]",
            "[methods.data.account]\nendpoint = \"https://{x}.acme.example\"\n\n[scopes]",
            33,
            "no field",
        ),
        ("[scopes]", "[methods.data.installation]\nscopes = [\"root\"]\n\n[scopes]", 33, "no words"),
        // Words.
        ("tickets = \"Read and delete tickets\"", "other = \"Read\"", 21, "no words"),
        (
            "Read and delete tickets",
            "Read tickets, but never delete them",
            33,
            "does not say what is not allowed",
        ),
        ("verified = \"tried\"", "verified = \"surely\"", 9, "unknown variant"),
        ("checked = \"2026-11-30\"", "checked = \"lately\"", 7, "a day"),
        ("slug = \"acme\"", "slug = \"github\"", 1, "the file is called"),
        ("slug = \"acme\"", "slug = \"acme\"\nenv = \"LD_PRELOAD\"", 2, "holds a secret"),
        ("slug = \"acme\"", "slug = \"acme\"\nenv = \"PATH\"", 2, "holds a secret"),
        ("class = \"strict\"", "class = \"grace\"", 12, "has seconds"),
        ("name = \"Acme\"", "name = \"Acme", 2, ""),
    ];
    for (from, to, line, why) in table {
        let text = OWN.replacen(from, to, 1);
        assert_ne!(text, OWN, "{from}");
        let error = overlaid("acme.toml", &text).map(|_| ()).unwrap_err();
        let told = error.starts_with(&format!("acme.toml line {line}: ")) && error.contains(why);
        assert!(told, "{to:?}: {error}");
    }
    let huge = format!("{OWN}\n# {}", "x".repeat(300_000));
    assert!(overlaid("acme.toml", &huge).unwrap_err().contains("larger"));
}

#[test]
fn a_file_that_breaks_off_anywhere_is_refused_and_never_panics() {
    let refused = (0..OWN.len()).filter(|end| Entry::read("acme", "acme", &OWN[..*end]).is_err()).count();
    assert!(refused > OWN.len() - 60, "only a file that breaks off at its very end says the same");
}
