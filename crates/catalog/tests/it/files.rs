//! Every file of `catalog/` is whole and true to its form.

use std::fs;
use std::path::Path;

use carnet_catalog::{Catalog, Entry, Verified};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog")
}

#[test]
fn every_file_is_compiled_in_and_can_be_read() {
    let mut slugs = Vec::new();
    let mut wrong = Vec::new();
    for file in fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let stem =
            name.strip_suffix(".toml").unwrap_or_else(|| panic!("{name} is no description of a service"));
        match Entry::read(&name, stem, &fs::read_to_string(&path).unwrap()) {
            Ok(_) => slugs.push(stem.to_owned()),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    slugs.sort();
    let catalog = Catalog::default();
    let known: Vec<&str> = catalog.all().map(|entry| entry.slug.as_str()).collect();
    assert_eq!(known, slugs);
}

#[test]
fn only_kinds_of_servers_have_no_hosts() {
    for entry in Catalog::default().all() {
        let kind = matches!(entry.slug.as_str(), "api-key" | "demo" | "oauth");
        assert_eq!(entry.hosts.is_empty(), kind, "{}", entry.slug);
        if !kind {
            assert!(entry.homepage.is_some() && !entry.categories.is_empty(), "{}", entry.slug);
            assert!(
                entry.methods.iter().all(|method| !method.api.is_empty() || method.oauth.is_some()),
                "{}",
                entry.slug
            );
        }
    }
}

#[test]
fn what_was_read_names_a_page_of_the_service_itself() {
    for entry in Catalog::default().all().filter(|entry| entry.verified == Verified::Read) {
        let foreign = ["github.com/NangoHQ", "github.com/simov", "code.claude.com"];
        let own = |page: &String| !foreign.iter().any(|other| page.contains(other));
        let pages: Vec<String> = entry.source.iter().map(ToString::to_string).collect();
        assert!(pages.iter().any(own), "{}: {pages:?}", entry.slug);
    }
}

#[test]
fn categories_are_few_and_known() {
    for entry in Catalog::default().all() {
        for category in &entry.categories {
            assert!(CATEGORIES.contains(&category.as_str()), "{}: {category}", entry.slug);
        }
    }
}

const CATEGORIES: &[&str] = &[
    "ai",
    "analytics",
    "commerce",
    "communication",
    "data",
    "design",
    "developer",
    "finance",
    "health",
    "identity",
    "marketing",
    "media",
    "other",
    "people",
    "productivity",
    "sales",
    "search",
    "social",
    "storage",
    "support",
];
